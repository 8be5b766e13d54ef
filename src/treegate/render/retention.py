"""What retention says of kept entries, in words: when each goes and why, and what each case keeps."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from treegate.model.measures import write_size
from treegate.model.retention import Because


class Held(Protocol):
    """A kept entry, with what retention says of it (gate.keeping gives it)."""

    @property
    def case(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def goes_at(self) -> int | None: ...
    @property
    def due(self) -> bool: ...
    @property
    def because(self) -> Because: ...
    @property
    def named_by(self) -> str: ...


class Limits(Protocol):
    """The settings of the vault that its words speak of."""

    @property
    def max_size(self) -> int | None: ...
    @property
    def case_max_size(self) -> int | None: ...


class CaseTotal(msgspec.Struct, frozen=True):
    """What is kept of a case: how much (bytes), and how much of it goes at the next prune."""

    case: str
    entries: int
    size: int
    due: int


def cases(kept: Iterable[Held]) -> list[CaseTotal]:
    """The totals of each case, by name."""
    found: dict[str, CaseTotal] = {}
    for one in kept:
        had = found.get(one.case, CaseTotal(one.case, 0, 0, 0))
        found[one.case] = CaseTotal(one.case, had.entries + 1, had.size + one.size, had.due + one.size * one.due)
    return [found[case] for case in sorted(found)]


def in_all(totals: Iterable[CaseTotal]) -> CaseTotal:
    """The sum of several totals."""
    every = list(totals)
    return CaseTotal("", sum(t.entries for t in every), sum(t.size for t in every), sum(t.due for t in every))


def goes(one: Held, limits: Limits) -> str:
    """When an entry goes and why, or why it stays."""
    match one.because:
        case Because.AGE if one.due:
            return f"at the next prune: its time was up on {_day(one.goes_at)}"
        case Because.AGE:
            return f"{_day(one.goes_at)} by age"
        case Because.CASE_SIZE:
            return f"at the next prune: the case keeps more than {_most(limits.case_max_size)}"
        case Because.SIZE:
            return f"at the next prune: the vault keeps more than {_most(limits.max_size)}"
        case Because.PLAN:
            return f"kept: plan {one.named_by} names it"
        case Because.RUN:
            return "kept: run unfinished"
        case Because.CLOCK:
            return "kept: the clock went back"
        case Because.FOREVER:
            return "for good"


def _day(milliseconds: int | None) -> str:
    return f"{datetime.fromtimestamp((milliseconds or 0) / 1000, UTC):%Y-%m-%d}"


def _most(size: int | None) -> str:
    return write_size(size or 0)
