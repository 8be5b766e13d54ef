"""The tree a plan is tried on: entries with identity, and the small protocol that reads the real one.

A `Node` is one directory *entry* (not an inode: two hard links are two nodes).
It knows its home slot, where it is on disk now, and its final slot, where the
plan wants it; a slot is (parent node, name). An entry is touched when the two
differ. Names are `str` as the operating system gives them: bytes that are not
UTF-8 arrive as lone surrogates (PEP 383).
"""

from __future__ import annotations

import stat as st
import struct
from collections.abc import Iterator
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple, Protocol, final

from treegate.model.effects import EffectKind


class Kind(StrEnum):
    """What an entry is; `other` covers FIFOs, sockets and devices."""

    FILE = "file"
    DIR = "dir"
    LINK = "link"
    OTHER = "other"


# In Python 3.11 a member that is asked of its class costs as much as a call, and kinds are asked for of every entry.
FILE: Final = Kind.FILE
DIR: Final = Kind.DIR
LINK: Final = Kind.LINK
OTHER: Final = Kind.OTHER


class Facts(NamedTuple):
    """What lstat and statx said of one entry; times in nanoseconds, `btime` 0 where unknown.

    No device number is kept: it changes when a disk is mounted again.
    """

    mode: int
    nlink: int
    uid: int
    gid: int
    attrs: int  # STATX_ATTR_* bits, see IMMUTABLE, APPEND, MOUNT_ROOT
    ino: int
    size: int
    mtime: int
    ctime: int
    btime: int

    @property
    def kind(self) -> Kind:
        return kind_of(self.mode)


# Facts are held packed, 60 bytes instead of some 350, for a preview may hold a million of them.
PACKED = struct.Struct("<IIIIIQQqqq")
IMMUTABLE, APPEND, MOUNT_ROOT = 0x10, 0x20, 0x2000  # statx(2): STATX_ATTR_*

_KINDS = {st.S_IFREG: FILE, st.S_IFDIR: DIR, st.S_IFLNK: LINK}


def kind_of(mode: int) -> Kind:
    """The kind that a `st_mode` stands for."""
    return _KINDS.get(st.S_IFMT(mode), OTHER)


def pack(facts: Facts) -> bytes:
    """Facts as 60 bytes, the form that is stored, sealed and compared."""
    return PACKED.pack(*facts)


def unpack(packed: bytes) -> Facts:
    """The reverse of `pack`."""
    return Facts(*PACKED.unpack(packed))


class Level(IntEnum):
    """How much of an entry's facts must still hold before a run may touch it."""

    NONE = 0  # nothing: it is made by the run itself
    IDENTITY = 1  # kind, inode, birth time: folders that are not deleted
    CONTENT = 2  # and size, mtime: what is moved
    EXACT = 3  # and ctime: what is deleted, replaced or copied, for equal mtimes can hide other bytes


def same(packed: bytes, now: Facts, level: Level) -> bool:
    """Whether `now` is still the entry that `packed` describes, as far as `level` asks."""
    was = unpack(packed)
    if st.S_IFMT(was.mode) != st.S_IFMT(now.mode) or was.ino != now.ino:
        return False
    if was.btime and now.btime and was.btime != now.btime:
        return False
    if level >= Level.CONTENT and (was.size != now.size or was.mtime != now.mtime):
        return False
    return not (level >= Level.EXACT and was.ctime != now.ctime)


class Totals(NamedTuple):
    """What a folder holds, all the way down; `digest` is over every entry's path and exact facts."""

    files: int
    folders: int  # the folder itself not counted
    size: int  # bytes, of files
    mounts: tuple[str, ...]  # relative paths of mount points inside
    specials: tuple[str, ...]  # relative paths of FIFOs, sockets, devices
    multilinks: int  # files with several hard links
    digest: bytes


class Tree(Protocol):
    """How the simulator reads the tree as it is on disk; every path is relative to `projects/`, '' is that folder.

    Implemented by engine.scan.DiskTree and by an in-memory tree in the tests.
    A path given here is always an entry's *home* path; nothing follows a link.
    """

    def names(self, folder: str) -> dict[str, Kind]:
        """The entries of a folder, in the directory's own order, without reading each; `.treegate` is left out.

        Raises FileNotFoundError, NotADirectoryError or PermissionError.
        """
        ...

    def facts(self, folder: str, name: str) -> bytes | None:
        """The packed facts of one entry, or None if there is none."""
        ...

    def target(self, path: str) -> str:
        """Where a symbolic link points."""
        ...

    def sha256(self, path: str) -> str:
        """The hex digest of a file's content as it is now."""
        ...

    def totals(self, path: str) -> Totals:
        """What a folder holds."""
        ...

    def walk(self, path: str) -> Iterator[tuple[str, Kind]]:
        """Everything under a folder, depth first and in byte order: (path relative to it, kind)."""
        ...

    def obstacle(self, folder: str, name: str = "") -> tuple[str, str] | None:
        """Why entries cannot be added to or taken from a folder (or, named, this one): (problem code, sentence).

        Permissions, sticky and immutable folders, a read-only mount: what the operating system would say.
        """
        ...

    def free(self, folder: str) -> tuple[int, int]:
        """The bytes and inodes that are still free on the filesystem of a folder."""
        ...


class Made:
    """How a plan makes an entry: its content and what it is to look like.

    `effect` is made, created, copied or linked. The content of a file is a stored `blob` (sha256 hex) or that of
    `source`, an existing file as it is before the run. `like` is the existing file whose mode, owner and extended
    attributes it keeps, for it takes that file's place.
    """

    __slots__ = ("blob", "effect", "implied", "like", "mode", "mtime", "size", "source", "target")

    def __init__(self, effect: EffectKind) -> None:
        self.effect = effect
        self.blob = ""
        self.size = 0
        self.source: Node | None = None
        self.like: Node | None = None
        self.target = ""
        self.mode: int | None = None
        self.mtime: int | None = None
        self.implied = False


@final
class Node:
    """One entry of the virtual tree, with where it is (`home`) and where the plan wants it (`parent`)."""

    __slots__ = (
        "facts",
        "home",
        "home_name",
        "kind",
        "made",
        "name",
        "names",
        "number",
        "ops",
        "parent",
        "setting",
        "where",
    )

    def __init__(
        self,
        kind: Kind,
        parent: Node | None,
        name: str,
        home: Node | None = None,
        home_name: str = "",
        facts: bytes | None = None,
    ) -> None:
        self.kind = kind
        self.parent = parent
        self.name = name
        self.home = home
        self.home_name = home_name
        self.facts = facts
        self.names: dict[str, Kind | Node] | None = None  # a folder's entries, once listed
        self.made: Made | None = None  # how the plan makes it; None for what exists
        self.setting: tuple[int | None, int | None] | None = None  # mode and mtime that `set` asked for
        self.ops: int | tuple[int, ...] = 0  # the operations (from 1) that its fate came from; 0: untouched
        self.number = -1  # its number in the step table, given when sealed
        self.where = ""  # of a folder on disk: its home path; of an area: `/` and the table's key

    @property
    def operations(self) -> tuple[int, ...]:
        """The operations that its fate came from, in order."""
        return (self.ops,) if isinstance(self.ops, int) else self.ops

    @property
    def moved(self) -> bool:
        """Whether its final slot differs from the slot it has on disk."""
        return self.parent is not self.home or self.name != self.home_name

    def path(self) -> str:
        """Its final path, relative to `projects/`."""
        parts = []
        node: Node | None = self
        while node is not None and node.parent is not None:
            parts.append(node.name)
            node = node.parent
        return "/".join(reversed(parts))

    def home_path(self) -> str:
        """The path it has on disk now, relative to `projects/`; in a vault `/AREA/NAME`, as Tree takes it."""
        home = self.home
        if home is None:
            return ""
        return f"{home.where}/{self.home_name}" if home.where else self.home_name

    def __repr__(self) -> str:
        return f"<{self.kind.value} {self.home_path()!r} -> {self.path()!r}>"
