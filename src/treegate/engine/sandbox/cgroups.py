"""Control groups: what a command and all that it starts may use together, and the sure end of all of it.

A command has a group of its own in every hierarchy that is mounted: in version 1 there is one for each controller, in
version 2 one for all (cgroups(7)). Only root can make them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import NamedTuple

from treegate.engine import mounts
from treegate.engine.sandbox.order import Limits

PARENT = "treegate"  # the group in which all of ours are, right below what is mounted
_OWN = 2  # processes of bubblewrap itself: its monitor, and the first of the command's process namespace
_PERIOD = 100_000  # microseconds: over how long the use of processors is counted
_PAUSE = 0.001  # seconds between two looks at a group that is to become empty
_PROCS = "cgroup.procs"

_CONTROLLERS = ("memory", "pids", "cpu")

# What is set before all is killed, in version 1 and 2: no process starts any more, and dying, which takes a
# processor, is not held up.
_AT_THE_END = {
    "pids": (("pids.max", "0"), ("pids.max", "0")),
    "cpu": (("cpu.cfs_quota_us", "-1"), ("cpu.max", "max")),
}


class Hierarchy(NamedTuple):
    """One mounted hierarchy: where, with which of our controllers, and whether it is of version 2."""

    point: str
    controllers: tuple[str, ...]
    unified: bool


class _Folder(NamedTuple):
    path: str
    unified: bool

    def write(self, name: str, text: str) -> None:
        fd = os.open(f"{self.path}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)

    def read(self, name: str) -> str:
        with open(f"{self.path}/{name}") as file:
            return file.read()

    def processes(self) -> list[int]:
        try:
            return [int(line) for line in self.read(_PROCS).split()]
        except FileNotFoundError:
            return []

    def kill(self) -> None:
        """All at once where the kernel can (Linux 5.14); else one by one, to be repeated until it is done."""
        with contextlib.suppress(OSError):
            self.write("cgroup.kill", "1")
            return
        for pid in self.processes():
            if pid:  # 0 is a process that this namespace does not see
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


class Group:
    """The group of one command; without folders, and false, where none could be made."""

    def __init__(self, folders: dict[str, _Folder], lacking: dict[str, str] | None = None) -> None:
        self._by_controller = folders
        self._folders = tuple(dict.fromkeys(folders.values()))
        self.lacking = lacking or {}  # controllers whose limit is not kept, and why

    @classmethod
    def make(cls, id: str, limits: Limits) -> Group:
        """A group with its limits set; its name says who made it, so that `sweep` knows whom it outlived.

        What cannot be limited here is no error, but in `lacking`.
        """
        made: dict[str, _Folder] = {}
        lacking = dict.fromkeys(_CONTROLLERS, "there is no such controller")
        for hierarchy in hierarchies():
            try:
                folder = _made(hierarchy, f"{id}.{_maker(os.getpid())}")
            except OSError as error:
                lacking.update(dict.fromkeys(hierarchy.controllers, error.strerror or str(error)))
                continue
            made[f"in {hierarchy.point}"] = folder
            for controller in hierarchy.controllers:
                try:
                    _limit(folder, controller, limits)
                except FileNotFoundError:
                    lacking[controller] = "the controller is not handed down"
                except OSError as error:
                    lacking[controller] = error.strerror or str(error)
                else:
                    made[controller] = folder
                    del lacking[controller]
        return cls(made, lacking)

    def __bool__(self) -> bool:
        """Whether there is a group at all."""
        return bool(self._folders)

    def keeps(self, controller: str) -> bool:
        """Whether the limit of a controller ("memory", "pids", "cpu") is kept."""
        return controller in self._by_controller

    def entrances(self) -> tuple[str, ...]:
        """The files to which a process writes "0" to enter, for one that cannot call `enter`."""
        return tuple(f"{folder.path}/{_PROCS}" for folder in self._folders)

    def enter(self) -> None:
        """The calling process enters, with all that it starts from here on.

        The first file takes 5-20 ms, for the kernel waits until no processor is amid a fork; the others nothing.
        """
        for folder in self._folders:
            folder.write(_PROCS, "0")

    def kill_all(self) -> None:
        """Ends every process in it, and lets none start: no way of hiding a process leads out of its group."""
        for controller, (one, two) in _AT_THE_END.items():
            if folder := self._by_controller.get(controller):
                with contextlib.suppress(OSError):
                    folder.write(*(two if folder.unified else one))
        for folder in self._folders:
            folder.kill()

    def empty(self) -> bool:
        """Whether no process is left in it."""
        return not any(folder.processes() for folder in self._folders)

    def wait_empty(self, seconds: float) -> bool:
        """Kills until nothing is left, for so long at most; whether it came to that."""
        until = time.monotonic() + seconds
        while not self.empty():
            if time.monotonic() > until:
                return False
            self.kill_all()
            time.sleep(_PAUSE)
        return True

    def out_of_memory(self) -> bool:
        """Whether the kernel has killed something in it for want of memory: in version 2 it kills all at once.

        In version 1 it kills one process, and what is left may fight for memory and processors without end: whoever
        runs the command asks now and then, and kills the rest.
        """
        folder = self._by_controller.get("memory")
        if folder is None:
            return False
        try:
            told = folder.read("memory.events" if folder.unified else "memory.oom_control")
        except FileNotFoundError:  # somebody took the group away, who can do that only once it is empty
            return False
        return any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in told.splitlines())

    def remove(self) -> None:
        """Lets the group go; one that is not empty stays, for `sweep`."""
        for folder in self._folders:
            with contextlib.suppress(OSError):
                os.rmdir(folder.path)


def sweep(prefix: str = "") -> list[str]:
    """Ends and removes the groups whose maker is gone; their names, of those that begin with `prefix`."""
    left: dict[str, dict[str, _Folder]] = {}
    for hierarchy in hierarchies():
        for name in _names(f"{hierarchy.point}/{PARENT}"):
            if name.startswith(prefix) and not _maker_lives(name):
                folder = _Folder(f"{hierarchy.point}/{PARENT}/{name}", hierarchy.unified)
                left.setdefault(name, {}).update(dict.fromkeys(hierarchy.controllers, folder))
                left[name][hierarchy.point] = folder
    for folders in left.values():
        group = Group(folders)
        group.wait_empty(5.0)
        group.remove()
    return sorted(left)


def hierarchies() -> Iterator[Hierarchy]:
    """The hierarchies that are mounted, of those that serve us: with one of our controllers, or of version 2."""
    seen: set[str] = set()
    for mount in mounts.mounted():
        if mount.type not in ("cgroup", "cgroup2") or mount.type in seen:
            continue
        unified = mount.type == "cgroup2"
        there = _controllers(mount.point) if unified else mount.options
        here = tuple(one for one in _CONTROLLERS if one in there and one not in seen)
        seen.update(here, ["cgroup2"] if unified else [])
        if here or unified:
            yield Hierarchy(mount.point, here, unified)


def _controllers(point: str) -> list[str]:
    try:
        with open(f"{point}/cgroup.controllers") as file:
            return file.read().split()
    except OSError:
        return []


def _made(hierarchy: Hierarchy, name: str) -> _Folder:
    parent = _Folder(f"{hierarchy.point}/{PARENT}", hierarchy.unified)
    with contextlib.suppress(FileExistsError):
        os.mkdir(parent.path, 0o755)
    if hierarchy.unified:
        _hand_down(hierarchy, parent)
    os.mkdir(f"{parent.path}/{name}", 0o755)
    return _Folder(f"{parent.path}/{name}", hierarchy.unified)


def _hand_down(hierarchy: Hierarchy, parent: _Folder) -> None:
    """In version 2 a controller has to be handed down; one that cannot be is missing below, and found out there."""
    for above in (_Folder(hierarchy.point, True), parent):
        for controller in hierarchy.controllers:
            with contextlib.suppress(OSError):
                above.write("cgroup.subtree_control", f"+{controller}")


def _limit(folder: _Folder, controller: str, limits: Limits) -> None:
    """Sets what one controller keeps; raises OSError where it is not to be had."""
    if controller == "memory":
        _limit_memory(folder, limits.memory)
    elif controller == "pids":
        folder.write("pids.max", str(limits.processes + _OWN))
    elif folder.unified:
        folder.write("cpu.max", f"{int(limits.processors * _PERIOD)} {_PERIOD}")
    else:
        folder.write("cpu.cfs_period_us", str(_PERIOD))
        folder.write("cpu.cfs_quota_us", str(int(limits.processors * _PERIOD)))


def _limit_memory(folder: _Folder, most: int) -> None:
    """Memory, and no swap besides: kernels without an account of swap have no file for it."""
    if not folder.unified:
        folder.write("memory.limit_in_bytes", str(most))
        with contextlib.suppress(FileNotFoundError):
            folder.write("memory.memsw.limit_in_bytes", str(most))
        return
    folder.write("memory.max", str(most))
    for name, text in (("memory.oom.group", "1"), ("memory.swap.max", "0")):
        with contextlib.suppress(FileNotFoundError):
            folder.write(name, text)


def _names(path: str) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(path) if entry.is_dir()]
    except FileNotFoundError:
        return []


def _maker(pid: int) -> str:
    """What names a process of this machine once for all: its namespace, its number there, and when it started."""
    return f"{_namespace()}.{pid}-{_started(pid)}"


def _maker_lives(name: str) -> bool:
    """Whether a maker lives, or may live: whether there is a process in another namespace, nobody here can tell."""
    rest, _, maker = name.rpartition(".")
    pid, _, started = maker.partition("-")
    elsewhere = rest.rpartition(".")[2] != _namespace()
    return elsewhere or (pid.isdecimal() and _started(int(pid)) == started)


def _namespace() -> str:
    return str(os.stat("/proc/self/ns/pid").st_ino)


def _started(pid: int) -> str:
    """When a process started, in ticks of this machine: with its number it names one process; "" once it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode()
    except OSError:
        return ""
