"""What effects are found by: the paths and kinds of all of a preview's, drawn out once to be sought through often."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import get_args

import msgspec

from treegate.engine.store.records import StoredPreview
from treegate.gate.core import Core
from treegate.model.actors import Action
from treegate.model.effects import EffectKind, Text

KINDS: tuple[str, ...] = get_args(EffectKind)
AT_ONCE = 50_000  # lines of one piece: sought through within some milliseconds


class Piece(msgspec.Struct, frozen=True):
    """Some effects that follow each other, each a line in lower case, parted by NUL, and a byte for its kind."""

    lines: bytes
    kinds: bytes


class _Row(msgspec.Struct, rename={"source": "from"}, gc=False):
    """What of an effect it is found by."""

    effect: str
    path: Text
    source: Text | None = None

    def line(self) -> str:
        where, source = _told(self.path), self.source
        return where if source is None else f"{where}\n{_told(source)}"


def pieces(core: Core, stored: StoredPreview) -> list[Piece]:
    """All effects of a preview, as they are sought through."""
    core.actor.require(Action.READ, core.store.plan(stored.plan).cases)
    rows = map(msgspec.json.Decoder(_Row).decode, core.store.effects(stored))
    return list(_pieces(rows))


def _pieces(rows: Iterator[_Row]) -> Iterator[Piece]:
    numbers = {kind: number for number, kind in enumerate(KINDS)}
    while some := list(islice(rows, AT_ONCE)):
        lines = "\0".join([row.line() for row in some]).lower()
        yield Piece(lines.encode("utf-8", "replace"), bytes(numbers[row.effect] for row in some))


def _told(path: Text) -> str:
    return path if isinstance(path, str) else path.raw
