"""The Linux system calls that Python's `os` lacks, by ctypes: statx, openat2, renameat2, utimensat and others.

Each raises OSError with the kernel's errno. Prototypes are declared once, so that a call costs about a
microsecond. Numbers and layouts: statx(2), openat2(2), rename(2), utimensat(2), syscall(2) and `linux/stat.h`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Callable, Sequence
from ctypes import c_char_p, c_int, c_long, c_size_t, c_uint, c_void_p
from itertools import repeat, takewhile
from operator import not_

_libc = ctypes.CDLL(None, use_errno=True)
_get_errno = ctypes.get_errno

# Numbers are only used where the C library has no wrapper; openat2 has the same one everywhere.
_NUMBERS = {"x86_64": {"renameat2": 316, "statx": 332}, "aarch64": {"renameat2": 276, "statx": 291}}
_OPENAT2 = 437

AT_SYMLINK_NOFOLLOW, AT_NO_AUTOMOUNT, AT_EMPTY_PATH = 0x100, 0x800, 0x1000
STATX_BASIC_STATS, STATX_BTIME, STATX_MNT_ID, STATX_MNT_ID_UNIQUE = 0x7FF, 0x800, 0x1000, 0x4000
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_XDEV = 8, 4, 2, 1
RESOLVE_STRICT = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV

# struct statx: mask, attributes, nlink, uid, gid, mode, ino, size, (blocks, mask of attributes, atime),
# btime, ctime, mtime.
STATX = struct.Struct("=I4xQIIIH2xQQ16x16xqI4xqI4xqI4x")
STATX_DEVICE = struct.Struct("=II")  # at 136: major and minor of the filesystem
STATX_MOUNT = struct.Struct("=Q")  # at 144
_unpack_statx = STATX.unpack_from
_BUFFER = ctypes.c_char * 256

_HOW = struct.Struct("=QQQ")  # struct open_how: flags, mode, resolve
_TIMES = struct.Struct("@llll")  # two struct timespec: atime, mtime
UTIME_OMIT = (1 << 30) - 2


def _missing(*_: object) -> int:
    ctypes.set_errno(errno.ENOSYS)
    return -1


def _function(name: str, *argtypes: type, converted: bool = True) -> Callable[..., int]:
    """The C library's wrapper, or the bare system call by number, or one that fails with ENOSYS.

    Arguments that are numbers, bytes or arrays already need not be `converted`, which costs 0.4 microseconds.
    """
    try:
        found = getattr(_libc, name)
    except AttributeError:
        number = _NUMBERS.get(platform.machine(), {}).get(name)
        return _missing if number is None else _by_number(number, *argtypes)
    if converted:
        found.argtypes = argtypes
    found.restype = c_int
    call: Callable[..., int] = found
    return call


def _by_number(number: int, *argtypes: type) -> Callable[..., int]:
    # A second handle: prototypes belong to a function object, and `syscall` serves several.
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.argtypes = (c_long, *argtypes)
    syscall.restype = c_long
    return lambda *arguments: int(syscall(number, *arguments))


_statx = _function("statx", c_int, c_char_p, c_int, c_uint, c_void_p, converted=False)
_renameat2 = _function("renameat2", c_int, c_char_p, c_int, c_char_p, c_uint, converted=False)
_utimensat = _function("utimensat", c_int, c_char_p, c_char_p, c_int)
_futimens = _function("futimens", c_int, c_char_p)
_syncfs = _function("syncfs", c_int)
_name_to_handle_at = _function("name_to_handle_at", c_int, c_char_p, c_char_p, c_char_p, c_int)
_openat2 = _by_number(_OPENAT2, c_int, c_char_p, c_char_p, c_size_t)


def _error(name: bytes) -> OSError:
    number = _get_errno()
    return OSError(number, os.strerror(number), os.fsdecode(name))


def statx(dir_fd: int, name: bytes, flags: int, mask: int) -> tuple[int, ...]:
    """The fields of STATX of one entry; an empty name with AT_EMPTY_PATH asks about the handle itself."""
    buffer = _BUFFER()
    if _statx(dir_fd, name, flags, mask, buffer):
        raise _error(name)
    return _unpack_statx(buffer)


def statx_mount(fd: int) -> int:
    """The number of the mounting that a handle lies on."""
    buffer, flags = _BUFFER(), AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT
    if _statx(fd, b"", flags, STATX_MNT_ID | STATX_MNT_ID_UNIQUE, buffer):
        raise _error(b"")
    found: int = STATX_MOUNT.unpack_from(buffer, 144)[0]
    return found


def renameat2(src_fd: int, src: bytes, dst_fd: int, dst: bytes, flags: int) -> None:
    """Rename with flags; FileExistsError where NOREPLACE finds the name taken, EINVAL where a mount lacks them."""
    if _renameat2(src_fd, src, dst_fd, dst, flags):
        raise _not_renamed(src, dst)


def rename_each(
    src_fd: int, names: Sequence[bytes], dst_fd: int, others: Sequence[bytes], flags: int
) -> tuple[int, OSError | None]:
    """`renameat2` of names of one folder to others in one folder, in order; no line of Python is between the calls.

    How many are made before the first that fails, and its error.
    """
    calls = map(_renameat2, repeat(src_fd), names, repeat(dst_fd), others, repeat(flags))
    made = len(list(takewhile(not_, calls)))
    if made < len(names):
        return made, _not_renamed(names[made], others[made])
    return made, None


def _not_renamed(src: bytes, dst: bytes) -> OSError:
    return _error(dst if _get_errno() == errno.EEXIST else src)


def openat2(dir_fd: int, path: bytes, flags: int, resolve: int) -> int:
    """A new handle below `dir_fd`; ELOOP for a link on the way, EXDEV for a way out or into another mount."""
    how = _HOW.pack(flags, 0, resolve)
    fd = _openat2(dir_fd, path, how, len(how))
    if fd < 0:
        raise _error(path)
    return fd


_HANDLE = struct.Struct("=Ii")  # struct file_handle: length, type; the handle itself follows
_HANDLE_MOST = 128  # MAX_HANDLE_SZ


def file_handle(dir_fd: int, name: bytes) -> tuple[int, bytes]:
    """The handle by which a filesystem knows an entry (a link itself) for as long as it exists: its type, its bytes.

    No other entry ever has the same, also where an inode is used again. EOPNOTSUPP where there are none. See
    name_to_handle_at(2).
    """
    buffer = ctypes.create_string_buffer(_HANDLE.pack(_HANDLE_MOST, 0), _HANDLE.size + _HANDLE_MOST)
    mount = ctypes.create_string_buffer(4)
    if _name_to_handle_at(dir_fd, name, buffer, mount, 0):
        raise _error(name)
    length, kind = _HANDLE.unpack_from(buffer)
    return kind, buffer.raw[_HANDLE.size : _HANDLE.size + length]


def set_mtime(dir_fd: int, name: bytes, mtime: int) -> None:
    """Set an entry's mtime in nanoseconds, a link's own; its atime is kept."""
    if _utimensat(dir_fd, name, _times(mtime), AT_SYMLINK_NOFOLLOW):
        raise _error(name)


def set_mtime_of(fd: int, mtime: int) -> None:
    """Set the mtime in nanoseconds of what a handle holds; its atime is kept."""
    if _futimens(fd, _times(mtime)):
        raise _error(b"")


def _times(mtime: int) -> bytes:
    seconds, nanoseconds = divmod(mtime, 1_000_000_000)
    return _TIMES.pack(0, UTIME_OMIT, seconds, nanoseconds)


def syncfs(fd: int) -> None:
    """Write everything of the filesystem that `fd` lies on to its disk; since Linux 5.8 reports failed writes."""
    if _syncfs(fd):
        raise _error(b"")
