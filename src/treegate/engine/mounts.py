"""What is mounted where, from /proc/self/mountinfo (proc(5)), and what a type of filesystem is known for."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from treegate.engine import handles

_ESCAPED = re.compile(r"\\([0-7]{3})")  # mountinfo writes space, tab, newline and backslash as octal
_NETWORK = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "afs", "glusterfs", "lustre", "gpfs", "beegfs", "ncpfs")
)
_WINDOWS = frozenset(("vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk", "cifs", "smb3", "smbfs"))
_BUCKETS = {  # what the type or source of a mount says of the store behind it
    "gcsfuse": "gcs",
    "rclone": "s3",
    "s3fs": "s3",
    "goofys": "s3",
    "mountpoint-s3": "s3",
    "blobfuse": "azure",
}


class Mount(NamedTuple):
    """One line of mountinfo."""

    type: str
    source: str
    point: str
    options: frozenset[str]  # of the mount and of the filesystem

    @property
    def bucket(self) -> str:
        """The rules of the object store behind it: gcs, s3, azure, or ""."""
        if not self.is_fuse:
            return ""
        said = f"{self.type} {self.source}"
        return next((store for name, store in _BUCKETS.items() if name in said), "")

    @property
    def is_fuse(self) -> bool:
        """Whether a program serves it; `fuseblk` is a local disk and none of those meant."""
        return self.type == "fuse" or self.type.startswith("fuse.")

    @property
    def is_network(self) -> bool:
        """Whether its files are on another machine."""
        return self.type in _NETWORK

    @property
    def name_rules(self) -> tuple[str, ...]:
        """Which rules of model.paths a name must obey here."""
        if self.bucket:
            return ("posix", self.bucket)
        return ("posix", "windows") if self.type in _WINDOWS else ("posix",)


UNKNOWN = Mount("unknown", "", "", frozenset())


def mount_of(path: str) -> Mount:
    """The mount that a path lies on, or would lie on once it is made; UNKNOWN where the kernel does not say."""
    with handles.closing(os.open(_existing(path), os.O_PATH | os.O_CLOEXEC)) as fd:
        number = _field(f"/proc/self/fdinfo/{fd}", "mnt_id:")
    return next((parse(line) for line in _lines() if line.partition(" ")[0] == number), UNKNOWN)


def mounted() -> Iterator[Mount]:
    """Everything that is mounted, in the order in which it was; nothing where the kernel does not say."""
    return map(parse, _lines())


def inside(folder: str) -> list[str]:
    """The places below a folder at which something is mounted, in the order in which it was; not the folder."""
    top = os.path.realpath(folder) + "/"
    return [mount.point for mount in mounted() if mount.point.startswith(top)]


def _lines() -> Iterator[str]:
    with (
        contextlib.suppress(FileNotFoundError),
        open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines,
    ):
        yield from lines


def parse(line: str) -> Mount:
    """One line of mountinfo, whose optional fields end with a dash."""
    front, _, back = line.rstrip("\n").partition(" - ")
    fields, (kind, source, more) = front.split(" "), back.split(" ", 2)
    options = frozenset(fields[5].split(",")) | frozenset(more.split(","))
    return Mount(kind, _plain(source), _plain(fields[4]), options)


def is_local(path: str) -> bool:
    """Whether the state directory may lie here: not on FUSE nor on a network filesystem.

    Locks, fsync and shared memory of the database cannot be relied on there.
    """
    mount = mount_of(path)
    return not (mount.is_fuse or mount.is_network)


def _existing(path: str) -> str:
    path = os.path.abspath(path)
    while not os.path.lexists(path) and path != "/":
        path = os.path.dirname(path)
    return path


def _field(path: str, key: str) -> str:
    try:
        with open(path) as lines:
            return next((line.split()[1] for line in lines if line.startswith(key)), "")
    except FileNotFoundError:
        return ""


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)
