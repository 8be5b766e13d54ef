"""Every system call that changes or syncs the tree, relative to held directory handles.

Names are one component, `str` (surrogateescape) or `bytes`; a name that is a path is a ValueError, so no call
here can leave the folder whose handle it was given. EINTR is not swallowed by the calls that rename or make
something: the caller looks at the tree and decides. All other modules call these as `posix.name(...)`, so that
a test can put a crash in front of each (see MUTATING).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat as st
import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from treegate.engine import native, syscalls
from treegate.engine.handles import Name, check_names, closing, raw
from treegate.model.capabilities import Capabilities
from treegate.model.tree import APPEND, IMMUTABLE, MOUNT_ROOT, PACKED, Facts, unpack

Rename = Callable[[int, Name, int, Name], None]

MUTATING = (
    "rename",
    "exchange",
    "rename_linked",
    "rename_checked",
    "link",
    "mkdir",
    "make_file",
    "make_nameless",
    "give_name",
    "symlink",
    "unlink",
    "rmdir",
    "write",
    "reflink",
    "copy_range",
    "truncate",
    "chmod",
    "utime",
    "set_mode",
    "set_owner",
    "set_owner_of_link",
    "set_mtime",
    "set_xattr",
    "remove_xattr",
    "fsync",
    "fdatasync",
    "syncfs",
)

TOGETHER = ("rename_each",)  # makes many of these calls in one; the harness makes them one by one instead

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LSTAT = syscalls.AT_SYMLINK_NOFOLLOW | syscalls.AT_NO_AUTOMOUNT
_WANTED = syscalls.STATX_BASIC_STATS | syscalls.STATX_BTIME
_ATTRS = IMMUTABLE | APPEND | MOUNT_ROOT  # others say nothing of use, and would disturb digests
_FICLONE = 0x40049409  # ioctl_ficlonerange(2)
_SECOND = 1_000_000_000
_LATEST = (1 << 63) - 1  # nanoseconds since 1970 that packed facts have room for
_BTIME = syscalls.STATX_BTIME
_pack_facts = PACKED.pack


# -- renames


def rename(src_fd: int, src: Name, dst_fd: int, dst: Name) -> None:
    """Rename to a free name, atomically; FileExistsError if it is taken, EINVAL where the mount cannot."""
    syscalls.renameat2(src_fd, raw(src), dst_fd, raw(dst), syscalls.RENAME_NOREPLACE)


def rename_each(
    src_fd: int, names: Sequence[bytes], dst_fd: int, others: Sequence[bytes]
) -> tuple[int, OSError | None]:
    """`rename` of many entries of one folder into one other, in order.

    How many are made before the first that fails, and its error. ValueError, and nothing is made, if a name is none.
    """
    check_names(names)
    check_names(others)
    return syscalls.rename_each(src_fd, names, dst_fd, others, syscalls.RENAME_NOREPLACE)


def exchange(a_fd: int, a: Name, b_fd: int, b: Name) -> None:
    """Swap two entries, atomically; EINVAL where the mount cannot."""
    syscalls.renameat2(a_fd, raw(a), b_fd, raw(b), syscalls.RENAME_EXCHANGE)


def rename_checked(src_fd: int, src: Name, dst_fd: int, dst: Name) -> None:
    """Rename to a free name by looking first: for mounts without NOREPLACE, under the case's lock.

    A name taken by an outsider between the look and the rename is replaced: the preview says so.
    """
    old, new = raw(src), raw(dst)
    if exists(dst_fd, new):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(new))
    os.rename(old, new, src_dir_fd=src_fd, dst_dir_fd=dst_fd)


def rename_linked(src_fd: int, src: Name, dst_fd: int, dst: Name) -> None:
    """Rename a file to a free name by link and unlink: no-clobber where NOREPLACE is missing.

    A crash between the two leaves both names on one inode. Folders, and what may not be linked
    (EPERM, EMLINK), go through `rename_checked`.
    """
    old = raw(src)
    if not st.S_ISDIR(os.lstat(old, dir_fd=src_fd).st_mode):
        try:
            link(src_fd, old, dst_fd, dst)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EIO):
                raise
        else:
            return unlink(src_fd, old)
    return rename_checked(src_fd, old, dst_fd, dst)


def renamer(caps: Capabilities) -> Rename:
    """The strongest no-clobber rename that a mount has."""
    if caps.noreplace:
        return rename
    return rename_linked if caps.hard_links else rename_checked


def link(src_fd: int, src: Name, dst_fd: int, dst: Name) -> None:
    """A second name for a file (or for a link itself); FileExistsError if it is taken."""
    os.link(raw(src), raw(dst), src_dir_fd=src_fd, dst_dir_fd=dst_fd, follow_symlinks=False)


# -- looking


def packed(dir_fd: int, name: Name) -> bytes:
    """The facts of one entry, a link itself, in the packed form; FileNotFoundError if there is none."""
    return _packed(dir_fd, raw(name))


def packed_as_listed(dir_fd: int, name: bytes) -> bytes:
    """As `packed`, for a name that a listing gave and that is thus known to be one."""
    return _packed(dir_fd, name)


def facts(dir_fd: int, name: Name) -> Facts:
    """The facts of one entry, a link itself; FileNotFoundError if there is none."""
    return unpack(packed(dir_fd, name))


def packed_of(fd: int) -> bytes:
    """The packed facts of what a handle holds."""
    return _looked(fd, b"", _LSTAT | syscalls.AT_EMPTY_PATH)


def facts_of(fd: int) -> Facts:
    """The facts of what a handle holds."""
    return unpack(packed_of(fd))


def _looked(dir_fd: int, name: bytes, flags: int = _LSTAT) -> bytes:
    mask, attrs, nlink, uid, gid, mode, ino, size, bs, bn, cs, cn, ms, mn = syscalls.statx(
        dir_fd, name, flags, _WANTED
    )
    mtime, ctime = ms * _SECOND + mn, cs * _SECOND + cn
    born = bs * _SECOND + bn if mask & _BTIME else 0
    try:
        return _pack_facts(mode, nlink, uid, gid, attrs & _ATTRS, ino, size, mtime, ctime, born)
    except struct.error:  # a time after 2262, which some filesystems have: as the last moment that there is room for
        times = map(_at_most, (mtime, ctime, born))
        return _pack_facts(mode, nlink, uid, gid, attrs & _ATTRS, ino, size, *times)


def _at_most(time: int) -> int:
    return max(-_LATEST - 1, min(time, _LATEST))


_packed: Callable[[int, bytes], bytes] = native.packed or _looked  # asked once, for every file that is looked at


def exists(dir_fd: int, name: Name) -> bool:
    """Whether a name is taken, by whatever."""
    try:
        os.lstat(raw(name), dir_fd=dir_fd)
    except FileNotFoundError:
        return False
    return True


def names(fd: int) -> list[bytes]:
    """The names in a folder, in its own order."""
    found = os.listdir(fd)
    return os.fsencode("/".join(found)).split(b"/") if found else []  # all at once: no name has a slash in it


def inodes(fd: int, most: int) -> dict[str, int]:
    """The inode numbers of what is in a folder, by name as `os.fsdecode` gives it; at most so many, in its own order.

    A mount point's is that of the folder below it, and a stacked filesystem's may be of another layer.
    """
    with os.scandir(fd) as entries:
        return {entry.name: entry.inode() for entry in islice(entries, most)}


def readlink(dir_fd: int, name: Name) -> bytes:
    """Where a link points; OSError EINVAL for anything else."""
    return os.readlink(raw(name), dir_fd=dir_fd)


def xattrs(dir_fd: int, name: Name) -> dict[str, bytes]:
    """The extended attributes of an entry (a link's own), ACLs among them; {} where the mount has none."""
    with closing(os.open(raw(name), os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)) as fd:
        return xattrs_of(f"/proc/self/fd/{fd}")


def xattrs_of(held: int | str) -> dict[str, bytes]:
    """The extended attributes of what a handle (or its path in /proc) holds."""
    found = {}
    try:
        for key in os.listxattr(held):
            with _gone_is_fine(key):
                found[key] = os.getxattr(held, key)
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.ENOSYS):
            raise
    return found


@contextlib.contextmanager
def _gone_is_fine(key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # removed since it was listed, or listed for show (security.* of some mounts)
        hidden = error.errno in (errno.EPERM, errno.EACCES) and not key.startswith("user.")
        if error.errno != errno.ENODATA and not hidden:
            raise


def umask() -> int:
    """The bits that new entries of this process lack."""
    try:
        with open("/proc/self/status", "rb") as file:
            return next(int(line.split()[1], 8) for line in file if line.startswith(b"Umask:"))
    except (OSError, StopIteration):
        found = os.umask(0o077)  # the only other way to read it is to set it
        os.umask(found)
        return found


def device(fd: int) -> int:
    """The device number of the filesystem a handle lies on: to be compared with another handle's, never kept."""
    return os.fstat(fd).st_dev


def mount_id(fd: int) -> int:
    """Which mounting a handle lies on; never used twice between two boots from Linux 6.8, may be before."""
    return syscalls.statx_mount(fd)


def boot_id() -> str:
    """Which start of the machine this is, or "" where the kernel does not say."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


# -- making and removing


def mkdir(dir_fd: int, name: Name, mode: int = 0o777) -> None:
    """Make a folder; FileExistsError if the name is taken. The umask (or a default ACL) applies."""
    os.mkdir(raw(name), mode, dir_fd=dir_fd)


def make_file(dir_fd: int, name: Name, mode: int = 0o666) -> int:
    """Make a file and give a handle for writing; FileExistsError if the name is taken, even by a dangling link."""
    return os.open(raw(name), _NEW, mode, dir_fd=dir_fd)


def make_nameless(dir_fd: int) -> int:
    """Make a file without a name on a folder's filesystem, and give a handle; it goes with its last handle.

    OSError where the filesystem has no such files (open(2), O_TMPFILE).
    """
    return os.open(".", os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600, dir_fd=dir_fd)


def give_name(fd: int, dir_fd: int, name: Name) -> None:
    """Give a nameless file its name; FileExistsError if it is taken."""
    os.link(f"/proc/self/fd/{fd}".encode(), raw(name), dst_dir_fd=dir_fd, follow_symlinks=True)


def symlink(target: bytes, dir_fd: int, name: Name) -> None:
    """Make a link with exactly this target; FileExistsError if the name is taken."""
    os.symlink(target, raw(name), dir_fd=dir_fd)


def unlink(dir_fd: int, name: Name) -> None:
    """Remove a file or link."""
    os.unlink(raw(name), dir_fd=dir_fd)


def rmdir(dir_fd: int, name: Name) -> None:
    """Remove an empty folder."""
    os.rmdir(raw(name), dir_fd=dir_fd)


# -- contents


def write(fd: int, data: bytes | memoryview) -> None:
    """Write all of it, however many calls that takes."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def reflink(src_fd: int, dst_fd: int) -> None:
    """Make a file share the blocks of another, copy on write; OSError where the filesystem cannot."""
    fcntl.ioctl(dst_fd, _FICLONE, src_fd)


def copy_range(src_fd: int, dst_fd: int, count: int) -> int:
    """Copy up to `count` bytes within the kernel from one handle's place to the other's; 0 at the end."""
    return os.copy_file_range(src_fd, dst_fd, count)


def truncate(fd: int, size: int) -> None:
    """Cut a file off, or lengthen it with a hole."""
    os.ftruncate(fd, size)


# -- modes, times, owners


def chmod(dir_fd: int, name: Name, mode: int) -> None:
    """Set permission bits; a link is refused with ELOOP, never followed."""
    with closing(os.open(raw(name), os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)) as fd:
        if st.S_ISLNK(os.fstat(fd).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(name))
        # fchmod refuses an O_PATH handle, and opening for reading needs a permission that chmod does not.
        os.chmod(f"/proc/self/fd/{fd}", mode)


def utime(dir_fd: int, name: Name, mtime: int) -> None:
    """Set an entry's mtime (nanoseconds), a link's own; its atime is kept."""
    syscalls.set_mtime(dir_fd, raw(name), mtime)
    now = os.lstat(raw(name), dir_fd=dir_fd)
    if now.st_mtime_ns != mtime:  # some mounts (s3fs) pass over a time that comes without the other
        os.utime(raw(name), ns=(now.st_atime_ns, mtime), dir_fd=dir_fd, follow_symlinks=False)


def set_mode(fd: int, mode: int) -> None:
    """Set the permission bits of what a handle holds."""
    os.fchmod(fd, mode)


def set_owner(fd: int, uid: int, gid: int) -> None:
    """Set the owner and group of what a handle holds; -1 keeps one. Clears setuid and setgid bits."""
    os.fchown(fd, uid, gid)


def set_owner_of_link(dir_fd: int, name: Name, uid: int, gid: int) -> None:
    """Set the owner and group of an entry, a link's own; -1 keeps one."""
    os.chown(raw(name), uid, gid, dir_fd=dir_fd, follow_symlinks=False)


def set_mtime(fd: int, mtime: int) -> None:
    """Set the mtime (nanoseconds) of what a handle holds; its atime is kept."""
    syscalls.set_mtime_of(fd, mtime)
    now = os.fstat(fd)
    if now.st_mtime_ns != mtime:  # see `utime`
        os.utime(fd, ns=(now.st_atime_ns, mtime))


def set_xattr(fd: int, name: str, value: bytes) -> None:
    """Set one extended attribute of what a handle holds."""
    os.setxattr(fd, name, value)


def remove_xattr(fd: int, name: str) -> None:
    """Remove one extended attribute of what a handle holds."""
    os.removexattr(fd, name)


# -- durability


def fsync(fd: int) -> None:
    """Make a file or folder durable; a failure is final, for the kernel forgets it (never retry)."""
    os.fsync(fd)


def fdatasync(fd: int) -> None:
    """Make a file's content and size durable; a failure is final."""
    os.fdatasync(fd)


def syncfs(fd: int) -> None:
    """Make everything of the filesystem that `fd` lies on durable; a failure is final."""
    syscalls.syncfs(fd)
