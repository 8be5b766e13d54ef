"""Retention: of everything that the vault keeps, what will go, when, and why.

Age takes what is past its time, then size takes the oldest of a case, then the oldest of all, each until what is
left fits. What something names is never taken, though it counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from treegate.model.measures import MINUTE

BACKUP = "backup"  # the kind of a kept entry that is a copy of a file that moved
SKEW = MINUTE  # ms by which a clock may be set back without a word


class Because(StrEnum):
    """Why an entry goes when it does, or why it stays."""

    AGE = "age"  # it goes when it is as old as it may become
    CASE_SIZE = "case-size"  # its case keeps too much
    SIZE = "size"  # the vault keeps too much
    PLAN = "plan"  # a plan that may still be carried out names it
    RUN = "run"  # its run is unfinished
    CLOCK = "clock"  # it is past its time by a clock that went back
    FOREVER = "forever"


class Entry(NamedTuple):
    """What retention has to know of a kept entry; times in milliseconds, `size` in bytes."""

    case: str
    size: int
    until: int | None  # None: no age takes it
    named_by: str = ""  # the plan or the unfinished run that needs it


class Limits(NamedTuple):
    """How much may be kept, in bytes; None is without limit."""

    case: int | None = None
    total: int | None = None


class Verdict(NamedTuple):
    """When an entry goes (ms; None: not as things are), whether that is at the next prune, and why."""

    goes_at: int | None
    due: bool
    because: Because


def went_back(now: int, latest: int) -> bool:
    """Whether the clock is earlier than the latest time on record."""
    return now + SKEW < latest


def judge(entries: Sequence[Entry], now: int, limits: Limits, *, clock_back: bool = False) -> list[Verdict]:
    """A verdict for each entry; they are given oldest first, all that the vault keeps.

    `clock_back` says that the clock cannot be trusted: then none goes by age.
    """
    found = [_by_age(entry, now, clock_back) for entry in entries]
    for case in sorted({entry.case for entry in entries}):
        within = (number for number, entry in enumerate(entries) if entry.case == case)
        _take(entries, found, within, limits.case, Verdict(now, True, Because.CASE_SIZE))
    _take(entries, found, range(len(entries)), limits.total, Verdict(now, True, Because.SIZE))
    return found


def _by_age(entry: Entry, now: int, clock_back: bool) -> Verdict:
    if entry.named_by:
        return Verdict(None, False, Because.RUN if entry.named_by.startswith("run_") else Because.PLAN)
    if entry.until is None:
        return Verdict(None, False, Because.FOREVER)
    if entry.until > now:
        return Verdict(entry.until, False, Because.AGE)
    if clock_back:
        return Verdict(None, False, Because.CLOCK)
    return Verdict(entry.until, True, Because.AGE)


def _take(
    entries: Sequence[Entry], found: list[Verdict], numbers: Iterable[int], most: int | None, verdict: Verdict
) -> None:
    """Gives `verdict` to the oldest entries until those that stay come to no more than `most` bytes."""
    if most is None:
        return
    staying = [number for number in numbers if not found[number].due]
    size = sum(entries[number].size for number in staying)
    for number in _free(entries, staying):
        if size <= most:
            return
        found[number] = verdict
        size -= entries[number].size


def _free(entries: Sequence[Entry], numbers: Iterable[int]) -> Iterator[int]:
    """Those that may be taken, and whose going makes room."""
    return (number for number in numbers if not entries[number].named_by and entries[number].size)
