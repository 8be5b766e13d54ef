"""How two previews of a plan differ, for the terminal: what came, what is gone, what happens otherwise now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from treegate.model.difference import Changed, Difference
from treegate.model.effects import Effect, Text
from treegate.model.problems import Problem
from treegate.render.ink import Ink
from treegate.render.lines import effect_line
from treegate.render.text import cut, inert, sentence, wrap
from treegate.render.words import DIGEST, holds, plural

SHOWN = 40  # effects of each kind


class _Side(Protocol):
    @property
    def label(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def summary(self) -> str: ...


class _MovedOn(Protocol):
    @property
    def path(self) -> Text: ...
    @property
    def text(self) -> str: ...


class Comparison(Protocol):
    """What is shown (gate.comparing gives it)."""

    @property
    def id(self) -> str: ...
    @property
    def before(self) -> _Side: ...
    @property
    def after(self) -> _Side: ...
    @property
    def same(self) -> bool: ...
    @property
    def effects(self) -> Difference: ...
    @property
    def problems(self) -> Sequence[Problem]: ...
    @property
    def mended(self) -> Sequence[Problem]: ...
    @property
    def moved_on(self) -> Sequence[_MovedOn]: ...
    @property
    def moved_on_count(self) -> int: ...


def comparison(found: Comparison, *, width: int, color: bool) -> str:
    """The whole comparison; lists are cut, and say how much more there is."""
    ink = Ink(color)
    lines = [ink(f"{found.id}: from {found.before.label} to {found.after.label}", "title")]
    for side in (found.before, found.after):
        lines += wrap(f"{side.digest[:DIGEST]}  {inert(side.summary)}", width, 2)
    lines.append("")
    if found.same:
        lines.append("The digest is the same: nothing that was decided on has changed.")
    lines += _moved_on(found, width, ink)
    lines += _effects(found.effects, width, ink)
    lines += _problems("new problem", found.problems, width, ink)
    lines += _problems("mended", found.mended, width, ink)
    if not found.same and len(lines) == lines.index("") + 1:
        lines.append("The effects are the same; what is different is what the digest covers besides: fingerprints,")
        lines.append("policy, or what the mount can promise.")
    return "".join(f"{line}\n" for line in lines)


def _moved_on(found: Comparison, width: int, ink: Ink) -> Iterator[str]:
    if not found.moved_on:
        return
    yield ink(f"{plural(found.moved_on_count, 'entry', 'entries')} changed in the tree since:", "warning")
    for one in found.moved_on[:SHOWN]:
        yield cut(f"  {inert(one.path)}: {sentence(one.text)}", width)
    yield from _more(found.moved_on_count)


def _effects(found: Difference, width: int, ink: Ink) -> Iterator[str]:
    yield from _listed("- ", "deleted", found.gone, found.gone_count, width, ink)
    yield from _listed("+ ", "good", found.came, found.came_count, width, ink)
    for one in found.changed[:SHOWN]:
        yield from _changed(one, width, ink)
    yield from _more(found.changed_count)
    if not found.empty:
        yield ink(f"  {plural(found.same, 'effect')} stayed as they were", "dim")


def _listed(mark: str, style: str, effects: Iterable[Effect], count: int, width: int, ink: Ink) -> Iterator[str]:
    for effect in list(effects)[:SHOWN]:
        yield ink(mark + _line(effect, width - 2), style)
    yield from _more(count)


def _changed(one: Changed, width: int, ink: Ink) -> Iterator[str]:
    was, now = _line(one.was, width - 2), _line(one.now, width - 9)
    if _line(one.now, width - 2) == was:
        yield ink(f"~ {was}", "warning")
        yield f"    was {holds(one.was) or 'empty'}, is {holds(one.now) or 'empty'} now"
        return
    yield ink(f"~ {was}", "deleted")
    yield ink(f"    now: {now}", "good")


def _line(effect: Effect, room: int) -> str:
    word = f"{effect.effect:<9}"
    return word + effect_line(effect, room - len(word))


def _more(count: int) -> Iterator[str]:
    if count > SHOWN:
        yield f"  and {count - SHOWN:,} more"


def _problems(label: str, problems: Sequence[Problem], width: int, ink: Ink) -> Iterator[str]:
    for found in problems[:SHOWN]:
        where = f" in operation {found.operation}" if found.operation else ""
        text = f"{label} ({found.code}){where}: {sentence(found.message)}"
        yield from (ink(line, found.severity if label != "mended" else "dim") for line in wrap(text, width))
    yield from _more(len(problems))
