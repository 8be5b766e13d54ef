"""Finding out what a mount can do, by doing it in a scratch folder; and saying in plain words what it cannot.

Nothing is taken from the type of a filesystem that can be tried. What cannot be tried (does fsync reach a disk,
are inodes the same tomorrow) is assumed absent on FUSE.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import tempfile
from typing import Literal

import msgspec

from treegate.engine import handles, posix, trials
from treegate.engine.mounts import Mount, is_local, mount_of
from treegate.errors import FULL, UsageError
from treegate.model.capabilities import Capabilities

__all__ = ["Finding", "assume", "findings", "is_local", "probe", "state_findings"]

_UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
_GETFLAGS, _CASEFOLD = 0x80086601, 0x40000000  # ioctl_iflags(2): FS_IOC_GETFLAGS, FS_CASEFOLD_FL


def probe(area: str, case: str) -> Capabilities:
    """What the mount of a case, and the way between it and its `.treegate` (`area`), can do.

    Writes only into a scratch folder inside `area`, which is gone afterwards, and nothing into the case. Takes
    some milliseconds, most of them for fsync. Raises UsageError `area-missing` or `no-space`, OSError where the disk
    fails; a mount that may not be written to is no error but `writable=False`, with the rest assumed from its type.
    """
    assumed = assume(case)
    try:
        scratch = tempfile.mkdtemp(prefix="probe-", dir=area)
    except FileNotFoundError as error:
        raise UsageError(f"{area!r} is not there", code="area-missing", hint="treegate init makes it") from error
    except OSError as error:
        if error.errno in _UNWRITABLE:
            return msgspec.structs.replace(assumed, writable=False)
        raise _no_space(area, error) from error
    try:
        return _settled(assumed, trials.tried(scratch, weak=mount_of(area).is_fuse), area, case)
    except OSError as error:
        if error.errno == errno.EROFS:
            return msgspec.structs.replace(assumed, writable=False)
        raise _no_space(area, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def assume(case: str) -> Capabilities:
    """What the type of a mount lets one expect, where nothing may be written to find out."""
    mount = mount_of(case)
    weak = mount.is_fuse
    return Capabilities(
        filesystem=mount.type,
        writable=_mounted_writable(case) and os.access(case, os.W_OK | os.X_OK),
        noreplace=not weak,
        exchange=not weak,
        hard_links=not weak,
        directory_rename=_moves_folders(mount),
        durable_fsync=not weak,
        stable_inodes=not weak,
        birth_times=not weak,
        name_max=os.statvfs(case).f_namemax or 255,
        name_rules=mount.name_rules,
    )


def _settled(assumed: Capabilities, tried: dict[str, bool], area: str, case: str) -> Capabilities:
    """What was tried, cut down by what cannot be."""
    cannot_be_tried = {
        "durable_fsync": assumed.durable_fsync,
        "stable_inodes": assumed.stable_inodes,
        "directory_rename": assumed.directory_rename,
        "rename_across": _on_one_mount(area, case),
    }
    for name, possible in cannot_be_tried.items():
        tried[name] = tried[name] and possible
    tried["folds_case"] = tried["folds_case"] or _folds_by_flag(case)
    return msgspec.structs.replace(assumed, writable=_mounted_writable(case), **tried)


def _mounted_writable(path: str) -> bool:
    return not os.statvfs(path).f_flag & os.ST_RDONLY


def _moves_folders(mount: Mount) -> bool:
    # A program can do it in many steps of its own: that it came out well once says nothing of a crash.
    return not mount.is_fuse and not _lower_folders_stay(mount)


def _lower_folders_stay(mount: Mount) -> bool:
    # A folder of an overlay's lower layer cannot be renamed (EXDEV); one made for a trial is in the upper.
    return mount.type == "overlay" and "redirect_dir=on" not in mount.options


def _on_one_mount(area: str, case: str) -> bool:
    # Two mounts of one filesystem have equal device numbers, and btrfs subvolumes one mount: EXDEV either way.
    with handles.closing(handles.open_root(area)) as a, handles.closing(handles.open_root(case)) as b:
        return posix.device(a) == posix.device(b) and posix.mount_id(a) == posix.mount_id(b)


def _folds_by_flag(case: str) -> bool:
    # ext4 and f2fs fold per folder: the case may do what the area does not.
    with handles.closing(handles.open_root(case)) as fd:
        try:
            flags: int = struct.unpack("=Q", fcntl.ioctl(fd, _GETFLAGS, bytes(8)))[0]
        except OSError:
            return False
    return bool(flags & _CASEFOLD)


def _no_space(area: str, error: OSError) -> Exception:
    if error.errno not in FULL:
        return error
    return UsageError(f"no space left in {area!r}", code="no-space", hint="free some space there, then try again")


# -- in plain words


class Finding(msgspec.Struct, frozen=True):
    """One thing that `doctor` or `fsck` says; `rebuilt` is what was wrong, and is right now."""

    severity: Literal["error", "warning", "note", "rebuilt"]
    title: str
    advice: str


def findings(caps: Capabilities, mount: Mount) -> list[Finding]:
    """What is weaker on a case's mount than on a good local disk, and what can be done about it.

    `mount` is `mounts.mount_of(case)`. Empty where all is well.
    """
    found = []
    if not caps.writable:
        found.append(Finding("error", "the case cannot be written to", "mount it writable, or grant the permission"))
    if not caps.rename_across:
        title = "nothing can be renamed between the case and its .treegate"
        found.append(Finding("error", title, "give the case a .treegate of its own: it lies on another mount"))
    found += [Finding("warning", text, _ADVICE.get(code, "")) for code, text in caps.weaknesses()]
    return found + _of_type(mount)


_ADVICE = {
    "folder-moves-not-atomic": "after a crash, recover: what is half moved is brought together, object by object",
    "fsync-not-durable": "keep the workspace on a local disk, or accept it with policy weak_mounts = allow",
    "no-noreplace": "let nobody else write here while a run is under way",
    "names-fold-case": "tell names apart by more than capital letters",
}


def _of_type(mount: Mount) -> list[Finding]:
    found = [Finding("warning", title, advice) for name, title, advice in _BY_TYPE if name in _said(mount)]
    if mount.type == "overlay" and _lower_folders_stay(mount):
        title = "folders of the overlay's lower layer cannot be renamed"
        found.append(Finding("warning", title, "mount it with redirect_dir=on, or put the workspace on a volume"))
    if mount.is_network and "soft" in mount.options:
        title = "the mount gives up when its server is slow, and a write may be lost"
        found.append(Finding("warning", title, "mount it with the option hard"))
    if mount.options & {"nobarrier", "barrier=0"}:
        title = "the filesystem does not wait for its disk, so a power cut can lose what was synced"
        found.append(Finding("warning", title, "mount it with barriers"))
    return found


def _said(mount: Mount) -> tuple[str, ...]:
    kind = mount.type.removeprefix("fuse.")
    return (kind, "nfs" if kind == "nfs4" else kind)


_BY_TYPE = (
    (
        "gcsfuse",
        "what others changed in the bucket is seen only after a minute",
        "mount with metadata-cache:ttl-secs:0 and metadata-cache:negative-ttl-secs:0",
    ),
    (
        "gcsfuse",
        "in a bucket without hierarchical namespace a folder cannot be moved in one act",
        "use a bucket with hierarchical namespace",
    ),
    (
        "rclone",
        "what is written reaches the bucket only some seconds later",
        "mount with --vfs-cache-mode writes and --vfs-write-back 0s; wait before the mount is stopped",
    ),
    (
        "nfs",
        "what others changed is seen only after some seconds",
        "mount with lookupcache=none and actimeo=0 if others write here too",
    ),
    ("tmpfs", "everything here is gone when the machine stops", "keep the workspace on a disk"),
)


def state_findings(path: str) -> list[Finding]:
    """What speaks against a place for the state directory; empty where nothing does."""
    mount = mount_of(path)
    if not is_local(path):
        title = f"the state directory lies on {mount.type}, where its database and journals are not safe"
        return [Finding("error", title, "put it on a local disk: --state DIR, or TREEGATE_STATE")]
    if mount.type in ("tmpfs", "ramfs"):
        title = "the state directory is gone when the machine stops, and with it every approval and key"
        return [Finding("warning", title, "put it on a disk: --state DIR, or TREEGATE_STATE")]
    return []
