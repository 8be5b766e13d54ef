"""The view: each case as its command sees it, an overlay (overlayfs) whose changes lie in a layer of their own.

The kernel marks in that layer what was renamed, and from where (`redirect_dir`, `metacopy`), so that a folder of any
size is renamed without a copy; `index` is off, for with it an edit of a file with several names would show under
names that nobody touched. Nothing here is to outlast a crash, so nothing is synced (`volatile`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

from treegate.engine import handles
from treegate.engine.sandbox import idmap, mounting
from treegate.engine.sandbox.order import SANDBOX_USER, Case

_OPTIONS = "redirect_dir=on,metacopy=on,index=off,volatile"
_LONGEST, LONG_ENOUGH = "/sys/module/overlay/parameters/redirect_max", 4096
_MARK = "trusted.treegate"
_FLAGS = mounting.NODEV | mounting.NOSUID


class Owner(NamedTuple):
    """A user and a group, by their numbers."""

    uid: int
    gid: int


class Layer(NamedTuple):
    """One case in view: the case as it is, what was changed of it, and both together."""

    case: Case
    lower: str  # the case, its owner as the command sees it
    upper: str
    seen: str


class Unfit(Exception):
    """No view of this kind can be had here: why not, in words."""


def make_folders(area: str, below: str) -> None:
    """Makes the folders of a first case beforehand: a new filesystem takes some milliseconds for its first ones."""
    _folders(area, below, "0")


def overlays(cases: Sequence[Case], area: str, below: str) -> tuple[list[Layer], Owner]:
    """Mounts a view of each case, and tells who the command has to be to change it as its owner could.

    `area` is an own folder for mount points, `below` one on a filesystem that can hold upper layers. Raises Unfit.
    """
    prove(below)
    try:
        made = [_overlay(case, str(number), area, below) for number, case in enumerate(cases)]
    except OSError as error:
        raise Unfit(f"no overlay can be mounted on this case: {error.strerror or error}") from None
    owners = {owner for _, owner in made}
    if len(owners) > 1 or any(0 in owner for owner in owners):
        raise Unfit("the filesystem of the case cannot show its files as another user's, and they are root's")
    return [layer for layer, _ in made], owners.pop()


def _overlay(case: Case, name: str, area: str, below: str) -> tuple[Layer, Owner]:
    lower, seen, upper, work = _folders(area, below, name)
    owner = _lower(case.folder, lower)
    facts = os.stat(lower)
    os.chown(upper, facts.st_uid, facts.st_gid)
    os.chmod(upper, facts.st_mode & 0o7777)
    hide(lower, upper, case.hidden)
    os.utime(upper, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    mount(lower, upper, work, seen)
    return Layer(case, lower, upper, seen), owner


def _lower(folder: str, target: str) -> Owner:
    """Puts a case at a place, as its command is to see it; the case's owner there.

    Read-only: whatever ever goes wrong with what lies at that place, nothing of the case is changed by way of it.
    """
    try:
        idmap.mount_swapped(folder, target, (SANDBOX_USER, SANDBOX_USER))
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EPERM, errno.ENOSYS):
            raise
        with handles.closing(mounting.clone(folder)) as mounted:
            mounting.make_read_only(mounted)
            mounting.attach(mounted, target)
    facts = os.stat(target)
    return Owner(facts.st_uid, facts.st_gid)


def _folders(area: str, below: str, name: str) -> list[str]:
    """The folders of a view: where its case is mounted, and it itself; its upper layer, and what goes with that."""
    parts = ((area, "low", name), (area, "seen", name), (below, name, "upper"), (below, name, "work"))
    return [_folder(*part) for part in parts]


def _folder(*parts: str) -> str:
    path = os.path.join(*parts)
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def hide(lower: str, upper: str, names: Sequence[str]) -> None:
    """Has an overlay not show some names of its lower layer's top, by what it marks vacated names with itself."""
    for name in names:
        if os.path.lexists(os.path.join(lower, name)):
            os.mknod(os.path.join(upper, name), stat.S_IFCHR, os.makedev(0, 0))


def mount(lower: str, upper: str, work: str, target: str) -> None:
    """Mounts an overlay. Folders are named by handles: names may hold commas and colons, and be of any length."""
    with ExitStack() as held:
        fds = [held.enter_context(handles.closing(handles.open_root(path))) for path in (lower, upper, work)]
        named = (f"/proc/self/fd/{fd}" for fd in fds)
        options = "lowerdir={},upperdir={},workdir={},".format(*named) + _OPTIONS
        mounting.mount("overlay", target, "overlay", _FLAGS, options)


def longest_rename() -> int:
    """How long, in bytes, the path of an entry may be so that an overlay can rename it; further up it says EXDEV.

    Raised for this machine if it can be: it is a parameter of the kernel's overlayfs, and only allows more.
    """
    with contextlib.suppress(OSError), open(_LONGEST, "r+") as file:
        if int(file.read()) < LONG_ENOUGH:
            file.seek(0)
            file.write(str(LONG_ENOUGH))
    try:
        with open(_LONGEST) as file:
            return int(file.read())
    except OSError:
        return LONG_ENOUGH


def prove(below: str) -> None:
    """Raises Unfit unless this process can make the overlay's marks, and see them.

    To whoever lacks the privilege they read as absent, and a renamed folder as deleted.
    """
    try:
        os.setxattr(below, _MARK, b"seen")
        if os.getxattr(below, _MARK) == b"seen":
            return
    except OSError as error:
        raise Unfit(f"the marks of an overlay cannot be read here: {error.strerror}") from None
    raise Unfit("the marks of an overlay cannot be read here")


def rehearse(below: str) -> None:
    """Raises Unfit unless a folder and a file that are renamed in an overlay leave the marks that tell so."""
    lower, upper, work, seen = (_folder(below, "rehearsal", name) for name in ("lower", "upper", "work", "seen"))
    os.mkdir(os.path.join(lower, "folder"))
    with open(os.path.join(lower, "file"), "wb") as file:
        file.write(b"content")
    try:
        mount(lower, upper, work, seen)
    except OSError as error:
        raise Unfit(f"no overlay can be mounted here: {error.strerror}") from None
    try:
        for name in ("folder", "file"):
            os.rename(os.path.join(seen, name), os.path.join(seen, f"other {name}"))
        redirect = os.getxattr(os.path.join(upper, "other folder"), "trusted.overlay.redirect")
        os.getxattr(os.path.join(upper, "other file"), "trusted.overlay.metacopy")
    except OSError as error:
        raise Unfit(f"this kernel's overlay does not tell what was renamed: {error.strerror}") from None
    finally:
        mounting.unmount(seen, lazily=True)
    if redirect != b"folder":
        raise Unfit(f"this kernel's overlay tells of renames in a way that is not known: {redirect!r}")
