"""Owner, ACL, extended attributes, mode and mtime of a staged entry: as if it had been made where it will lie.

A replacing file takes all of them from the file it replaces. A copy takes mode, mtime, user attributes and ACL
from its source. Everything else gets what its destination gives new entries: the group of a setgid folder,
the default ACL, or the umask (acl(5), chmod(2), mkdir(2)).
"""

from __future__ import annotations

import errno
import os
import stat as st
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from treegate.engine import posix
from treegate.errors import Denied
from treegate.model.capabilities import Capabilities
from treegate.model.table import Staged
from treegate.model.tree import unpack

OpenPlace = Callable[[int], int]  # place number -> a directory handle that stays the giver's

ACL_ACCESS, ACL_DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
_ACL_HEAD = struct.Struct("<I")
_ACL_ENTRY = struct.Struct("<HHI")  # tag, permissions, id: linux/posix_acl_xattr.h
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
# Of security.*, capabilities and signatures are about the old bytes and must not pass to new ones.
_KEPT_OF_REPLACED = ("user.", "trusted.", "security.selinux", ACL_ACCESS)
_KEPT_OF_SOURCE = ("user.", ACL_ACCESS)


class Dresser:
    """Gives staged entries what `Staged` rows ask for, as far as the mount keeps it."""

    def __init__(self, open_place: OpenPlace, caps: Capabilities) -> None:
        self._open_place = open_place
        self._caps = caps
        self._umask = posix.umask()

    def dress(self, row: Staged, fd: int) -> None:
        """Dress a file or folder. The order matters: each may undo the one after it, and mtime says "ready"."""
        if self._caps.keeps_modes:
            self._give_owner(row, fd)
            self._give_acl(row, fd)
        if self._caps.xattrs:
            self._give_xattrs(row, fd)
        if self._caps.keeps_modes:
            self._give_mode(row, fd)
        if self._caps.keeps_times:
            self._give_mtime(row, fd)

    def dress_link(self, row: Staged, parent: int) -> None:
        """Dress a link: it has an owner and an mtime of its own, and nothing else."""
        if self._caps.keeps_modes:
            uid, gid = self._owner(row)
            now = posix.facts(parent, row.name)
            if (now.uid, now.gid) != (uid, gid):
                with _deny_owner(row.name):
                    posix.set_owner_of_link(parent, row.name, uid, gid)
        if row.mtime is not None and self._caps.keeps_times:
            posix.utime(parent, row.name, row.mtime)

    def _owner(self, row: Staged) -> tuple[int, int]:
        if row.like:
            old = posix.facts(self._open_place(row.like[0]), row.like[1])
            return old.uid, old.gid
        into = os.fstat(self._open_place(row.into))
        return os.geteuid(), into.st_gid if into.st_mode & st.S_ISGID else os.getegid()

    def _give_owner(self, row: Staged, fd: int) -> None:
        uid, gid = self._owner(row)
        now = os.fstat(fd)
        if (now.st_uid, now.st_gid) != (uid, gid):
            with _deny_owner(row.name):
                posix.set_owner(fd, uid, gid)

    def _give_acl(self, row: Staged, fd: int) -> None:
        # What the new-area handed down is taken away first: it need not be what the destination would.
        for key in {ACL_ACCESS, ACL_DEFAULT} & posix.xattrs_of(fd).keys():
            posix.remove_xattr(fd, key)
        asked = 0o777 if row.kind == "dir" else 0o666
        default = b"" if row.like else posix.xattrs_of(self._open_place(row.into)).get(ACL_DEFAULT, b"")
        if not default:
            return posix.set_mode(fd, asked & ~self._umask)
        posix.set_xattr(fd, ACL_ACCESS, access_acl(default, asked))  # sets the mode with it
        if row.kind == "dir":
            posix.set_xattr(fd, ACL_DEFAULT, default)
        return None

    def _give_xattrs(self, row: Staged, fd: int) -> None:
        slot = row.like or row.source
        if slot is None:
            return
        wanted = _KEPT_OF_REPLACED if row.like else _KEPT_OF_SOURCE
        for key, value in posix.xattrs(self._open_place(slot[0]), slot[1]).items():
            if key.startswith(wanted):
                _give_xattr(fd, key, value)

    def _give_mode(self, row: Staged, fd: int) -> None:
        now = st.S_IMODE(os.fstat(fd).st_mode)
        mode = self._mode(row, now)
        if mode != now:
            posix.set_mode(fd, mode)

    def _mode(self, row: Staged, now: int) -> int:
        mode = row.mode
        if mode is None and row.like:
            mode = st.S_IMODE(posix.facts(self._open_place(row.like[0]), row.like[1]).mode)
        if mode is None and row.source:
            # A copy belongs to whoever runs this, perhaps root: it must not run with those rights.
            mode = unpack(row.source_facts).mode & 0o1777
        if mode is None:
            mode = now
        if row.kind == "dir":
            # Its children are still to come: `finish_folder` takes the owner's bits off again.
            mode |= 0o700 | os.fstat(self._open_place(row.into)).st_mode & st.S_ISGID
        return mode

    def _give_mtime(self, row: Staged, fd: int) -> None:
        mtime = row.mtime
        if mtime is None and row.source:
            mtime = unpack(row.source_facts).mtime
        if mtime is not None:
            posix.set_mtime(fd, mtime)


def finish_folder(fd: int, row: Staged) -> None:
    """Give a built folder its exact mode and mtime once everything is in it; may be done again.

    Building leaves the owner's bits on, and each child that comes in changes the mtime.
    """
    if row.mode is not None:
        posix.set_mode(fd, row.mode | os.fstat(fd).st_mode & st.S_ISGID)
    if row.mtime is not None:
        posix.set_mtime(fd, row.mtime)


def access_acl(default: bytes, asked: int) -> bytes:
    """The access ACL of a new entry under a default ACL, when `asked` is the mode it is made with.

    acl(5), "Object creation and default ACLs": the owner's, the others' and the mask's (without a mask the
    group's) permissions are cut down to those asked for; the umask has no part in it.
    """
    entries = acl_entries(default)
    group = MASK if any(tag == MASK for tag, _, _ in entries) else GROUP_OBJ
    limits = {USER_OBJ: asked >> 6 & 7, group: asked >> 3 & 7, OTHER: asked & 7}
    return default[: _ACL_HEAD.size] + b"".join(
        _ACL_ENTRY.pack(tag, allowed & limits.get(tag, 7), who) for tag, allowed, who in entries
    )


def acl_entries(acl: bytes) -> list[tuple[int, int, int]]:
    """The entries of an ACL's attribute: (tag, permissions, id)."""
    return list(_ACL_ENTRY.iter_unpack(acl[_ACL_HEAD.size :]))


def _give_xattr(fd: int, key: str, value: bytes) -> None:
    try:
        posix.set_xattr(fd, key, value)
    except OSError as error:
        # The system's own (labels, ACLs) may be out of reach; a user's attribute may not be lost in silence.
        if key.startswith("user.") or error.errno not in (errno.EPERM, errno.EACCES, errno.ENOTSUP):
            raise


@contextmanager
def _deny_owner(name: bytes) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        path = os.fsdecode(name)
        raise Denied(
            f"{path!r} cannot be given the owner and group it must have",
            code="owner-not-kept",
            hint="run treegate as root, or as the owner and as a member of the folder's group",
            path=path,
        ) from error
