"""What a mount can do, tried in a scratch folder: each trial in two empty folders of its own."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Set

from treegate.engine import handles, posix

# What says "this cannot be done here"; a full disk, a failing one or too little memory says nothing of that.
_CANNOT = frozenset(
    {
        *(errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.EPERM, errno.EACCES, errno.EXDEV),
        *(errno.EEXIST, errno.ENOENT, errno.ENOTEMPTY, errno.EISDIR, errno.ENOTDIR, errno.ELOOP),
        *(errno.EILSEQ, errno.ENAMETOOLONG, errno.E2BIG, errno.ERANGE, errno.ENODATA, errno.EMLINK),
        errno.EMFILE,  # gcsfuse, of a folder that holds more than it renames
    }
)
_CANNOT_ON_FUSE = _CANNOT | {errno.EIO}  # rclone's word for whatever it does not do: links, attributes
_RETRIES = 100  # of a trial that signals keep interrupting
_MTIME = 1_234_567_890_123_456_789
_COARSE = 2_000_000_000  # nanoseconds: the coarsest clock there is, vfat's

Trial = Callable[[int, int], bool]  # in two empty folders, by their handles


def tried(scratch: str, *, weak: bool) -> dict[str, bool]:
    """Which trials hold, by name; on a mount of FUSE (`weak`) EIO is a no, too. Raises other errors than a no."""
    cannot = _CANNOT_ON_FUSE if weak else _CANNOT
    with handles.closing(handles.open_root(scratch)) as fd:
        return {name: _try(trial, fd, name, cannot) for name, trial in _TRIALS.items()}


def _try(trial: Trial, scratch: int, name: str, cannot: Set[int]) -> bool:
    """Whether a trial holds; one that a signal interrupted says nothing, and is made anew."""
    for number in range(_RETRIES):
        with contextlib.suppress(InterruptedError):
            return _try_once(trial, scratch, f"{name}.{number}", cannot)
    return False


def _try_once(trial: Trial, scratch: int, name: str, cannot: Set[int]) -> bool:
    """Whether a trial holds, in two folders of its own."""
    posix.mkdir(scratch, f"{name}.a", 0o700)
    posix.mkdir(scratch, f"{name}.b", 0o700)
    with (
        handles.closing(handles.open_child(scratch, f"{name}.a")) as a,
        handles.closing(handles.open_child(scratch, f"{name}.b")) as b,
    ):
        try:
            return trial(a, b)
        except OSError as error:
            if error.errno in cannot:
                return False
            raise


def _put(fd: int, name: str, data: bytes = b"x") -> None:
    with handles.closing(posix.make_file(fd, name, 0o600)) as file:
        posix.write(file, data)


def _noreplace(a: int, b: int) -> bool:
    _put(a, "x")
    _put(b, "taken")
    posix.rename(a, "x", b, "y")
    try:
        posix.rename(b, "y", b, "taken")
    except FileExistsError:
        return posix.exists(b, "y")
    return False


def _exchange(a: int, b: int) -> bool:
    _put(a, "x", b"1")
    posix.mkdir(b, "y")
    posix.exchange(a, "x", b, "y")
    return (posix.facts(a, "x").kind, posix.facts(b, "y").kind) == ("dir", "file")


def _hard_links(a: int, b: int) -> bool:
    _put(a, "x")
    posix.link(a, "x", b, "y")
    return posix.facts(a, "x").ino == posix.facts(b, "y").ino


def _rename_across(a: int, b: int) -> bool:
    _put(a, "x")
    posix.rename_checked(a, "x", b, "y")
    return posix.exists(b, "y") and not posix.exists(a, "x")


def _directory_rename(a: int, b: int) -> bool:
    posix.mkdir(a, "x")
    with handles.closing(handles.open_child(a, "x")) as inner:
        _put(inner, "held")
    posix.rename_checked(a, "x", b, "y")
    with handles.closing(handles.open_child(b, "y")) as inner:
        return posix.exists(inner, "held") and not posix.exists(a, "x")


def _durable_fsync(a: int, b: int) -> bool:
    _put(a, "x")
    with handles.closing(handles.open_file(a, "x")) as fd:
        posix.fsync(fd)
    return True


def _directory_fsync(a: int, b: int) -> bool:
    _put(a, "x")
    posix.fsync(a)
    return True


def _stable_inodes(a: int, b: int) -> bool:
    _put(a, "x")
    before = posix.facts(a, "x").ino
    posix.rename_checked(a, "x", b, "y")
    return posix.facts(b, "y").ino == before


def _birth_times(a: int, b: int) -> bool:
    _put(a, "x")
    before = posix.facts(a, "x").btime
    posix.rename_checked(a, "x", b, "y")
    return posix.facts(b, "y").btime == before != 0


def _folds_case(a: int, b: int) -> bool:
    _put(a, "treegate")
    return posix.exists(a, "TREEGATE")


def _folds_unicode(a: int, b: int) -> bool:
    _put(a, "\u00e9")
    return posix.exists(a, "e\u0301")


def _reflinks(a: int, b: int) -> bool:
    _put(a, "x", b"x" * 65536)
    with (
        handles.closing(handles.open_file(a, "x")) as source,
        handles.closing(posix.make_file(b, "y")) as copy,
    ):
        posix.reflink(source, copy)
        return os.fstat(copy).st_size == 65536


def _symlinks(a: int, b: int) -> bool:
    posix.symlink(b"../no where", a, "x")
    return posix.readlink(a, "x") == b"../no where"


def _xattrs(a: int, b: int) -> bool:
    _put(a, "x")
    with handles.closing(handles.open_file(a, "x")) as fd:
        posix.set_xattr(fd, "user.treegate", b"\0v")
    return posix.xattrs(a, "x").get("user.treegate") == b"\0v"


def _keeps_modes(a: int, b: int) -> bool:
    _put(a, "x")
    seen = []
    for mode in (0o640, 0o751):
        posix.chmod(a, "x", mode)
        seen.append(posix.facts(a, "x").mode & 0o7777)
    return seen == [0o640, 0o751]


def _keeps_times(a: int, b: int) -> bool:
    _put(a, "x")
    posix.utime(a, "x", _MTIME)
    return abs(posix.facts(a, "x").mtime - _MTIME) < _COARSE


_TRIALS: dict[str, Trial] = {
    "noreplace": _noreplace,
    "exchange": _exchange,
    "hard_links": _hard_links,
    "rename_across": _rename_across,
    "directory_rename": _directory_rename,
    "durable_fsync": _durable_fsync,
    "directory_fsync": _directory_fsync,
    "stable_inodes": _stable_inodes,
    "birth_times": _birth_times,
    "folds_case": _folds_case,
    "folds_unicode": _folds_unicode,
    "reflinks": _reflinks,
    "symlinks": _symlinks,
    "xattrs": _xattrs,
    "keeps_modes": _keeps_modes,
    "keeps_times": _keeps_times,
}
