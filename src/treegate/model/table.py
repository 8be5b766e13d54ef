"""The step table: everything a run and its recovery need, as rows that stream.

Made at preview, sealed by its SHA-256, carried out by engine.apply, read again
by engine.recover. All rows are small arrays of numbers and bytes; names are the
raw bytes the filesystem holds. Places and entries share one number space: a
folder that moves is both a place (others name it as parent) and an entry.

Order of rows in a table: Header, Place*, Check*, Staged*, Step*, Setting*.
"""

from __future__ import annotations

from operator import attrgetter

import msgspec

FORMAT = 1

# Step.kind
RENAME, EXCHANGE = 0, 1

# Place.name of a root (parent -1) is a key that the engine maps to a folder:
#   b"case:NAME"          the case's own folder
#   b"new:VOLUME"         staging of this run       .treegate/runs/{run}/new
#   b"park:VOLUME"        parking of this run       .treegate/runs/{run}/park
#   b"vault:VOLUME"       this run's vault          .treegate/vault/{run}/entries
#   b"vault:VOLUME:RUN"   another run's vault (what `restore` takes from)
# VOLUME is b"" for the workspace's `.treegate`, or the name of a case that lies
# on a filesystem of its own and has its own.
ROOT = -1


class Header(msgspec.Struct, array_like=True, frozen=True, tag="header"):
    """Which plan, and how many rows of each kind follow."""

    format: int
    plan_digest: str
    cases: list[str]  # sorted; the locks a run takes, in this order
    volumes: list[str]  # the volumes whose areas the run uses
    places: int
    checks: int
    staged: int
    steps: int
    settings: int


class Place(msgspec.Struct, array_like=True, frozen=True, tag="place", gc=False):
    """A folder that something is in or goes to, at its slot *before* the run; a parent always comes before it.

    `facts` are packed (model.tree) and checked at identity level; b"" for a root or one that the run makes
    (those stand in a new-area as Staged and their place's parent is the area or another staged folder).
    """

    number: int
    parent: int
    name: bytes
    facts: bytes


class Check(msgspec.Struct, array_like=True, frozen=True, tag="check", gc=False):
    """Something that must still hold before the first step, beyond what the steps themselves say.

    `digest` (b"" if not asked) is Totals.digest of the folder: for folders that are deleted or copied, or that
    a protect or limit rule concerns. `sha256` ("" if not asked) is an `expect`ed content.
    """

    place: int
    name: bytes
    facts: bytes
    level: int
    digest: bytes
    sha256: str


class Staged(msgspec.Struct, array_like=True, frozen=True, tag="staged", gc=False):
    """A new entry, built under the new-area before the first step; a parent comes before its children.

    kind: "dir", "file" or "link". Content of a file is exactly one of `blob` (sha256 hex of a stored blob) and
    `source` (the slot of an existing file, copied as it is before the run, checked against `source_facts` at
    exact level). `like` is the slot of the file this one replaces: its mode, owner, xattrs and ACL are kept.
    `into` is the place where it will come to lie; group of a setgid folder and default ACL come from there.
    """

    number: int
    parent: int  # place number: the new-area, or a staged folder
    name: bytes
    kind: str
    into: int
    blob: str = ""
    source: tuple[int, bytes] | None = None
    source_facts: bytes = b""
    target: bytes = b""
    like: tuple[int, bytes] | None = None
    mode: int | None = None  # permission bits; None: as the system makes a new one (or as the source, or `like`)
    mtime: int | None = None  # nanoseconds
    full: bool = False  # a copy that shares no blocks with its source


class Step(msgspec.Struct, array_like=True, frozen=True, tag="step", gc=False):
    """One rename of a known entry from slot to slot, or one exchange of two known entries.

    `facts` is b"" where the run itself made the entry (its identity then stands in the journal's `staged` frame,
    by `entry` number). `level` is how much of them is checked in the pre-pass; 0 for an entry's second and later
    steps, whose `src` is then not the slot it has before the run. `free`: the target slot was free before the
    run, so the pre-pass must find it absent (False where an earlier step vacates it, or the target place is new).
    For an exchange `other` is the entry at the target slot, which goes to the source slot.
    """

    kind: int
    entry: int
    facts: bytes
    level: int
    src: int
    src_name: bytes
    dst: int
    dst_name: bytes
    free: bool
    is_dir: bool
    other: int = -1
    other_facts: bytes = b""
    other_level: int = 0
    other_is_dir: bool = False


between = attrgetter("src", "dst")  # the two folders of a step, by which those of the same two are put together


class Setting(msgspec.Struct, array_like=True, frozen=True, tag="setting", gc=False):
    """A change of mode or mtime of an entry that stays what it is; done after the last step, at its final slot.

    Not a step: it moves nothing, and is idempotent; the values before stand here, so that it can be taken back.
    """

    entry: int
    place: int
    name: bytes
    facts: bytes  # as before the run
    mode: int | None
    mtime: int | None


Row = Header | Place | Check | Staged | Step | Setting
