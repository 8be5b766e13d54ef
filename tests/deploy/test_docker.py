"""The image and the compose file, on a real Docker engine: a plan goes from a request to the host's own folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from socket import socket
from typing import Any

import pytest

TOP = Path(__file__).parents[2]
DOCKER = TOP / "deploy/docker"
MUTATOR = TOP / "deploy/mutator"
LOCKS = [DOCKER / "service.lock", DOCKER / "build.lock"]
COMPOSE = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
UID = 1234
SANDBOX_IMAGE = "treegate-test-sandbox"
PATIENCE = 60  # seconds
pytestmark = pytest.mark.timeout(1800)  # making an image takes minutes on a slow disk


def ran(*command: str, **environ: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=TOP, env={**os.environ, **environ}, timeout=600
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def works(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=600).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def rows(lock: Path) -> set[str]:
    """What a lock pins, each with its hashes."""
    return {"".join(one.split()) for one in lock.read_text().replace("\\\n", " ").splitlines()}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_the_image_installs_what_is_tested(lock: Path):
    """Its locks are parts of requirements.lock, hashes and all."""
    assert rows(lock) <= rows(TOP / "requirements.lock")


def test_what_is_installed_is_all_that_the_units_and_the_image_start():
    """`treegate serve` and `treegate worker`, and whom they tell: what their extras want is pinned."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [
        re.split(r"[^a-z0-9-]", one)[0]
        for one in (
            *project["dependencies"],
            *(one for extra in ("service", "queue", "sandbox", "slack") for one in extras[extra]),
        )
    ]
    pinned = {one.partition("==")[0].partition("[")[0] for one in rows(DOCKER / "service.lock")}
    assert set(wanted) - pinned == set()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A base image: the one named in TREEGATE_BASE, else one made here, with the packages that the locks name."""
    if not works("docker", "info"):
        pytest.skip("needs a Docker engine that answers (`docker info`)")
    if not works(*COMPOSE, "version"):
        pytest.skip("needs docker-compose, or docker's compose plugin")
    if named := os.environ.get("TREEGATE_BASE"):
        return named
    if not shutil.which("mmdebstrap") or os.geteuid():
        pytest.skip("needs TREEGATE_BASE, an image with Python and venv; or mmdebstrap and root, to make one")
    where = tmp_path_factory.mktemp("base")
    made, wheels = where / "base.tar", where / "opt/wheels"
    if not works(
        "mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,python3-venv", "bookworm", str(made)
    ):
        pytest.skip("needs a mirror of Debian's packages, to make an image from")
    pip = (
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--require-hashes",
        "--only-binary=:all:",
        "-d",
        str(wheels),
    )
    for lock in (*LOCKS, MUTATOR / "mutator.lock"):
        ran(*pip, "-r", str(lock))
    with tarfile.open(made, "a") as archive:  # tar(1) goes on in the old format, which has no long names
        archive.add(wheels, "./opt/wheels")
    ran(
        "docker",
        "import",
        "--change",
        "ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/opt/wheels",
        str(made),
        "treegate-test-base",
    )
    made.unlink()
    return "treegate-test-base"


def docker_socket() -> str:
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


class Sidecar:
    """The service as the compose file runs it, beside a workspace on the host."""

    def __init__(self, base: str, workspace: Path) -> None:
        with closing(socket()) as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.environ = {
            "TREEGATE_BASE": base, "TREEGATE_WORKSPACE": str(workspace), "TREEGATE_UID": str(UID),
            "TREEGATE_PORT": str(self.port), "COMPOSE_PROJECT_NAME": f"treegate-test-{os.getpid()}",
            "TREEGATE_DOCKER_SOCKET": docker_socket(), "TREEGATE_SANDBOX_IMAGE": SANDBOX_IMAGE,
            "TREEGATE_DOCKER_GID": str(os.stat(docker_socket()).st_gid),
        }  # fmt: skip

    def compose(self, *arguments: str) -> str:
        return ran(*COMPOSE, "-f", str(DOCKER / "compose.yaml"), *arguments, **self.environ)

    def treegate(self, *arguments: str) -> Any:
        """A command typed in the container, and the JSON that it prints."""
        return json.loads(self.compose("exec", "-T", "treegate", "treegate", *arguments, "--json"))

    def docker(self, *arguments: str, service: str = "treegate") -> str:
        return ran("docker", *arguments, self.compose("ps", "-q", service).strip())

    def ask(self, path: str, token: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def until_ready(self) -> None:
        poll(lambda: self.ask("/readyz", "")["status"] == "ready")

    def until_applied(self, plan: str, token: str) -> None:
        poll(lambda: self.ask(f"/plans/{plan}", token)["state"] == "applied")


def poll(true: Any) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            if true():
                return
        except (urllib.error.URLError, ConnectionError) as error:
            if time.monotonic() > end:
                raise AssertionError("not in time") from error
        assert time.monotonic() < end, "not in time"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def sidecar(base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    workspace = tmp_path_factory.mktemp("host") / "workspace"
    case = workspace / "projects/Smith"
    case.mkdir(parents=True)
    for name in ("scan0.pdf", "scan1.pdf"):
        (case / name).write_text(name)
    for path in (workspace, *workspace.rglob("*")):
        os.chown(path, UID, UID)
    made = Sidecar(base, workspace)
    try:
        made.compose("build")
        made.compose("run", "--rm", "treegate", "init", "/mnt/workspace")
        made.compose("up", "-d")
        made.until_ready()
        yield made
    finally:
        made.compose("down", "-v", "-t", "20")


def moved(name: str, into: str) -> dict[str, Any]:
    return {"version": 1, "case": "Smith", "operations": [{"op": "move", "from": name, "to": into}]}


def test_a_plan_is_handed_in_approved_and_seen_on_the_host(sidecar: Sidecar):
    """One plan before a restart, one after: plans, tokens and runs are still there."""
    author, reviewer = (
        sidecar.treegate("token", "create", "--name", role, "--role", role)["token"]
        for role in ("author", "reviewer")
    )
    first, second = (
        sidecar.ask("/plans", author, moved(*what)) for what in (("scan0.pdf", "Scans/"), ("scan1.pdf", "Letters/"))
    )
    sidecar.ask(f"/plans/{first['id']}/approve", reviewer, {"digest": first["digest"]})
    sidecar.until_applied(first["id"], author)
    scans = Path(sidecar.environ["TREEGATE_WORKSPACE"]) / "projects/Smith/Scans"
    assert (scans / "scan0.pdf").read_text() == "scan0.pdf"
    assert (scans.stat().st_uid, (scans / "scan0.pdf").stat().st_uid) == (UID, UID)

    sidecar.compose("restart")
    sidecar.until_ready()
    assert sidecar.ask(f"/plans/{first['id']}", author)["state"] == "applied"
    assert sidecar.ask(f"/plans/{second['id']}", author)["state"] == "pending"
    sidecar.ask(f"/plans/{second['id']}/approve", reviewer, {"digest": second["digest"]})
    sidecar.until_applied(second["id"], author)
    assert (scans.parent / "Letters/scan1.pdf").read_text() == "scan1.pdf"


def test_a_worker_in_the_container_takes_what_is_dropped_on_the_host(sidecar: Sidecar):
    """`exec` beside the service, as from the host's cron."""
    sidecar.compose("exec", "-T", "treegate", "treegate", "worker", "--once")
    queue = Path(sidecar.environ["TREEGATE_WORKSPACE"]) / "Database/reorg_queue"
    (queue / "1-Smith.json").write_text(json.dumps(moved("scan0.pdf", "Dropped/")))
    sidecar.compose("exec", "-T", "treegate", "treegate", "worker", "--once")
    assert list(queue.glob("1-Smith.json")) == []
    assert len([*queue.glob("pending/*/status"), *queue.glob("failed/*/status")]) == 1


def test_the_container_may_write_what_it_must_and_nothing_else(sidecar: Sidecar):
    """A read-only root, no capability, no new privileges, a user of its own, loopback."""
    [found] = json.loads(sidecar.docker("inspect"))
    held = found["HostConfig"]
    assert (held["ReadonlyRootfs"], held["CapDrop"], held["Privileged"]) == (True, ["ALL"], False)
    assert "no-new-privileges:true" in held["SecurityOpt"]
    assert {one["HostIp"] for ports in held["PortBindings"].values() for one in ports} == {"127.0.0.1"}
    status = sidecar.compose("exec", "-T", "treegate", "cat", "/proc/self/status")
    said = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert (said["Uid"].split()[0], said["NoNewPrivs"], int(said["CapBnd"], 16)) == (str(UID), "1", 0)
    tried = "import os; print([p for p in ('/', '/usr', '/opt/treegate', '/etc', '/mnt') if os.access(p, os.W_OK)])"
    assert sidecar.compose("exec", "-T", "treegate", "python3", "-c", tried).strip() == "[]"


def test_docker_sees_that_it_is_well(sidecar: Sidecar):
    """The health check of the image holds."""
    poll(lambda: sidecar.docker("inspect", "--format", "{{.State.Health.Status}}").strip() == "healthy")


def test_pictures_are_drawn_in_the_container(sidecar: Sidecar):
    """The process that draws is sealed there too."""
    code = "from treegate.engine import confine; print(confine.seal())"
    assert sidecar.compose("exec", "-T", "treegate", "/opt/treegate/bin/python", "-c", code).strip() == "True"


@pytest.fixture(scope="module")
def commands(sidecar: Sidecar) -> Iterator[Sidecar]:
    """The same, with an image for commands, made of this machine's Python."""
    from treegate.engine.sandbox import images

    images.build_from_host(SANDBOX_IMAGE)
    poll(lambda: "helper.sock" in sidecar.compose("exec", "-T", "treegate", "ls", "/run/treegate"))
    yield sidecar
    subprocess.run(["docker", "rmi", "--force", SANDBOX_IMAGE], capture_output=True)


def test_a_command_runs_in_a_sandbox_although_the_service_cannot_reach_docker(commands: Sidecar):
    """Its view is the daemon's, on the host's own folder; what it did waits as a plan, and nothing of it is left."""
    case = Path(commands.environ["TREEGATE_WORKSPACE"]) / "projects/Smith"
    (case / "letter.txt").write_text("dear")
    os.chown(case / "letter.txt", UID, UID)
    script = "id -u; cat letter.txt; mv letter.txt renamed.txt; echo more > new.txt"
    exec_ = ("exec", "-T", "treegate", "treegate", "run", "Smith", "--json", "--", "sh", "-c", script)
    told = json.loads(commands.compose(*exec_))
    assert (told["stdout"], told["status"], told["operations"]) == (f"{UID}\ndear", 0, 2)
    assert (case / "letter.txt").read_text() == "dear"
    assert not (case / "new.txt").exists()
    listed = ran("docker", "ps", "--all", "--quiet", "--filter", "label=treegate.sandbox")
    volumes = ran("docker", "volume", "ls", "--quiet", "--filter", "label=treegate.sandbox")
    assert (listed, volumes) == ("", "")


def test_docker_is_within_reach_of_the_helper_alone(commands: Sidecar):
    """The web process has no such socket; who has it has no network, no capability, and no writable workspace."""
    tried = "import os; print(os.path.exists('/var/run/docker.sock'), os.access('/mnt/workspace', os.W_OK))"
    for service, found in (("treegate", "False True"), ("sandbox", "True False")):
        assert commands.compose("exec", "-T", service, "python3", "-c", tried).strip() == found
    [held] = json.loads(commands.docker("inspect", service="sandbox"))
    assert held["HostConfig"]["NetworkMode"] == "none"
    assert held["HostConfig"]["CapDrop"] == ["ALL"]


def test_the_image_for_commands_holds_what_scripts_use(base: str):
    """Whoever runs in it is nobody of the host's, and finds every package, isolated or not, also as `python`."""
    tag = "treegate-test-mutator"
    ran("docker", "build", "--network", "none", "--build-arg", f"BASE={base}", "-t", tag, str(MUTATOR))
    code = "import docx, msgspec, openpyxl, os, PIL.Image, pypdf; print(os.getuid())"
    for python in (("python3",), ("python", "-I")):
        made = ran("docker", "run", "--rm", "--network", "none", "--read-only", tag, *python, "-c", code)
        assert made == "60123\n"
    ran("docker", "rmi", tag)
