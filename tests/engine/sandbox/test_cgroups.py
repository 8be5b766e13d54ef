"""Control groups: limits that hold for a command and all that it starts, and an end that nothing escapes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from treegate.engine.sandbox import bounds, cgroups
from treegate.engine.sandbox.cgroups import Group
from treegate.engine.sandbox.order import Limits

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes control groups")


@pytest.fixture
def group() -> Iterator[Group]:
    made = Group.make("test", Limits(memory=96 << 20, processes=20, processors=0.25))
    if not made:
        pytest.skip(f"no control group can be made here: {made.lacking}")
    yield made
    made.wait_empty(10)
    made.remove()


def started(group: Group, code: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", "-c", code]
    return subprocess.Popen(command, preexec_fn=group.enter, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def needs(group: Group, controller: str) -> None:
    if not group.keeps(controller):
        pytest.skip(f"there is no controller {controller} here")


def test_memory_is_bounded_and_the_kill_is_told(group: Group):
    """A process that takes more than the group has is killed, and `out_of_memory` says by whom; not before."""
    needs(group, "memory")
    assert not group.out_of_memory()
    process = started(group, "held = []\nwhile True: held.append(bytearray(b'x') * (8 << 20))")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert group.out_of_memory()


def test_of_a_group_that_somebody_took_away_no_kill_is_told():
    group = Group.make("taken", Limits())
    needs(group, "memory")
    group.remove()
    assert not group.out_of_memory()


TEN = """
import os, time
for _ in range(10):
    if not os.fork():
        held = bytearray(b"x") * (16 << 20)
        time.sleep(60)
os.wait()
"""


def test_what_a_command_starts_counts_with_it(group: Group):
    """Ten processes that each take a sixth of the limit are too much together."""
    needs(group, "memory")
    process = started(group, TEN)
    until = time.monotonic() + 20
    while not group.out_of_memory() and time.monotonic() < until:
        time.sleep(0.05)
    assert group.out_of_memory()
    assert group.wait_empty(10)
    process.communicate(timeout=10)


def test_a_fork_bomb_ends_at_the_limit(group: Group):
    """Once the group is full a fork fails; what was started before lives on, and all of it ends at once."""
    needs(group, "pids")
    code = "import os, time\nfor count in range(500):\n    try: pid = os.fork()\n    except OSError: break\n"
    process = started(group, code + "    if not pid: time.sleep(60)\nprint(count, flush=True)\ntime.sleep(60)")
    assert process.stdout
    assert int(process.stdout.readline()) <= 22
    assert not group.empty()
    group.kill_all()
    process.communicate(timeout=10)
    assert group.wait_empty(10)


BUSY = """
import time
start = time.monotonic()
while time.monotonic() - start < 2: pass
print(time.process_time())
"""


def test_processors_are_shared_out(group: Group):
    """A quarter of a processor is what an endless loop gets."""
    needs(group, "cpu")
    told = started(group, BUSY).communicate(timeout=60)[0]
    assert float(told) < 1.0


BOMB = """
import os, signal
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(number, signal.SIG_IGN)
print("up", flush=True)
while True:
    try:
        if not os.fork(): os.setsid()
    except OSError: pass
"""


def test_nothing_outruns_the_end(group: Group):
    """Processes that fork without end, in sessions of their own, deaf to signals: none is left."""
    process = started(group, BOMB)
    assert process.stdout
    process.stdout.readline()
    time.sleep(0.2)
    group.kill_all()
    assert group.wait_empty(10)
    process.stdout.close()
    process.wait(10)


def test_the_end_comes_without_version_2_too(group: Group, monkeypatch: pytest.MonkeyPatch):
    """Where the kernel has no `cgroup.kill`, no new process is let in, and the others are killed one by one."""
    needs(group, "pids")
    process = started(group, BOMB)
    assert process.stdout
    process.stdout.readline()
    whole = cgroups._Folder.write

    def write(folder: cgroups._Folder, name: str, text: str) -> None:
        if name == "cgroup.kill":
            raise FileNotFoundError(name)
        whole(folder, name, text)

    monkeypatch.setattr(cgroups._Folder, "write", write)
    group.kill_all()
    assert group.wait_empty(10)
    process.stdout.close()
    process.wait(10)


def test_a_process_that_nobody_waited_for_does_not_keep_a_group(group: Group):
    """What is dead counts as gone, whether its parent has asked for its status or not."""
    process = started(group, "print('up', flush=True)\nimport time\ntime.sleep(60)")
    assert process.stdout
    process.stdout.readline()
    assert group.wait_empty(10)
    group.remove()
    assert not any(os.path.exists(path) for path in group.entrances())
    process.communicate(timeout=10)


LEAVES = """
import os, subprocess, sys
from treegate.engine.sandbox.cgroups import Group
from treegate.engine.sandbox.order import Limits
group = Group.make("crashed", Limits())
null = open(os.devnull, "w")
process = subprocess.Popen(["sleep", "60"], stdout=null, stderr=null, preexec_fn=group.enter, start_new_session=True)
print(process.pid, *group.entrances(), flush=True)
os.kill(os.getpid(), 9)
"""


def test_what_a_crash_left_is_swept_away_and_what_lives_is_not(group: Group):
    """The groups of a maker that was killed go with all that runs in them; one whose maker lives stays."""
    lives = started(group, "print('up', flush=True)\nimport time\ntime.sleep(60)")
    assert lives.stdout
    lives.stdout.readline()
    told = subprocess.run([sys.executable, "-c", LEAVES], capture_output=True, text=True, timeout=30).stdout.split()
    assert cgroups.sweep("another") == []
    assert os.path.exists(told[1])
    assert len(cgroups.sweep("crashed")) == 1
    assert not os.path.exists(f"/proc/{told[0]}") or "Z" in _state(told[0])
    assert not any(map(os.path.exists, told[1:]))
    assert lives.poll() is None
    group.kill_all()
    lives.communicate(timeout=10)


def _state(pid: str) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_makers_in_another_namespace_are_left_alone(group: Group):
    """Whether they live, nobody here can tell."""
    name = os.path.basename(os.path.dirname(group.entrances()[0]))
    assert cgroups._maker_lives(name)
    _, namespace, maker = name.split(".")
    pid, started = maker.split("-")
    assert cgroups._maker_lives(f"test.{int(namespace) + 1}.{pid}-{int(started) + 1}")
    assert not cgroups._maker_lives(f"test.{namespace}.{pid}-{int(started) + 1}")


FILES = {
    "memory": ("memory.max", "memory.swap.max", "memory.oom.group", "memory.events"),
    "pids": ("pids.max",),
    "cpu": ("cpu.max",),
}


@pytest.fixture
def unified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree as version 2 of control groups has it: a folder that is made has its files at once."""
    mkdir = os.mkdir

    def make(path: str, mode: int) -> None:
        mkdir(path, mode)
        names = ["cgroup.procs", "cgroup.kill", "cgroup.subtree_control"]
        down = Path(path).parent / "cgroup.subtree_control"
        names += [name for controller, files in FILES.items() if controller in down.read_text() for name in files]
        for name in names:
            (Path(path) / name).touch()

    (tmp_path / "cgroup.subtree_control").touch()
    monkeypatch.setattr(cgroups.os, "mkdir", make)
    hierarchy = cgroups.Hierarchy(str(tmp_path), ("memory", "pids", "cpu"), True)
    monkeypatch.setattr(cgroups, "hierarchies", lambda: iter((hierarchy,)))
    return tmp_path


def test_version_2_is_told_the_same_limits(unified: Path, monkeypatch: pytest.MonkeyPatch):
    """Where this machine has version 1, what would be written."""
    write = cgroups._Folder.write

    def gather(folder: cgroups._Folder, name: str, text: str) -> None:
        if name == "cgroup.subtree_control":  # which the kernel adds to what is there
            text = (Path(folder.path) / name).read_text() + text
        write(folder, name, text)

    monkeypatch.setattr(cgroups._Folder, "write", gather)
    group = Group.make("test", Limits(memory=1 << 20, processes=10, processors=0.5))
    (entrance,) = group.entrances()
    folder = Path(entrance).parent
    told = {name: (folder / name).read_text() for files in FILES.values() for name in files}
    assert told == {
        "memory.max": "1048576",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "memory.events": "",
        "pids.max": "12",
        "cpu.max": "50000 100000",
    }
    assert group.lacking == {}
    assert not group.out_of_memory()
    (folder / "memory.events").write_text("low 0\noom 3\noom_kill 2\noom_group_kill 1\n")
    assert group.out_of_memory()
    group.kill_all()
    assert (folder / "cgroup.kill").read_text() == "1"


def test_controllers_that_are_not_handed_down_are_lacking(unified: Path, monkeypatch: pytest.MonkeyPatch):
    """As in a container, where processes are in the way; the group is still good for ending all in it."""
    whole = cgroups._Folder.write

    def write(folder: cgroups._Folder, name: str, text: str) -> None:
        if name == "cgroup.subtree_control":
            raise OSError(errno.EBUSY, "Device or resource busy")
        whole(folder, name, text)

    monkeypatch.setattr(cgroups._Folder, "write", write)
    group = Group.make("test", Limits())
    assert group
    assert set(group.lacking.values()) == {"the controller is not handed down"}
    assert list(group.lacking) == ["memory", "pids", "cpu"]


def test_what_cannot_be_kept_is_said(monkeypatch: pytest.MonkeyPatch):
    """Without a single hierarchy there is no group; each process is bounded instead, and what is weaker is said."""
    monkeypatch.setattr(cgroups, "hierarchies", lambda: iter(()))
    limits = Limits(memory=1 << 29)
    group = Group.make("test", limits)
    assert not group
    assert group.wait_empty(0)
    assert bounds.of_each(limits, group)["RLIMIT_AS"] == 1 << 29
    why = "(no control group: there is no such controller)"
    assert bounds.weaker(limits, group) == (
        f"the memory of each process is limited, not that of all together {why}",
        f"nothing limits the share of the processors {why}",
    )


def test_a_group_leaves_processes_their_address_space(group: Group):
    """Memory that is asked for and not used is no matter where the group counts what is used."""
    needs(group, "memory")
    assert "RLIMIT_AS" not in bounds.of_each(Limits(), group)
