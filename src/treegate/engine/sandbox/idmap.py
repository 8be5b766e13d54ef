"""Owners as a command sees them: those of the case are its own user's, whoever that is on the disk.

A command never runs as root. So that it can change a case that is root's, it sees the case through a mount on which
the owner of the case and the command's user have changed places (mount_setattr(2), id-mapped mounts); everybody else
is who they are. What is stored on the disk stays as it is.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

from treegate.engine import handles
from treegate.engine.sandbox import mounting

_ALL = 0xFFFFFFFF  # ids there are: 0 to 2**32 - 2


def swapped(a: int, b: int) -> str:
    """A map of ids, as /proc/PID/uid_map takes it, on which two ids change places."""
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in _rows(a, b) if count)


def _rows(a: int, b: int) -> Iterator[tuple[int, int, int]]:
    low, high = sorted((a, b))
    if low == high:
        yield 0, 0, _ALL
        return
    yield 0, 0, low
    yield low, high, 1
    yield low + 1, low + 1, high - low - 1
    yield high, low, 1
    yield high + 1, high + 1, _ALL - high - 1


def namespace(owner: tuple[int, int], seen: tuple[int, int]) -> int:
    """A handle of a user namespace whose maps swap a pair of ids, user and group, with another."""
    ready, told = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _be_namespace(told, parent)
    try:
        handles.close(told)
        os.read(ready, 1)
        for kind, a, b in zip(("uid_map", "gid_map"), owner, seen, strict=True):
            with open(f"/proc/{child}/{kind}", "w") as file:
                file.write(swapped(a, b))
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        handles.close(ready)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _be_namespace(told: int, parent: int) -> None:
    """Lives in a new user namespace until killed, which is as soon as somebody holds it, or its maker is gone."""
    try:
        mounting.die_with_parent()
        if os.getppid() != parent:  # gone already
            os._exit(1)
        mounting.unshare(mounting.NEW_USER)
        mounting.die_with_parent()  # once more: other credentials can have unsaid it
        os.write(told, b"1")
        handles.close(told)
        signal.pause()
    finally:
        os._exit(1)


def mount_swapped(folder: str, target: str, seen: tuple[int, int]) -> None:
    """Mounts a folder at a place, read-only, its owner and group as `seen`; OSError where its filesystem cannot."""
    facts = os.stat(folder)
    owners = namespace((facts.st_uid, facts.st_gid), seen)
    with handles.closing(owners), handles.closing(mounting.clone(folder)) as mounted:
        mounting.map_owners(mounted, owners)
        mounting.make_read_only(mounted)
        mounting.attach(mounted, target)
