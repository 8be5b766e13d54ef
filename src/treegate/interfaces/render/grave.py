"""What a reviewer must not miss: errors, what goes away or leaves its case, oddities; to each class its lines.

The same choice for every renderer, so that no face of a preview hides what another one shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from treegate.interfaces.render.words import label
from treegate.model.effects import Effect
from treegate.model.preview import Preview
from treegate.model.problems import Problem

FEW = 10  # a class of so many is shown in full before a larger one gets a second line

_SECTIONS = {"deletions": "deleted", "replacements": "replaced", "crossings": "leaves case"}


class Item(NamedTuple):
    """One thing to look at: an effect, or a problem that no effect shown here stands for."""

    effect: Effect | None
    note: str = ""
    problem: Problem | None = None


class Lot(NamedTuple):
    """A class of grave things: the first few of `total`."""

    label: str
    kind: str  # error, deletions, replacements, crossings, odd
    total: int
    items: Sequence[Item]


def lots(preview: Preview) -> list[Lot]:
    """Everything grave, in the order in which it is shown."""
    errors = [Item(None, found.hint, found) for found in preview.problems if found.severity == "error"]
    found = [Lot("error", "error", preview.errors, errors)] if errors else []
    for section in preview.sections:
        items = [Item(effect) for effect in section.effects]
        found.append(Lot(_SECTIONS.get(section.kind, section.kind), section.kind, section.count, items))
    return [lot for lot in found + _odd(preview) if lot.total and lot.items]


def _odd(preview: Preview) -> list[Lot]:
    """Oddities by their code; and warnings that are not among them, for an entry may be odd in two ways."""
    items: dict[str, list[Item]] = {}
    shown = set()
    for odd in preview.oddities:
        items.setdefault(odd.code, []).append(Item(odd.effect, odd.note))
        shown.add((odd.code, odd.effect.path))
    counts = {code: len(found) for code, found in items.items()}
    warned: dict[str, int] = {}
    for found in preview.problems:
        if found.severity != "warning":
            continue
        warned[found.code] = warned.get(found.code, 0) + 1
        if found.path is None or (found.code, found.path) not in shown:
            items.setdefault(found.code, []).append(Item(None, found.hint, found))
    unlisted = preview.oddity_count - len(preview.oddities) if len(items) == 1 else 0
    return [
        Lot(label(code), "odd", max(len(found), warned.get(code, 0), counts.get(code, 0) + unlisted), found)
        for code, found in items.items()
    ]


def allot(demands: Sequence[int], room: int) -> list[int]:
    """How many lines each class gets: at least one; small classes all they need; the others share fairly.

    Where there are more classes than lines, the last ones get none.
    """
    if len(demands) >= room:
        return [int(at < room) for at in range(len(demands))]
    small = [need for need in demands if need <= FEW]
    favour = FEW if sum(small) + len(demands) - len(small) <= room else 0
    given = [need if need <= favour else 1 for need in demands]
    left = room - sum(given)
    while left > 0 and any(need > got for need, got in zip(demands, given, strict=True)):
        for at, need in enumerate(demands):
            if left > 0 and need > given[at]:
                given[at] += 1
                left -= 1
    return given
