"""Views that the Docker daemon makes, where it sees nothing of what treegate mounts: overlays, and private copies."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.engine.sandbox.conftest import Bench, Ran, containers

from treegate.engine.sandbox import docker
from treegate.engine.sandbox.order import SANDBOX_USER, Case, Ended, Limits, Started

UID = 1234
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files to others")
pytestmark = root_only


class Elsewhere:
    """A case of somebody's, and commands on it with a daemon that finds it at another place: a link, here."""

    def __init__(self, bench: Bench, image: str) -> None:
        self.bench, self.case, self.image = bench, bench.case, image

    def owned(self, uid: int = UID) -> None:
        for path in (self.case, *self.case.rglob("*")):
            os.chown(path, uid, uid, follow_symlinks=False)

    def run(self, script: str, **other: Any) -> Ran:
        place = str(self.bench.place)
        given = {"engine": "docker", "image": self.image, "host_workspace": (place, place), **other}
        return self.bench.run("sh", "-c", script, **given)

    @property
    def left(self) -> list[str]:
        label = f"{docker.STATE_LABEL}={self.bench.place}"
        volumes = ["docker", "volume", "ls", "--quiet", "--filter", f"label={label}"]
        found = subprocess.run(volumes, capture_output=True, text=True, check=True).stdout.split()
        return containers(label) + found


@pytest.fixture
def elsewhere(bench: Bench, image: str) -> Elsewhere:
    return Elsewhere(bench, image)


SCRIPT = (
    "id -u; mv scans old; mv a.txt old/; echo more >> b.txt; rm c.txt old/2.txt; cp b.txt d.txt; mkdir new; "
    "chmod 700 e.txt; ln -s b.txt l; cat /tools/t.py"
)
BRIEF = [
    "create d.txt", "delete c.txt", "delete scans/2.txt", "mkdir new", "move a.txt -> old/a.txt",
    "move scans -> old", "replace b.txt", "symlink l",
]  # fmt: skip


def filled(elsewhere: Elsewhere) -> None:
    (elsewhere.case / "scans").mkdir()
    for name in ("a.txt", "b.txt", "c.txt", "e.txt", "scans/1.txt", "scans/2.txt"):
        (elsewhere.case / name).write_text(name)
    (elsewhere.case / ".treegate").mkdir()
    (elsewhere.bench.tools / "t.py").write_text("tool")


@pytest.mark.parametrize(("owner", "view", "user"), [(UID, "overlay", UID), (0, "copy", SANDBOX_USER)])
def test_what_a_command_does_is_told_and_the_case_stays_as_it_is(
    elsewhere: Elsewhere, owner: int, view: str, user: int
):
    """An overlay as the case's owner; of root's cases a copy, for no command is root."""
    filled(elsewhere)
    elsewhere.owned(owner)
    before = sorted((str(path), path.stat().st_mtime_ns) for path in elsewhere.case.rglob("*"))
    ran = elsewhere.run(SCRIPT + "; ls -A | tr '\\n' ' '")
    assert ran.of(Started).view == view
    assert ran.out == f"{user}\ntoolb.txt d.txt e.txt l new old "
    assert ran.brief() == BRIEF
    assert sorted((str(path), path.stat().st_mtime_ns) for path in elsewhere.case.rglob("*")) == before
    assert elsewhere.left == []


def test_contents_come_out_whole(elsewhere: Elsewhere):
    """Small ones, empty ones, and one of several messages."""
    elsewhere.owned()
    ran = elsewhere.run("head -c 5000000 /dev/zero | tr '\\0' x > big; : > empty; echo hello > small")
    bound = {one["path"]: one for one in ran.operations if one["op"] == "create"}
    assert sorted(bound) == ["big", "empty", "small"]
    sizes = sorted(path.stat().st_size for path in elsewhere.bench.blobs.rglob("*") if path.is_file())
    assert sizes == [0, 6, 5_000_000]


def test_names_that_docker_would_split_at(elsewhere: Elsewhere):
    """And names that are no text."""
    case = elsewhere.bench.place / "projects" / "a,ro:b\\c d,ro"
    case.mkdir()
    for name in (b"x,y", b"no\xfftext"):
        (case / os.fsdecode(name)).write_text("x")
    for path in (case, *case.iterdir()):
        os.chown(path, UID, UID)
    ran = elsewhere.run("mv 'x,y' 'y:z'", cases=(Case(name=case.name, folder=str(case)),))
    assert ran.of(Started).view == "overlay"
    assert ran.brief() == ["move x,y -> y:z"]


def test_a_workspace_that_is_another_one_there_is_refused(elsewhere: Elsewhere, tmp_path: Path):
    """Nothing runs on a folder that is not the case."""
    other = tmp_path / "other"
    (other / "projects/Case").mkdir(parents=True)
    os.chown(other / "projects/Case", UID, UID)
    elsewhere.owned()
    ran = elsewhere.run("touch x", host_workspace=(str(elsewhere.bench.place), str(other)))
    assert ran.failed.code == "host-workspace-wrong"
    assert elsewhere.left == []


def test_a_place_that_is_not_there_is_said(elsewhere: Elsewhere):
    elsewhere.owned()
    ran = elsewhere.run("touch x", host_workspace=(str(elsewhere.bench.place), "/nowhere"))
    assert ran.failed.code in ("docker-refused", "sandbox-unfit")
    assert "/nowhere" in ran.failed.message
    assert elsewhere.left == []


@pytest.mark.parametrize("owner", [UID, 0])
def test_whoever_writes_too_much_is_ended_and_told_so(elsewhere: Elsewhere, owner: int):
    elsewhere.owned(owner)
    script = "i=0; while :; do i=$((i+1)); head -c 4000000 /dev/zero > f$i; done"
    ran = elsewhere.run(script, limits=Limits(seconds=60, written=64 << 20, entries=20_000, memory=256 << 20))
    assert (ran.exited.status, ran.exited.ended) == (137, Ended.ITSELF)
    assert ran.failed.code == "sandbox-too-much"
    assert elsewhere.left == []


def test_what_others_changed_meanwhile_is_told(elsewhere: Elsewhere):
    filled(elsewhere)
    elsewhere.owned()

    def meddle(frame: Any) -> None:
        if type(frame).__name__ == "Output":
            (elsewhere.case / "b.txt").write_text("meddled")
            (elsewhere.case / "go").touch()

    place = str(elsewhere.bench.place)
    given = {"engine": "docker", "image": elsewhere.image, "host_workspace": (place, place)}
    script = "mv b.txt z.txt; echo moved; sleep 2"
    ran = elsewhere.bench.run("sh", "-c", script, meanwhile=meddle, **given)
    assert "Case/b.txt" in ran.captured.changed


def test_an_image_without_msgspec_is_said(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch):
    """It is what our own code inside needs."""
    import tempfile

    from treegate.engine.sandbox import daemon, hostimage

    monkeypatch.setattr(hostimage, "PACKAGES", ())
    with tempfile.TemporaryFile() as file, daemon.connect() as engine:
        hostimage.write(file)
        file.seek(0)
        bare = engine.import_image(file, "treegate-test-bare:latest", hostimage.CHANGES)
    elsewhere.owned()
    ran = elsewhere.run("true", image=bare)
    subprocess.run(["docker", "rmi", "--force", bare], capture_output=True)
    assert (ran.failed.code, "msgspec" in ran.failed.message) == ("image-broken", True)
    assert elsewhere.left == []
