"""Events of the audit log as the pages tell them: a sentence with links to what it speaks of, under the days."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from treegate.engine.audit import AuditRow
from treegate.gate.searching import LogPage
from treegate.render import history

_COMMAND = re.compile("sb_[0-9a-z]+")


class Piece(NamedTuple):
    """Part of a sentence; `to` is where it leads, if it does."""

    text: str
    to: str = ""


class Told(NamedTuple):
    """One event for people to read."""

    row: AuditRow
    pieces: list[Piece]
    title: str  # of the plan
    time: str
    stamp: str  # ISO 8601; "" where it is no time (any more)


class Day(NamedTuple):
    """The events of one day (UTC), newest first."""

    name: str
    events: list[Told]


def days(found: LogPage) -> list[Day]:
    """A page of the log, day by day."""
    made: list[Day] = []
    for row in found.rows:
        at = _time(row.at)
        name = at.strftime("%A, %-d %B %Y") if at else "At no time that can be told"
        if not made or made[-1].name != name:
            made.append(Day(name, []))
        time, stamp = (at.strftime("%H:%M"), at.isoformat(timespec="seconds")) if at else ("", "")
        made[-1].events.append(Told(row, list(_pieces(row)), found.titles.get(row.plan or "", ""), time, stamp))
    return made


def _time(at: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(at / 1000, UTC)
    except (ValueError, OverflowError, OSError, TypeError):  # a row that was edited
        return None


def _pieces(row: AuditRow) -> Iterator[Piece]:
    """The sentence, with the plan, the run and the command that it names as links."""
    command = history.data_of(row).get("sandbox")
    command = command if isinstance(command, str) and _COMMAND.fullmatch(command) else None  # a row may be edited
    named = ((row.plan, "plans"), (row.run, "runs"), (command, "commands"))
    links = {id: f"/ui/{place}/{id}" for id, place in named if id}
    said = history.saying(row)
    parts = re.split("(" + "|".join(map(re.escape, links)) + ")", said) if links else [said]
    yield from (Piece(part, links.get(part, "")) for part in parts if part)
