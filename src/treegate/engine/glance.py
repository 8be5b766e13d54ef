"""A glance at the ids in a database, for shell completion: fast, and without leaving a trace.

It does without SQLAlchemy, whose import alone takes longer than a person waits for a key. A database that nobody has
open is read as immutable, so that SQLite makes no log and no lock beside it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

_PLANS = "SELECT id, state, title FROM plans"
_RUNS = "SELECT runs.id, runs.state, plans.title FROM runs JOIN plans ON plans.id = runs.plan"
_PATIENCE = 0.1  # seconds that a person at a key waits for a writer
MOST = 50


class Row(NamedTuple):
    """An id, and what a person knows the plan or run by."""

    id: str
    state: str
    title: str


def plans(database: Path, prefix: str = "", states: Iterable[str] = ()) -> list[Row]:
    """The newest plans whose id begins with a prefix, in one of some states (none: in any)."""
    return _asked(database, _PLANS, "plans", prefix, list(states))


def runs(database: Path, prefix: str = "", states: Iterable[str] = ()) -> list[Row]:
    """The newest runs, each with its plan's title."""
    return _asked(database, _RUNS, "runs", prefix, list(states))


def _asked(database: Path, query: str, table: str, prefix: str, states: list[str]) -> list[Row]:
    wanted = f" AND {table}.state IN ({','.join('?' * len(states))})" if states else ""
    where = f" WHERE substr({table}.id, 1, ?) = ?{wanted} ORDER BY {table}.seq DESC LIMIT {MOST}"
    with closing(_opened(database)) as connection:
        return [Row(*found) for found in connection.execute(query + where, (len(prefix), prefix, *states))]


def _opened(database: Path) -> sqlite3.Connection:
    log = database.with_name(database.name + "-wal")
    in_use = log.exists() and log.stat().st_size > 0
    how = "mode=ro" if in_use else "immutable=1"
    return sqlite3.connect(f"{database.absolute().as_uri()}?{how}", uri=True, timeout=_PATIENCE)
