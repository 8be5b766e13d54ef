"""Effects: the lines of the difference that a plan makes, net of every detour."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from treegate.errors import PlanError


class Raw(msgspec.Struct, frozen=True, gc=False):
    """A path or name that is not UTF-8, as percent-encoded bytes: the one tagged form in every document."""

    raw: str


Text = str | Raw  # how a path stands in a document


def tagged(path: str) -> Text:
    """A path for a document: itself, or percent-encoded where it holds bytes that are not UTF-8 (PEP 383)."""
    if path.isascii():
        return path
    try:
        path.encode()
    except UnicodeEncodeError:
        return Raw(quote_from_bytes(path.encode("utf-8", "surrogateescape"), safe="/ "))
    return path


def untagged(text: Text) -> str:
    """The reverse of `tagged`."""
    if isinstance(text, str):
        return text
    return unquote_to_bytes(text.raw).decode("utf-8", "surrogateescape")


EffectKind = Literal["made", "moved", "copied", "created", "replaced", "deleted", "restored", "linked", "set"]
By = Literal["", "move", "copy", "create", "replace"]


def check_case(case: str) -> None:
    """Raises PlanError for a case whose name is not UTF-8: documents name cases, and tell of it to nobody."""
    name = tagged(case)
    if isinstance(name, Raw):
        text = f"the case {name.raw!r} has a name that is not UTF-8, so nobody could be told what is done there"
        hint = "rename its folder; what lies in it may have such names"
        raise PlanError(text, code="case-not-utf8", hint=hint)


class Effect(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename={"source": "from"}):
    """One line of the net difference; paths start at `projects/`.

    `path` is where the entry finally is; for `deleted`, where it was. `source` is where it was before (moved,
    copied, restored: `vault:run_x/12`, and replaced where the new file was itself moved there).
    """

    id: str  # "e17"
    effect: EffectKind
    path: Text
    kind: str  # file, dir, link
    source: Text | None = None
    operations: tuple[int, ...] = ()
    files: int = 0  # files and links it holds: 1 for a file
    size: int = 0  # bytes it holds
    sha256: str = ""  # of content that the plan brings (created, replaced)
    target: Text | None = None  # of a link
    mode: str | None = None  # "0644", where the plan sets it
    mtime: str | None = None  # nanoseconds since 1970, where the plan sets it
    old_mode: str | None = None  # what they were before, where they are set
    old_mtime: str | None = None
    replaces: Text | None = None  # where the replaced file was before, if not at `path`
    by: By = ""  # how the file came that replaces the old one; by `replace`, it keeps the old one's looks
    implied: bool = False  # a folder made because something is put into it
    vault: int | None = None  # the entry number under which the vault keeps what goes away
    entry: int = -1  # its number in the step table
