"""An effect or a pattern as one line of inert text, and lists as tables whose columns line up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from treegate.model.effects import Effect, untagged
from treegate.model.preview import Pattern, Preview
from treegate.render.ink import Ink
from treegate.render.text import arrow, clip, columns, cut, inert, name, pad

GAP = 2  # columns between two cells
LOOK = 100  # rows that a table looks at to settle its columns; the others keep to them


def only_case(preview: Preview) -> str:
    """The case that all paths are shown within, where the plan touches one only."""
    return preview.cases[0] if len(preview.cases) == 1 else ""


def ends(effect: Effect, case: str = "") -> tuple[str, str]:
    """Where an effect takes from and where it leads to, as names for people; "" where there is no such end."""
    folder = effect.kind == "dir"
    path = name(effect.path, case, folder=folder)
    if effect.effect == "deleted":
        return path, ""
    if effect.effect == "linked" and effect.target is not None:
        return name(effect.target), path
    if effect.effect == "set":
        return path, " ".join(filter(None, (effect.mode and f"mode {effect.mode}", effect.mtime and "time set")))
    if effect.source is None:
        return "", path
    if effect.effect == "restored":
        return inert(effect.source), path
    return name(effect.source, case, folder=folder), path


def effect_line(effect: Effect, room: int, case: str = "") -> str:
    """One effect in at most `room` columns."""
    source, to = ends(effect, case)
    if effect.effect == "linked" and source:
        return arrow(to, source + " (link)", room)
    if effect.effect == "set":
        return cut(f"{source}  {to}" if to else source, room)
    return arrow(source, to, room) if source and to else cut(source or to, room)


def pattern_line(pattern: Pattern, room: int, case: str = "") -> str:
    """The shape of a pattern in at most `room` columns: `Scans/*.pdf -> Correspondence/`."""
    if pattern.count == 1 and pattern.examples:
        return effect_line(pattern.examples[0], room, case)
    to = name(pattern.to, case) if untagged(pattern.to) else ""
    if pattern.source is None:
        return cut(f"in {to}", room)
    source = inert(pattern.source) if pattern.effect == "restored" else name(pattern.source, case)
    return arrow(source, to, room) if to else cut(source, room)


class Column(NamedTuple):
    """How a column of a table is set."""

    head: str
    right: bool = False
    flex: bool = False  # takes part in sharing what room the others leave
    prose: bool = False  # cut at the end instead of in the middle


def table(
    heads: Sequence[Column],
    rows: Iterable[Sequence[str]],
    width: int,
    ink: Ink,
    style: Callable[[Sequence[str]], tuple[int, str]] | None = None,
) -> Iterator[str]:
    """The lines of a table, one a row, each at most `width` columns; rows are read as lines are asked for.

    `style` says of a row which cell is to be coloured, and how.
    """
    rest = iter(rows)
    first = list(islice(rest, LOOK))
    widths = _widths(heads, first, width)
    yield ink(_laid_out(heads, [column.head for column in heads], widths, Ink(False), (-1, "")), "head")
    for row in chain(first, rest):
        yield _laid_out(heads, row, widths, ink, style(row) if style else (-1, ""))


def _widths(heads: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    needs = [
        max([len(column.head), *(columns(row[at]) for row in rows)]) if rows else len(column.head)
        for at, column in enumerate(heads)
    ]
    fixed = sum(need for need, column in zip(needs, heads, strict=True) if not column.flex)
    room = max(0, width - fixed - GAP * (len(heads) - 1))
    asked = [
        min(need, room // 4) if column.prose else need
        for need, column in zip(needs, heads, strict=True)
        if column.flex
    ]
    shares = iter(share(asked, room))
    return [next(shares) if column.flex else need for need, column in zip(needs, heads, strict=True)]


def share(needs: Sequence[int], room: int) -> list[int]:
    """Divides room fairly: nobody gets more than asked for, and what one leaves goes to the others."""
    given = [0] * len(needs)
    for left, at in enumerate(sorted(range(len(needs)), key=lambda at: needs[at])):
        given[at] = min(needs[at], room // (len(needs) - left))
        room -= given[at]
    return given


def _laid_out(
    heads: Sequence[Column], row: Sequence[str], widths: Sequence[int], ink: Ink, style: tuple[int, str]
) -> str:
    cells = []
    for at, (column, text, room) in enumerate(zip(heads, row, widths, strict=True)):
        cell = pad((clip if column.prose else cut)(text, room), room, right=column.right)
        cells.append(ink(cell, style[1]) if at == style[0] else cell)
    return (" " * GAP).join(cells).rstrip()
