"""The operations of a plan, version 1: one frozen type each, strict about its keys."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

SAFE_INTEGER = 2**53 - 1  # RFC 8785 and every JSON reader agree up to here

Count = Annotated[int, Meta(ge=1, le=SAFE_INTEGER)]
Size = Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
BlobName = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]
Mode = Annotated[str, Meta(pattern="^[0-7]{3,4}$", description="octal permission bits, such as 0644")]
Time = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$", description="UTC, RFC 3339")]
IfExists = Literal["fail", "replace", "number"]


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the content of an operation's source must be; checked at preview and again at apply."""

    size: Size | UnsetType = UNSET
    sha256: Sha256 | UnsetType = UNSET


class _Operation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", gc=False):
    why: str | UnsetType = UNSET
    raw: bool | UnsetType = UNSET


class _Sourced(_Operation, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    expect: Expect | UnsetType = UNSET


class Mkdir(_Operation, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="mkdir", gc=False):
    """Make a folder, and those above it that are missing."""

    path: str


class _Transfer(
    _Sourced, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"source": "from", "exclude": "except"}
):
    to: str
    source: str | UnsetType = UNSET
    match: str | UnsetType = UNSET
    exclude: list[str] | UnsetType = UNSET
    count: Count | UnsetType = UNSET
    if_exists: IfExists | UnsetType = UNSET


class Move(_Transfer, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="move"):
    """Give an entry another place: a file, a link or a whole folder; with `match`, all that a glob names."""


class Copy(_Transfer, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="copy"):
    """Make another of an entry, with its content as it is at this operation."""


class Rename(_Sourced, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="rename", gc=False):
    """Give an entry another name in the same folder."""

    path: str
    name: str
    if_exists: IfExists | UnsetType = UNSET


class _Contents(_Operation, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    path: str
    content: str | UnsetType = UNSET
    content_base64: str | UnsetType = UNSET
    blob: BlobName | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    mtime: Time | UnsetType = UNSET


class Create(_Contents, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="create", gc=False):
    """Make a file with the given content where there is none."""

    if_exists: IfExists | UnsetType = UNSET


class Replace(_Contents, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="replace", gc=False):
    """Give a file new content; its mode, owner and extended attributes stay, the old file goes to the vault."""

    expect: Expect | UnsetType = UNSET


class Delete(
    _Sourced, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="delete", rename={"exclude": "except"}
):
    """Take an entry away, into the vault; with `match`, all that a glob names."""

    path: str | UnsetType = UNSET
    match: str | UnsetType = UNSET
    exclude: list[str] | UnsetType = UNSET
    count: Count | UnsetType = UNSET
    recursive: bool | UnsetType = UNSET


class Restore(_Operation, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="restore", gc=False):
    """Put an entry of a run's vault back into the tree."""

    run: str
    entry: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
    to: str


class Symlink(_Operation, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="symlink", gc=False):
    """Make a symbolic link."""

    path: str
    target: str


class Set(_Sourced, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="set", gc=False):
    """Set an entry's permission bits, its modification time, or both."""

    path: str
    mode: Mode | UnsetType = UNSET
    mtime: Time | UnsetType = UNSET


Operation = Mkdir | Move | Rename | Copy | Create | Replace | Delete | Restore | Symlink | Set
OPERATIONS: tuple[type[Operation], ...] = (
    Mkdir, Move, Rename, Copy, Create, Replace, Delete, Restore, Symlink, Set,
)  # fmt: skip


def inline_content(operation: Create | Replace) -> bytes | None:
    """The bytes that a create or replace carries, or None where it names a blob."""
    if operation.content is not UNSET:
        return operation.content.encode()
    if operation.content_base64 is not UNSET:
        text = operation.content_base64
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    return None


def shape_fault(operation: Operation) -> tuple[str, str] | None:
    """(key, what is wrong) of an operation whose keys do not go together."""
    look = _LOOKS.get(type(operation))
    return None if look is None else look(operation)


def _transfer_fault(operation: Move | Copy) -> tuple[str, str] | None:
    if (operation.source is UNSET) == (operation.match is UNSET):
        return "from", "exactly one of `from` and `match` is needed"
    if operation.match is not UNSET:
        return _match_fault(operation)
    return _only_with_match(operation)


def _delete_fault(operation: Delete) -> tuple[str, str] | None:
    if (operation.path is UNSET) == (operation.match is UNSET):
        return "path", "exactly one of `path` and `match` is needed"
    if operation.match is not UNSET:
        return _match_fault(operation)
    return _only_with_match(operation)


def _match_fault(operation: Move | Copy | Delete) -> tuple[str, str] | None:
    if operation.expect is not UNSET:
        return "expect", "`expect` describes one file; it does not go with `match`"
    if operation.raw is True:
        return "raw", "`raw` spells out the bytes of one path; it does not go with `match`"
    return None


def _only_with_match(operation: Move | Copy | Delete) -> tuple[str, str] | None:
    if operation.exclude is not UNSET:
        return "except", "`except` goes only with `match`"
    if operation.count is not UNSET:
        return "count", "`count` goes only with `match`"
    return None


def _contents_fault(operation: Create | Replace) -> tuple[str, str] | None:
    given = [key for key in ("content", "content_base64", "blob") if getattr(operation, key) is not UNSET]
    if len(given) != 1:
        return "content", "exactly one of `content`, `content_base64` and `blob` is needed"
    try:
        inline_content(operation)
    except (binascii.Error, ValueError):
        return "content_base64", "this is not base64"
    return None


def _setting_fault(operation: Set) -> tuple[str, str] | None:
    if operation.mode is UNSET and operation.mtime is UNSET:
        return "mode", "`set` needs a `mode`, an `mtime` or both"
    return None


_LOOKS: Mapping[type, Callable[[Any], tuple[str, str] | None]] = {
    Move: _transfer_fault,
    Copy: _transfer_fault,
    Create: _contents_fault,
    Replace: _contents_fault,
    Delete: _delete_fault,
    Set: _setting_fault,
}
