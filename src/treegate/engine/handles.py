"""Handles: how folders and files are reached, never through a link, never into another mount.

Names are one component, `str` (surrogateescape) or `bytes`; a name that is a path is a ValueError, so nothing here
can leave the folder whose handle it was given. Nothing here changes anything.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat as st
from collections.abc import Collection, Iterator

from treegate.engine import syscalls

Name = str | bytes

_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# What says that openat2 cannot be used here (absent, forbidden by a container, path too long for one call).
_NO_OPENAT2 = (errno.ENOSYS, errno.EPERM, errno.E2BIG, errno.EAGAIN, errno.ENAMETOOLONG)
_SLASH = 0x2F  # a number is found in bytes three times as fast as bytes are
_NOT_NAMES = frozenset((b"", b".", b".."))


def raw(name: Name) -> bytes:
    """One component of a path as the kernel wants it; ValueError for anything that is not one."""
    encoded = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    if _SLASH in encoded or 0 in encoded or encoded in _NOT_NAMES:
        raise ValueError(f"not a single name: {encoded!r}")
    return encoded


def check_names(names: Collection[bytes]) -> None:
    """Raise ValueError if one of these is not what `raw` takes."""
    joined = b"".join(names)
    if _SLASH in joined or 0 in joined or not _NOT_NAMES.isdisjoint(names):
        for name in names:
            raw(name)


def open_root(path: Name) -> int:
    """A handle of a trusted folder; links on the way to it are followed."""
    return os.open(path, _DIR)


def open_dir(root_fd: int, relpath: Name) -> int:
    """A new handle of a folder below `root_fd`, never through a link or into another mount.

    Raises OSError: ELOOP for a link anywhere on the way, EXDEV for a mount point, ENOENT, ENOTDIR, EACCES.
    An empty path gives a second, independent handle of the root.
    """
    path = os.fsencode(relpath)
    if b"\0" in path or b".." in path.split(b"/") or path.startswith(b"/"):
        raise ValueError(f"not a path below a folder: {path!r}")
    try:
        return syscalls.openat2(root_fd, path or b".", _DIR, syscalls.RESOLVE_STRICT)
    except OSError as error:
        if error.errno not in _NO_OPENAT2:
            raise
    return walk_dir(root_fd, path)


def open_child(fd: int, name: Name) -> int:
    """A handle of one folder directly in another; errors as `open_dir`."""
    return open_dir(fd, raw(name))


def open_mounted(fd: int, name: Name) -> int:
    """A handle of a folder directly in another, also where another filesystem is mounted on it; never a link."""
    return os.open(raw(name), _DIR | os.O_NOFOLLOW, dir_fd=fd)


def open_below(fd: int, path: bytes) -> int:
    """A handle of a folder below another, in one call, as `open_mounted` gives it step by step; raises OSError."""
    return syscalls.openat2(fd, path, _DIR, syscalls.RESOLVE_STRICT & ~syscalls.RESOLVE_NO_XDEV)


def walk_dir(root_fd: int, path: bytes) -> int:
    """What `open_dir` does where openat2 cannot: component by component, comparing devices.

    Weaker in one respect: a bind mount of the same filesystem is entered.
    """
    device = os.fstat(root_fd).st_dev
    fd = os.open(".", _DIR, dir_fd=root_fd)
    for part in path.split(b"/"):
        if part in (b"", b"."):
            continue
        above = fd
        try:
            fd = _step_down(above, part, device)
        finally:
            close(above)
    return fd


def _step_down(above: int, part: bytes, device: int) -> int:
    try:
        fd = os.open(part, _DIR | os.O_NOFOLLOW, dir_fd=above)
    except NotADirectoryError:
        if st.S_ISLNK(os.lstat(part, dir_fd=above).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(part)) from None
        raise
    if os.fstat(fd).st_dev != device:
        close(fd)
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), os.fsdecode(part))
    return fd


def open_file(dir_fd: int, name: Name) -> int:
    """A handle for reading a regular file; never follows a link, never opens or waits for a FIFO or device.

    Raises OSError: ELOOP for a link, EISDIR for a folder, EINVAL for anything else that is no regular file.
    """
    encoded = raw(name)
    _must_be_file(os.lstat(encoded, dir_fd=dir_fd).st_mode, encoded)
    fd = os.open(encoded, _FILE, dir_fd=dir_fd)
    try:
        _must_be_file(os.fstat(fd).st_mode, encoded)
    except OSError:
        close(fd)
        raise
    return fd


def _must_be_file(mode: int, name: bytes) -> None:
    if not st.S_ISREG(mode):
        number = {st.S_IFDIR: errno.EISDIR, st.S_IFLNK: errno.ELOOP}.get(st.S_IFMT(mode), errno.EINVAL)
        raise OSError(number, "not a regular file", os.fsdecode(name))


def close(fd: int) -> None:
    """Close a handle; on Linux it is closed even where EINTR is reported, so that is no error."""
    with contextlib.suppress(InterruptedError):
        os.close(fd)


@contextlib.contextmanager
def closing(fd: int) -> Iterator[int]:
    """Hold a handle for a block."""
    try:
        yield fd
    finally:
        close(fd)
