"""What another user of this machine may do to a file: the kernel's judgement, made on that user's behalf.

Mode bits, POSIX ACLs and the folders on the way (path_resolution(7), acl(5), sticky folders as in inode(7)). An owner
counts as allowed whatever the mode says, for an owner can change it. What a mount forbids to all is not looked at.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat as st
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from treegate.engine.attributes import ACL_ACCESS, GROUP, GROUP_OBJ, MASK, OTHER, USER, acl_entries

READ, WRITE, SEARCH = 4, 2, 1
CHANGE = WRITE | SEARCH  # what it takes to add, rename or remove entries of a folder


class User(NamedTuple):
    """A user of the operating system, and the groups it is in."""

    name: str
    uid: int
    groups: frozenset[int]


class Way(StrEnum):
    """By what a user is allowed something."""

    ROOT = "root may do all"
    OWNER = "as the owner"
    USER_ACL = "by an ACL entry of its own"
    GROUP = "as a member of the group"
    GROUP_ACL = "by an ACL entry of a group it is in"
    OTHER = "as everybody"


class Opening(NamedTuple):
    """A path that a user may change, and by what."""

    path: Path
    way: Way


def user_named(name: str) -> User:
    """The user of a name; raises KeyError if there is none."""
    found = pwd.getpwnam(name)
    return User(found.pw_name, found.pw_uid, frozenset(os.getgrouplist(found.pw_name, found.pw_gid)))


def allowed(user: User, path: Path, wanted: int) -> Way | None:
    """By what a user may do all that is `wanted` with an entry, once it has come there; None: it may not.

    Links are not followed. Raises OSError.
    """
    seen = os.lstat(path)
    if user.uid == 0:
        return Way.ROOT
    if seen.st_uid == user.uid:
        return Way.OWNER
    # Linux asks the ACL only where the mode's group bits, which are then its mask, leave it something to grant.
    acl = _acl(path) if seen.st_mode & st.S_IRWXG else []
    return _by_acl(user, seen.st_gid, acl, wanted) if acl else _by_mode(user, seen, wanted)


def _acl(path: Path) -> list[tuple[int, int, int]]:
    try:
        return acl_entries(os.getxattr(path, ACL_ACCESS, follow_symlinks=False))
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP, errno.EPERM, errno.EACCES):
            return []
        raise


def _by_mode(user: User, seen: os.stat_result, wanted: int) -> Way | None:
    """The class that a user falls in decides alone: a member of the group gets nothing from the others' bits."""
    mode = st.S_IMODE(seen.st_mode)
    if seen.st_gid in user.groups:
        return Way.GROUP if mode >> 3 & wanted == wanted else None
    return Way.OTHER if mode & wanted == wanted else None


def _by_acl(user: User, gid: int, entries: list[tuple[int, int, int]], wanted: int) -> Way | None:
    """acl(5), "Access check algorithm", from its second step on."""
    mask = next((bits for tag, bits, _ in entries if tag == MASK), 7)
    for tag, bits, who in entries:
        if tag == USER and who == user.uid:
            return Way.USER_ACL if bits & mask & wanted == wanted else None
    groups = [(GROUP_OBJ, bits) for tag, bits, _ in entries if tag == GROUP_OBJ and gid in user.groups]
    groups += [(GROUP, bits) for tag, bits, who in entries if tag == GROUP and who in user.groups]
    if groups:
        granting = [tag for tag, bits in groups if bits & mask & wanted == wanted]
        return (Way.GROUP if granting[0] == GROUP_OBJ else Way.GROUP_ACL) if granting else None
    others = next((bits for tag, bits, _ in entries if tag == OTHER), 0)
    return Way.OTHER if others & wanted == wanted else None


def reaches(user: User, path: Path) -> bool:
    """Whether a user gets to an entry: each folder above it lets the user through."""
    return all(allowed(user, folder, SEARCH) for folder in path.resolve().parents)


def may(user: User, path: Path, wanted: int) -> Way | None:
    """By what a user may do what is `wanted` with an entry, the way there included."""
    return allowed(user, path, wanted) if reaches(user, path) else None


def changes(user: User, path: Path) -> Way | None:
    """By what a user may change a folder's entries or a file's content; a link has nothing to change."""
    mode = os.lstat(path).st_mode
    if st.S_ISLNK(mode):
        return None
    return allowed(user, path, CHANGE if st.S_ISDIR(mode) else WRITE)


def replaces(user: User, path: Path) -> Opening | None:
    """The folder, of those above an entry, in which a user may put something else in place of what leads to it.

    In a sticky folder only the owner of an entry, or of the folder, may take it away. What is not there yet is taken
    as made by us.
    """
    whole = path.absolute()
    if whole.resolve() != whole and (found := replaces(user, whole.resolve())):
        return found
    for folder in reversed(whole.parents):
        if not folder.exists():
            return None
        below = folder / whole.relative_to(folder).parts[0]
        way = None if folder.is_symlink() else allowed(user, folder, CHANGE)
        if way and (way is Way.OWNER or not _kept_by_sticky(user, folder, below)):
            return Opening(folder, way)
        if allowed(user, folder, SEARCH) is None:
            return None
    return None


def _kept_by_sticky(user: User, folder: Path, below: Path) -> bool:
    if user.uid == 0 or not folder.lstat().st_mode & st.S_ISVTX:
        return False
    return not os.path.lexists(below) or below.lstat().st_uid != user.uid


def openings(user: User, folder: Path, skip: frozenset[str] = frozenset()) -> Iterator[Opening]:
    """Everything at and below a folder that a user may change; names in `skip` are left out, and links.

    A folder that does not let the user through ends the walk there.
    """
    for here, folders, files in os.walk(folder):
        base = Path(here)
        if way := _seen(user, base):
            yield Opening(base, way)
        if not _through(user, base):
            folders.clear()
            continue
        folders[:] = [name for name in folders if name not in skip and not (base / name).is_symlink()]
        for name in files:
            if way := _seen(user, base / name):
                yield Opening(base / name, way)


def _seen(user: User, path: Path) -> Way | None:
    """`changes`, of an entry that may be gone by now."""
    try:
        return changes(user, path)
    except FileNotFoundError:
        return None


def _through(user: User, folder: Path) -> bool:
    try:
        return allowed(user, folder, SEARCH) is not None
    except FileNotFoundError:
        return False
