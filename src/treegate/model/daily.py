"""Limits of a day: what one author may take away from one case in 24 hours, however it is split into plans.

What was done counts, and so does what waits: else many small plans could each pass on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from treegate.model.measures import DAY, GIB, size_for_people
from treegate.model.names import visible

NAMED = 3  # runs or plans that a sentence names


class PerDay(msgspec.Struct, frozen=True, kw_only=True):
    """How much one author may do to one case in 24 hours."""

    deletes: int = 200
    delete_bytes: int = 10 * GIB
    replacements: int = 200


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan or a run takes away from one case."""

    case: str
    deletes: int = 0  # files, with what folders hold
    delete_bytes: int = 0
    replacements: int = 0


class Deed(NamedTuple):
    """What one run did to a case, or one plan is about to do: its id, its time in milliseconds since 1970."""

    id: str
    at: int
    share: Share


class Day(NamedTuple):
    """What counts against an author's day in a case: what runs did in the last 24 hours, and what waits."""

    done: tuple[Deed, ...] = ()
    waiting: tuple[Deed, ...] = ()


class Over(NamedTuple):
    """A limit of the day that a plan would pass."""

    case: str
    sentence: str
    hint: str


_COUNTED: tuple[tuple[str, str, Callable[[int], str]], ...] = (
    ("deletes", "delete", "{:,} files".format),
    ("delete_bytes", "delete", size_for_people),
    ("replacements", "replace", "{:,} files".format),
)


def over_day(limits: PerDay, author: str, share: Share, day: Day) -> Iterator[Over]:
    """The limits of the day that a share passes, on top of what counts already."""
    for key, verb, shown in _COUNTED:
        need, allowed = getattr(share, key), getattr(limits, key)
        done, waiting = _having(key, day.done), _having(key, day.waiting)
        if need and need + _sum(key, done) + _sum(key, waiting) > allowed:
            counted = [
                *(_told(f"{verb}d", key, done, shown, "in the last 24 hours") if done else ()),
                *(_told(f"would {verb}", key, waiting, shown, "by what waits") if waiting else ()),
            ]
            before = f"; {visible(author)} {' and '.join(counted)}" if counted else ""
            sentence = f"the plan {verb}s {shown(need)} of '{visible(share.case)}'{before}"
            most = f"policy allows {shown(allowed)} in 24 hours"
            yield Over(share.case, f"{sentence}; {most}", _hint(key, need, allowed, done, waiting))


def used(key: str, day: Day) -> int:
    """What of a day is used up, by what was done and what waits."""
    return _sum(key, (*day.done, *day.waiting))


def _having(key: str, deeds: Iterable[Deed]) -> list[Deed]:
    return sorted((deed for deed in deeds if getattr(deed.share, key)), key=lambda deed: deed.at)


def _sum(key: str, deeds: Iterable[Deed]) -> int:
    return sum(getattr(deed.share, key) for deed in deeds)


def _told(verb: str, key: str, deeds: list[Deed], shown: Callable[[int], str], when: str) -> Iterator[str]:
    named = ", ".join(deed.id for deed in deeds[-NAMED:])
    more = f" and {len(deeds) - NAMED:,} more" if len(deeds) > NAMED else ""
    yield f"{verb} {shown(_sum(key, deeds))} there {when} ({named}{more})"


def _hint(key: str, need: int, allowed: int, done: list[Deed], waiting: list[Deed]) -> str:
    ask = f"ask whoever keeps the policy about policy.limits.per_day.{key}"
    if need > allowed:
        return f"change less in this plan, or {ask}"
    left = _sum(key, done) + _sum(key, waiting) + need
    for deed in done:
        left -= getattr(deed.share, key)
        if left <= allowed:
            return f"there is room again at {_moment(deed.at + DAY)}; submit it anew then, or {ask}"
    return f"have what waits decided, or withdraw it; or {ask}"


def _moment(milliseconds: int) -> str:
    """A time for people: the minute after it, UTC."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=milliseconds // 60_000 + 1)
    return at.strftime("%Y-%m-%d %H:%M UTC")
