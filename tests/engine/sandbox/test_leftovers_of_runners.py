"""What a runner that is killed leaves behind, and that the next sweep takes it away: never anything of a case."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.engine.sandbox.conftest import Bench, containers, poll

from treegate.engine.sandbox import docker, leftovers, session
from treegate.engine.sandbox.order import EngineName, Output, Started
from treegate.engine.sandbox.session import Session

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who mounts")


def begun(bench: Bench, engine: EngineName, image: str = "", script: str = "echo begun; sleep 300") -> Session:
    """A command under way, whose folder is where the gate would have it."""
    (bench.case / "file").write_text("kept")
    order = bench.order("sh", "-c", script, engine=engine, image=image)
    under_way = session.start(order)
    for frame in under_way:
        if isinstance(frame, Output):
            return under_way
        assert isinstance(frame, Started), frame
    raise AssertionError("nothing began")


def killed(under_way: Session, *more: int) -> None:
    for pid in (under_way.runner, *more):
        os.kill(pid, signal.SIGKILL)
    under_way._ready.process.wait()


def hands(runner: int) -> list[int]:
    """The processes that hold a runner's containers."""
    with open(f"/proc/{runner}/task/{runner}/children") as file:
        return [
            pid for pid in map(int, file.read().split()) if b"dockerhand" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]


def mounted(place: Path) -> list[str]:
    with open("/proc/self/mountinfo") as file:
        return [line for line in file if str(place) in line]


def ours(bench: Bench) -> list[str]:
    return containers(f"{docker.STATE_LABEL}={bench.place}")


@root_only
def test_a_runner_and_its_hand_killed_at_once_leave_a_container_and_mounts_until_the_sweep(bench: Bench, image: str):
    under_way = begun(bench, "docker", image)
    killed(under_way, *hands(under_way.runner))
    assert len(ours(bench)) == 1
    assert mounted(bench.place) != []
    leftovers.sweep(str(bench.place))
    assert ours(bench) == []
    assert mounted(bench.place) == []
    assert os.listdir(bench.place / "scratch") == []
    assert os.listdir(bench.place / leftovers.NOTES) == []
    assert (bench.case / "file").read_text() == "kept"
    assert leftovers.sweep(str(bench.place)) == []


@root_only
def test_a_runner_that_is_killed_takes_its_container_along(bench: Bench, image: str):
    """Its hand sees that, without any sweep."""
    under_way = begun(bench, "docker", image)
    killed(under_way)
    poll(lambda: ours(bench) == [])
    leftovers.sweep(str(bench.place))
    assert (mounted(bench.place), os.listdir(bench.place / leftovers.NOTES)) == ([], [])


@root_only
def test_what_a_living_runner_holds_is_left_alone(bench: Bench, image: str):
    """Of two that run side by side, one is killed; the other does not notice."""
    living = begun(bench, "docker", image, "echo begun; sleep 200; exit 5")
    dead = begun(bench, "docker", image)
    killed(dead, *hands(dead.runner))
    for _ in range(3):
        leftovers.sweep(str(bench.place))
    assert len(ours(bench)) == 1
    living.cancel()
    assert [type(frame).__name__ for frame in living][-1] == "Captured"
    living.close()
    assert (ours(bench), mounted(bench.place), os.listdir(bench.place / leftovers.NOTES)) == ([], [], [])


@root_only
def test_a_command_of_bubblewrap_leaves_nothing_either(bench: Bench):
    under_way = begun(bench, "bwrap")
    killed(under_way)
    leftovers.sweep(str(bench.place))
    assert mounted(bench.place) == []
    assert os.listdir(bench.place / "scratch") == []
    assert (bench.case / "file").read_text() == "kept"


def test_sweeping_where_there_is_nothing_is_quick_and_asks_nobody(bench: Bench):
    """Docker's SDK is not even imported, and no daemon is called."""
    code = f"""
import sys, time
from treegate.engine.sandbox import leftovers
began = time.monotonic()
for _ in range(10): assert leftovers.sweep({str(bench.place)!r}) == []
print(time.monotonic() - began < 0.5, "docker" in sys.modules)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "True False\n", done.stderr


@root_only
def test_a_mount_that_stays_is_never_cleared_through(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """A case that cannot be unmounted is as it was."""
    area = bench.place / "scratch/sb_9"
    (area / "low").mkdir(parents=True)
    (area / leftovers.LOCK).touch()
    (bench.case / "file").write_text("kept")
    subprocess.run(["mount", "--bind", str(bench.case), str(area / "low")], check=True)
    try:
        monkeypatch.setattr(leftovers, "_unmounted", lambda points: [])
        with pytest.raises(OSError, match=r"busy|link|cross"):
            leftovers.sweep(str(bench.place))
    finally:
        subprocess.run(["umount", str(area / "low")], check=True)
    assert (bench.case / "file").read_text() == "kept"


@root_only
def test_a_note_stays_while_no_daemon_answers(bench: Bench, image: str, monkeypatch: pytest.MonkeyPatch):
    """What could not be removed now is removed by a later sweep."""
    under_way = begun(bench, "docker", image)
    killed(under_way, *hands(under_way.runner))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{bench.place}/none")
    leftovers.sweep(str(bench.place))
    monkeypatch.undo()
    assert len(ours(bench)) == 1
    leftovers.sweep(str(bench.place))
    assert (ours(bench), os.listdir(bench.place / leftovers.NOTES)) == ([], [])
