"""What a reviewer must not miss: errors, what goes away or leaves its case, oddities; to each class its lines.

The same choice for every renderer, so that no face of a preview hides what another one shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from treegate.model.effects import Effect, Text
from treegate.model.preview import Preview
from treegate.model.problems import Problem
from treegate.render.words import label

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
    also, rest = _warnings(preview)
    found = [Lot("error", "error", preview.errors, errors)] if errors else []
    for section in preview.sections:
        items = [Item(effect, _noted("", also.get(effect.path, []))) for effect in section.effects]
        found.append(Lot(_SECTIONS.get(section.kind, section.kind), section.kind, section.count, items))
    return [lot for lot in found + _odd(preview, also, rest) if lot.total and lot.items]


def _warnings(preview: Preview) -> tuple[dict[Text, list[str]], list[Problem]]:
    """Warnings about effects that are shown anyway, as labels by path; and all others that no oddity stands for.

    An entry that is odd in two ways takes one line, or it would push another one out of sight.
    """
    own = {(odd.code, odd.effect.path) for odd in preview.oddities}
    shown = {odd.effect.path for odd in preview.oddities}
    shown |= {effect.path for section in preview.sections for effect in section.effects}
    also: dict[Text, list[str]] = {}
    rest = []
    for found in preview.problems:
        if found.severity != "warning" or (found.code, found.path) in own:
            continue
        if found.path in shown and found.path is not None:
            also.setdefault(found.path, []).append(label(found.code))
        else:
            rest.append(found)
    return also, rest


def _noted(note: str, labels: list[str]) -> str:
    return "; ".join(filter(None, (f"also {', '.join(labels)}" if labels else "", note)))


def _odd(preview: Preview, also: dict[Text, list[str]], rest: list[Problem]) -> list[Lot]:
    """Oddities by their code, and the warnings that no effect shown here stands for."""
    items: dict[str, list[Item]] = {}
    for odd in preview.oddities:
        note = _noted(odd.note, also.get(odd.effect.path, []))
        items.setdefault(odd.code, []).append(Item(odd.effect, note))
    for found in rest:
        items.setdefault(found.code, []).append(Item(None, found.hint, found))
    made = [Lot(label(code), "odd", len(found), found) for code, found in items.items()]
    unlisted = preview.oddity_count - sum(lot.total for lot in made)
    if made and unlisted > 0:
        made[-1] = made[-1]._replace(total=made[-1].total + unlisted)
    return made


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
