"""The systemd units: sound, as hardened as they say, and not so hardened that treegate cannot work."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from PIL import Image
from unit import settings

TOP = Path(__file__).parents[2]
UNITS = TOP / "deploy/systemd"
SERVICES = sorted(UNITS.glob("*.service"))
SERVICE, WORKER = UNITS / "treegate.service", UNITS / "treegate-worker.service"
PROGRAM = str(Path(sys.executable).with_name("treegate"))
each_service = pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
analyzed = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze (Debian: systemd)")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, timeout=60)


@analyzed
@each_service
def test_the_unit_is_exposed_little(unit: Path):
    """`systemd-analyze security` says less than 3.0."""
    told = analyze("security", "--offline=true", "--threshold=29", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told.stdout)
    assert found, told.stderr
    assert (float(found[1]) < 3.0, told.returncode) == (True, 0), told.stdout


@analyzed
def test_the_units_hold_no_mistake(tmp_path: Path):
    """`systemd-analyze verify` has nothing to say, once the program and the mount are there."""
    program = Path(sys.executable).with_name("treegate")
    for unit in UNITS.glob("*.*"):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/treegate/bin/treegate", str(program)))
    (tmp_path / "mnt-workspace.mount").write_text("[Mount]\nWhat=bucket\nWhere=/mnt/workspace\nType=gcsfuse\n")
    given = [path for path in tmp_path.iterdir() if path.suffix != ".yaml"]
    assert {path.suffix for path in given} == {".service", ".timer", ".path", ".mount"}
    told = analyze("verify", "--man=no", *map(str, sorted(given)))
    ours = [line for line in told.stderr.splitlines() if "treegate" in line]
    assert (ours, told.returncode) == ([], 0), told.stderr


@each_service
def test_the_mount_is_that_of_the_workspace(unit: Path):
    """One path, named in four places."""
    text = unit.read_text()
    named = re.findall(r"^(?:RequiresMountsFor|ReadWritePaths)=(.*)|TREEGATE_WORKSPACE=(\S+)", text, re.M)
    bound = re.search(r"^BindsTo=(.*)\.mount", text, re.M)
    assert {one or other for one, other in named} == {"/mnt/workspace"}
    assert bound is not None
    assert "/" + bound[1].replace("-", "/") == "/mnt/workspace"


@each_service
def test_no_unit_is_hardened_less_than_another(unit: Path):
    """What is taken away from the service is taken away from the worker."""
    differ = {"Description", "After", "Wants", "Type", "ExecStart", "Restart", "RestartSec", "WantedBy"}
    differ |= {"StartLimitIntervalSec", "Requires", "SupplementaryGroups", "RuntimeDirectory", "RuntimeDirectoryMode"}
    first, other = (
        {key: value for key, value in settings(one).items() if key not in differ} for one in (SERVICE, unit)
    )
    assert first == other


def confined(workspace: Path, state: Path, *command: str, unit: Path = SERVICE) -> list[str]:
    """A command under what the unit takes away: all but two folders read-only, no capability, few system calls.

    The user that it finds itself to be is no root, and owns the workspace.
    """
    user = ("--unshare-user", "--uid", "1234", "--gid", "1234", "--cap-drop", "ALL", "--die-with-parent")
    root = ("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--ro-bind", TOP, TOP)
    writable = ("--tmpfs", "/mnt", "--bind", workspace, "/mnt/workspace", "--tmpfs", "/var/lib", "--bind", state,
                "/var/lib/treegate", "--remount-ro", "/mnt", "--remount-ro", "/var/lib", "--chdir", "/")  # fmt: skip
    start = (sys.executable, Path(__file__).with_name("unit.py"), unit)
    return [str(part) for part in ("bwrap", *user, *root, *writable, "--", *start, *command)]


def environ() -> dict[str, str]:
    """What the unit sets, and no more."""
    [said] = settings(SERVICE)["Environment"]
    return {"PATH": "/usr/bin:/bin", **dict(one.split("=", 1) for one in said.split())}


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Path]:
    """A workspace whose case is a setgid folder, as shared ones are, and a folder for the state."""
    if not works("bwrap", "--unshare-user", "--ro-bind", "/", "/", "true") or not shutil.which("systemd-analyze"):
        pytest.skip("needs bwrap (Debian: bubblewrap), namespaces for users, and systemd-analyze (Debian: systemd)")
    workspace, state = tmp_path / "workspace", tmp_path / "state"
    case = workspace / "projects/Smith"
    case.mkdir(parents=True)
    state.mkdir(mode=0o700)
    sheet = Image.new("RGB", (850, 1100), "white")
    sheet.paste((200, 30, 30), (50, 50, 800, 500))
    for name in ("scan0.png", "scan1.pdf"):
        sheet.save(case / name)
    case.chmod(0o2770)
    return workspace, state


def works(*command: str) -> bool:
    return shutil.which(command[0]) is not None and subprocess.run(command, capture_output=True).returncode == 0


def test_the_service_works_under_what_the_unit_takes_away(place: tuple[Path, Path]):
    """The unit's own command: a plan is applied in a setgid folder, pictures are drawn, SIGTERM ends it well."""
    typed(place, "init", "/mnt/workspace")
    author, reviewer = (
        typed(place, "token", "create", "--name", role, "--role", role)["token"] for role in ("author", "reviewer")
    )
    with started(place, SERVICE) as said:
        with httpx2.Client(base_url=said["address"], timeout=30) as client:
            _whole_story(client, bearer(author), bearer(reviewer), reviewer)
        scans = place[0] / "projects/Smith/Scans"
        assert sorted(path.name for path in scans.iterdir()) == ["scan0.png", "scan1.pdf"]
        assert scans.stat().st_mode & stat.S_ISGID


def test_the_worker_works_under_what_the_unit_takes_away(place: tuple[Path, Path]):
    """The unit's own command: what is dropped is pending, and once it is approved, done; SIGTERM ends it well."""
    typed(place, "init", "/mnt/workspace", "--solo")
    with started(place, WORKER) as said:
        assert said["queue"] == "/mnt/workspace/Database/reorg_queue"
        queue = place[0] / "Database/reorg_queue"
        dropped = {"version": 1, "case": "Smith", "operations": [{"op": "move", "match": "scan*", "to": "Scans/"}]}
        (queue / "1-Smith.json").write_text(json.dumps(dropped))
        [status] = until(lambda: list(queue.glob("pending/*/status")))
        word, *rest = status.read_text().splitlines(keepends=True)
        assert word == "pending\n"
        status.write_text("".join(["approved\n", *rest]).replace("by:", "by: rita"))
        until(lambda: list(queue.glob("done/*/receipt.json")))
    assert sorted(path.name for path in (place[0] / "projects/Smith/Scans").iterdir()) == ["scan0.png", "scan1.pdf"]


def until(found: Callable[[], list[Path]]) -> list[Path]:
    """What is found, once it is."""
    end = time.monotonic() + 60
    while not (paths := found()):
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)
    return paths


def typed(place: tuple[Path, Path], *arguments: str) -> dict[str, str]:
    """A command typed as the unit's user, and the JSON that it prints."""
    command = confined(*place, PROGRAM, *arguments, "--json")
    done = subprocess.run(command, capture_output=True, text=True, env=environ())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def started(place: tuple[Path, Path], unit: Path) -> Iterator[dict[str, str]]:
    """What the unit's own command says once it runs; then it is sent SIGTERM, and has to end well."""
    [start] = settings(unit)["ExecStart"]
    command = [*start.replace("/opt/treegate/bin/treegate", PROGRAM).replace("8473", "0").split(), "--json"]
    running = subprocess.Popen(
        confined(*place, *command, unit=unit), stdout=subprocess.PIPE, text=True, env=environ()
    )
    try:
        assert running.stdout is not None
        yield json.loads(running.stdout.readline())
        [inside] = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        os.kill(int(inside), signal.SIGTERM)
        assert running.wait(30) == 0
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _whole_story(client: httpx2.Client, author: dict[str, str], reviewer: dict[str, str], token: str) -> None:
    operations = [{"op": "move", "match": "scan*", "to": "Scans/"}]
    made = client.post("/plans", json={"version": 1, "case": "Smith", "operations": operations}, headers=author)
    assert made.status_code == 201, made.text
    plan, digest = made.json()["id"], made.json()["digest"]
    client.post("/ui/login", data={"token": token})
    effects = client.get(f"/plans/{plan}/effects", headers=author).json()["effects"]
    for effect in [one["id"] for one in effects if one["kind"] == "file"]:
        picture = client.get(f"/ui/plans/{plan}/effects/{effect}/picture")
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/webp"), picture.text
    said = client.post(f"/plans/{plan}/approve", json={"digest": digest}, headers=reviewer)
    assert said.status_code == 200, said.text
    end = time.monotonic() + 60
    while client.get(f"/plans/{plan}", headers=author).json()["state"] != "applied":
        assert time.monotonic() < end, client.get(f"/plans/{plan}", headers=author).text
        time.sleep(0.1)


@pytest.mark.parametrize(
    "act",
    ["open('/opt/x', 'w')", "open('/var/lib/x', 'w')", "os.chroot('/')", "os.setuid(0)", "mmap.mmap(-1, 9, prot=7)"],
)
def test_what_the_unit_takes_away_is_gone(place: tuple[Path, Path], act: str):
    """The test above is not made under easier terms than it says."""
    code = f"import mmap, os\ntry: {act}\nexcept OSError: raise SystemExit(9)"
    assert subprocess.run(confined(*place, sys.executable, "-c", code), env=environ()).returncode == 9
