"""The audit log sought through, newest first: a page at a time, and never more than so many rows for one question.

`at`, actor and data have no index, so rows are read by ranges of their numbers, which is the order of the table
itself. Where what is sought is rare, a question ends before it has seen all, and says where the next one goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from treegate.engine import audit, schema
from treegate.engine.audit import AuditRow
from treegate.engine.store import Reader

MOST = 300_000  # rows that one question looks at
_FIRST, _LARGEST = 1000, 100_000  # rows of a range: small while much is found, larger while little is
_SLACK = 5000  # rows beyond a date that are looked at, too: clocks go back, and rows are in order of their numbers


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for; what is empty asks for nothing. Times in milliseconds since 1970, UTC."""

    words: tuple[str, ...] = ()
    events: tuple[tuple[str, ...], ...] = ()  # for each word: those whose telling holds it
    case: str = ""
    actor: str = ""
    event: str = ""
    since: int | None = None
    until: int | None = None  # not this moment any more
    within: tuple[str, ...] | None = None  # only of plans and runs all of whose cases are among these


class Sighted(NamedTuple):
    """The rows of a page, newest first; `before` is where the next one goes on, None where there is none."""

    rows: list[AuditRow]
    before: int | None


def page(reader: Reader, sought: Sought, before: int | None = None, count: int = 100) -> Sighted:
    """Up to `count` rows under number `before` that fit, found among at most `MOST`."""
    head = audit.head(reader).seq
    first, end = _range(reader, sought, head)
    end = end if before is None else min(before, end)
    lowest, width = max(first, end - MOST), _FIRST
    query, rows = _query(sought), list[AuditRow]()
    while end > lowest and len(rows) <= count:
        start = max(lowest, end - width)
        seq = schema.audit.c.seq
        some = query.where(seq.between(start, end - 1)).limit(count + 1 - len(rows))
        rows += [AuditRow(*values) for values in reader.tuples(some)]
        end, width = start, min(width * 4, _LARGEST)
    if len(rows) > count:
        return Sighted(rows[:count], rows[count - 1].seq)
    return Sighted(rows, lowest if lowest > first else None)


def _range(reader: Reader, sought: Sought, head: int) -> tuple[int, int]:
    """The numbers (first, and one past the last) between which the dates lie, found by halving."""
    first = 1 if sought.since is None else max(1, _reached(reader, sought.since, head) - _SLACK)
    last = head if sought.until is None else min(head, _reached(reader, sought.until, head) + _SLACK)
    return first, last + 1


def _reached(reader: Reader, moment: int, head: int) -> int:
    """About where the log has reached a moment; exactly, where no clock went back."""
    low, high = 1, head + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if _at(reader, middle) < moment else (low, middle)
    return low


def _at(reader: Reader, seq: int) -> int:
    table = schema.audit
    query = schema.select(table.c.at).where(table.c.seq >= seq).order_by(table.c.seq).limit(1)
    return next((int(row[0]) for row in reader.tuples(query)), 1 << 62)


def _query(sought: Sought) -> schema.Select[Any]:
    table = schema.audit
    query = schema.select(*table.c).order_by(table.c.seq.desc())
    for word, events in zip(sought.words, sought.events or ((),) * len(sought.words), strict=True):
        query = query.where(_holds(word) | table.c.event.in_(events))
    for column, value in ((table.c.actor, sought.actor), (table.c.event, sought.event)):
        if value:
            query = query.where(column == value)
    if sought.since is not None:
        query = query.where(table.c.at >= sought.since)
    if sought.until is not None:
        query = query.where(table.c.at < sought.until)
    if sought.case:
        query = query.where(_of(lambda case: case == sought.case) | _paused(sought.case))
    if sought.within is not None:
        seen = sought.within
        query = query.where(_of(lambda case: case.in_(seen)) & ~_of(lambda case: case.not_in(seen)))
    return query


def _holds(word: str) -> Any:
    """A row that has a word in it, or whose plan has it in its title."""
    table, plans = schema.audit, schema.plans
    written = msgspec.json.encode(word.encode("utf-8", "replace").decode()).decode()[1:-1]  # as it stands in JSON
    nothing = schema.func.coalesce
    told = [table.c.actor, table.c.event, nothing(table.c.plan, ""), nothing(table.c.run, ""), table.c.channel]
    text: Any = table.c.data
    for column in told:
        text = text + " " + column
    titled = schema.select(plans.c.id).where(plans.c.title.icontains(word, autoescape=True))
    return text.icontains(written, autoescape=True) | table.c.plan.in_(titled)


def _of(fits: Callable[[Any], Any]) -> Any:
    """A row of a plan or run that has a case which fits; the number's own order is kept, not an index's."""
    table, plans, runs = schema.audit, schema.plan_cases, schema.run_cases
    of_plan = schema.func.coalesce(table.c.plan, "").in_(schema.select(plans.c.plan).where(fits(plans.c.case)))
    of_run = schema.func.coalesce(table.c.run, "").in_(schema.select(runs.c.run).where(fits(runs.c.case)))
    return of_plan | of_run


def _paused(case: str) -> Any:
    """A pause of a case, or its end: they are of no plan and no run."""
    table = schema.audit
    try:
        named = msgspec.json.encode(case).decode()
    except UnicodeEncodeError:
        return table.c.event.in_(())
    return table.c.event.in_(("paused", "resumed")) & table.c.data.contains(named, autoescape=True)
