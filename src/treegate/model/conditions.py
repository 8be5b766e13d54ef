"""Conditions of a rule: what a plan must be for the rule to ask something of it.

All conditions of one rule must hold. Each says what it found, so that a person can see why a rule asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, get_args

import msgspec

from treegate.model.effects import EffectKind
from treegate.model.measures import MOST, parse_size, size_for_people, write_size
from treegate.model.names import visible

CROSSING = "crossing"  # a move from one case to another: a class of its own, and no "moved"
CLASSES = (*get_args(EffectKind), CROSSING)
SIZES = ("delete_bytes", "bytes")
FIGURES = (
    "deletes", "delete_bytes", "replacements", "files", "bytes", "operations", "effects", "crossings", "cases",
)  # fmt: skip

_SIGNS: Mapping[str, Callable[[int, int], bool]] = {
    ">": int.__gt__,
    ">=": int.__ge__,
    "<": int.__lt__,
    "<=": int.__le__,
    "=": int.__eq__,
}


class Bound(msgspec.Struct, frozen=True):
    """A figure of a plan held against a number, such as deletes > 20."""

    of: str
    sign: str
    number: int

    @classmethod
    def parse(cls, of: str, text: str) -> Bound:
        """Read ">20", or ">1 GiB" where the figure is a size; raises ValueError with a sentence."""
        read = re.fullmatch(r"(>=|<=|>|<|=) *(.+)", text.strip())
        example = ">1 GiB" if of in SIZES else ">20"
        if not read:
            signs = ", ".join(_SIGNS)
            raise ValueError(f"'{visible(text)}' does not compare; write one of {signs} and a value: '{example}'")
        sign, amount = read[1], read[2]
        if of in SIZES:
            return cls(of, sign, parse_size(amount))
        plain = amount.replace("_", "")
        if not re.fullmatch(r"[0-9]{1,16}", plain) or int(plain) > MOST:
            raise ValueError(f"'{visible(amount)}' is not a whole number; write it like '{example}'")
        return cls(of, sign, int(plain))

    def holds(self, found: int) -> bool:
        """Whether the figure found is within the bound."""
        return _SIGNS[self.sign](found, self.number)

    def written(self) -> str:
        """The reverse of `parse`."""
        return f"{self.sign}{write_size(self.number) if self.of in SIZES else self.number}"


class When(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The conditions of one rule; one that is not set asks nothing."""

    figures: tuple[Bound, ...] = ()
    only: tuple[str, ...] = ()  # no effect of another class
    any: tuple[str, ...] = ()  # an effect of one of these classes
    paths: tuple[str, ...] = ()
    case: tuple[str, ...] = ()
    author: tuple[str, ...] = ()
    mount_weak: bool | None = None


class Subject(NamedTuple):
    """What conditions are weighed against: one plan, as its preview has it."""

    figures: Mapping[str, int] = {}  # by the words of FIGURES
    classes: frozenset[str] = frozenset()  # words of CLASSES
    cases: tuple[str, ...] = ()
    author: str = ""
    weak: bool = False
    touching: Callable[[tuple[str, ...]], str | None] = lambda patterns: None
    """A path that the plan touches, or may touch with a whole folder, and that the patterns cover."""
    outside: Callable[[tuple[str, ...]], str | None] = lambda patterns: None
    """A path that the plan touches and that the patterns do not cover with certainty."""


class Weighed(NamedTuple):
    """One condition: whether it holds, and what was found."""

    holds: bool
    says: str


def weigh(when: When, subject: Subject, *, sparing: bool) -> list[Weighed]:
    """Every condition of a rule, weighed.

    `sparing` is for a rule that asks for nobody: its `case` and `paths` must cover all that the plan touches, where
    those of a rule that asks for somebody need only be touched.
    """
    return [
        *(_bound(bound, subject.figures.get(bound.of, 0)) for bound in when.figures),
        *_classes(when, subject.classes),
        *(_paths(when.paths, subject, sparing) if when.paths else ()),
        *(_cases(when.case, subject.cases, sparing) if when.case else ()),
        *([_author(when.author, subject.author)] if when.author else ()),
        *([_mount(when.mount_weak, subject.weak)] if when.mount_weak is not None else ()),
    ]


def _bound(bound: Bound, found: int) -> Weighed:
    shown = size_for_people(found) if bound.of in SIZES else f"{found:,}"
    holds = bound.holds(found)
    return Weighed(holds, f"{bound.of} is {shown}, {'' if holds else 'not '}{bound.written()}")


def _classes(when: When, found: frozenset[str]) -> Iterator[Weighed]:
    if when.only:
        others = _listed(sorted(found - set(when.only)))
        says = f"something is {others}" if others else f"all that happens is {_listed(sorted(found)) or 'nothing'}"
        yield Weighed(not others, says)
    if when.any:
        some = _listed(sorted(found & set(when.any)))
        yield Weighed(bool(some), f"something is {some}" if some else f"nothing is {_listed(when.any)}")


def _paths(patterns: tuple[str, ...], subject: Subject, sparing: bool) -> Iterator[Weighed]:
    named = ", ".join(f"'{pattern}'" for pattern in patterns)
    if sparing:
        left = subject.outside(patterns)
        says = f"all it touches lies in {named}" if left is None else f"'{visible(left)}' lies outside {named}"
        yield Weighed(left is None, says)
    else:
        hit = subject.touching(patterns)
        yield Weighed(hit is not None, f"{named} concerns {'nothing' if hit is None else repr(visible(hit))}")


def _cases(names: tuple[str, ...], touched: tuple[str, ...], sparing: bool) -> Iterator[Weighed]:
    within, others = set(touched) & set(names), set(touched) - set(names)
    holds = bool(within) and not (sparing and others)
    shown = _listed(map(visible, sorted(others if within and not holds else touched))) or "no case"
    yield Weighed(holds, f"it touches {shown}")


def _author(names: tuple[str, ...], author: str) -> Weighed:
    return Weighed(author in names, f"its author is {visible(author) or 'unknown'}")


def _mount(wanted: bool, weak: bool) -> Weighed:
    return Weighed(wanted == weak, f"the mount {'is weaker than it should be' if weak else 'is not weak'}")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
