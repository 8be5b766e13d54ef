"""The state directory's database: how a connection to it is made, its tables, and all that knows SQLAlchemy."""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, create_engine, event
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import Executable
from sqlalchemy.sql.expression import Select, func, select, union

from treegate.engine.schema.prepared import Prepared, bind
from treegate.engine.schema.tables import (
    alerts,
    answers,
    audit,
    checkpoints,
    chunks,
    claims,
    decisions,
    footprints,
    jobs,
    logins,
    looks,
    meta,
    metadata,
    pauses,
    plan_cases,
    plans,
    posts,
    previews,
    revisions,
    run_cases,
    runs,
    sandbox_cases,
    sandboxes,
    sessions,
    sinks,
    tallies,
    tokens,
    touched,
    touched_runs,
    undone,
    vault,
)
from treegate.errors import Busy, NotVerified, RolledBack, TreegateError, UsageError

__all__ = [
    "Connection",
    "Engine",
    "Executable",
    "Prepared",
    "RowMapping",
    "Select",
    "Watch",
    "alerts",
    "answers",
    "audit",
    "bind",
    "checkpoints",
    "chunks",
    "claims",
    "decisions",
    "footprints",
    "func",
    "jobs",
    "logins",
    "looks",
    "meta",
    "metadata",
    "pauses",
    "plan_cases",
    "plans",
    "posts",
    "previews",
    "revisions",
    "run_cases",
    "runs",
    "sandbox_cases",
    "sandboxes",
    "select",
    "sessions",
    "sinks",
    "tallies",
    "tokens",
    "touched",
    "touched_runs",
    "undone",
    "union",
    "vault",
]

HEAD = "v0006"
"""The newest migration; equal to Alembic's head (a test holds them together), known without importing Alembic."""

PATIENCE = 60  # seconds that a writer waits for other writers


def connect(where: Path | str) -> Engine:
    """An engine on a database: a path (SQLite) or a URL. Nothing is opened yet.

    A connection with the execution option `writes` takes the write lock as its transaction begins, so that two
    writers wait for each other there instead of failing halfway (sqlite.org/lang_transaction.html).
    """
    url = URL.create("sqlite", database=os.fspath(where)) if isinstance(where, Path) else where
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
    _engines.add(engine)
    return engine


@contextmanager
def translated(source: Engine | Connection) -> Iterator[None]:
    """Turns the database's own errors into ours: damage, a lock that is not let go, a full or read-only disk."""
    try:
        yield
    except DBAPIError as error:
        ours = _translate(error.orig, source.engine.url.database or "")
        if ours is None:
            raise
        raise ours from error
    except sqlite3.Error as error:  # what is prepared goes to the driver itself
        ours = _translate(error, source.engine.url.database or "")
        if ours is None:
            raise
        raise ours from error
    except UnicodeDecodeError as error:  # the driver cannot even read the database's own error message
        raise damaged("a text in it is not UTF-8") from error


def integrity(connection: Connection) -> list[str]:
    """What SQLite finds wrong with the file itself; empty if nothing."""
    if connection.dialect.name != "sqlite":
        return []
    found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check")]
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    parents = sorted({f"a row of {row[0]} belongs to a row of {row[2]} that is missing" for row in orphans})
    return [*([] if found == ["ok"] else found), *parents]


def version(connection: Connection) -> str | None:
    """The migration that the database is at; None for one that was just made."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


class Watch:
    """Tells, in microseconds, whether somebody has changed a database: an open eye on it that never writes."""

    def __init__(self, engine: Engine) -> None:
        known = engine.dialect.name == "sqlite" and engine.url.database
        self._eye = sqlite3.connect(known, isolation_level=None, check_same_thread=False) if known else None

    def number(self) -> int | None:
        """Another number after each commit of anybody (sqlite.org/pragma.html#pragma_data_version); None: unknown."""
        try:
            return None if self._eye is None else int(self._eye.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            return None

    def close(self) -> None:
        """Shuts the eye."""
        if self._eye is not None:
            self._eye.close()


def write_ahead(connection: Connection) -> None:
    """Switch a new SQLite file to its write-ahead log; the file remembers."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA journal_mode = wal")


def overwrite(connection: Connection) -> None:
    """Write something that means nothing: a number that SQLite keeps for whoever wants one."""
    if connection.dialect.name == "sqlite":
        number = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
        connection.exec_driver_sql(f"PRAGMA user_version = {(number + 1) % _NUMBERS}")


def _set_up(raw: sqlite3.Connection, _record: object) -> None:
    raw.isolation_level = None  # BEGIN is ours to say, not the driver's to guess
    for pragma in (f"busy_timeout = {PATIENCE * 1000}", "synchronous = full", "foreign_keys = on"):
        raw.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    options, raw = connection.get_execution_options(), connection.connection.driver_connection
    if options.get("writes") and isinstance(raw, sqlite3.Connection):
        _begin_to_write(raw, options.get("patience", PATIENCE))


def _begin_to_write(raw: sqlite3.Connection, patience: float) -> None:
    """Takes the write lock, waiting for other writers for so many seconds.

    SQLite's own waiting looks again after 1, 2, 5, 10 ms and more, and others write for a part of one.
    """
    raw.execute("PRAGMA busy_timeout = 0")
    until, pause = time.monotonic() + patience, _SHORTEST
    try:
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _LOCKED or time.monotonic() >= until:
                    raise
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST)
    finally:
        raw.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000}")


_SHORTEST, _LONGEST = 0.0003, 0.01  # seconds between two tries
_NUMBERS = 1 << 31
_LITTLE = 1 << 18  # bytes; the write-ahead log's index alone takes 32 KiB
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_UNWRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}


def damaged(what: str) -> NotVerified:
    """The error for a database whose content cannot be right."""
    return NotVerified(
        f"the database is damaged: {what}",
        code="database-damaged",
        hint="nothing was changed; put a backup of treegate.db in its place, then let fsck compare it with the tree",
        next="treegate fsck",
    )


def _translate(error: Any, path: str) -> TreegateError | None:
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", None)  # none where it is the driver that cannot decode a text
    primary = (code or 0) & 0xFF
    if primary in _DAMAGED or (code is None and isinstance(error, sqlite3.OperationalError)):
        return damaged(str(error))
    if primary in _LOCKED:
        return _locked()
    if primary == sqlite3.SQLITE_FULL or (primary == sqlite3.SQLITE_IOERR and _is_full(path)):
        return _full(path)
    if primary == sqlite3.SQLITE_IOERR:
        return _passing(
            UsageError(
                f"the disk reported an error at {path}: {error}",
                code="database-unreadable",
                hint="check the disk and the mount of the state directory, the database itself may be well; "
                "look whether it was kept before you ask again",
                next="treegate doctor",
            )
        )
    if primary in _UNWRITABLE:
        return _passing(
            UsageError(
                f"the database cannot be written: {error}",
                code="database-unwritable",
                hint="check who owns the state directory, and whether its disk is mounted read-only",
                next="treegate doctor",
            )
        )
    return None


def _passing(error: UsageError) -> UsageError:
    """An error of a disk is no fault of what was asked: once that is mended, the same may be asked again."""
    error.http_status = 503
    return error


def _locked() -> Busy:
    error = Busy(
        "the database stayed locked by another writer",
        code="database-locked",
        hint="ask again; if it stays so, a treegate process writes without end, or was stopped midway: look for it",
        next="treegate doctor",
    )
    error.http_status = 503
    return error


def _full(path: str) -> RolledBack:
    error = RolledBack(
        f"the disk of the state directory is full: {path} cannot be written",
        code="state-disk-full",
        hint="make room there and ask again; nothing of the tree was changed by this",
        next="treegate doctor",
    )
    error.http_status = 507  # RFC 4918, section 11.5
    return error


def _is_full(path: str) -> bool:
    """Whether there is no room beside the database; SQLite calls a log that it cannot lengthen an I/O error."""
    try:
        found = os.statvfs(os.path.dirname(path) or ".")
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < _LITTLE


# A connection must not be used on both sides of a fork (sqlite.org/howtocorrupt.html, 2.6): the child opens its own.
_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def _forget_connections() -> None:
    for engine in _engines:
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_connections)
