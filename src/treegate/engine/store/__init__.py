"""What was decided: plans, previews, decisions, runs, in one database of the state directory.

    with store.write() as transaction:      # all of it, or nothing
        transaction.decide(...)
    store.plan(id)                          # reads need no transaction

records.py   the values that come back       reader.py   every question
plans.py     writes up to the approval       runs.py     writes of a run
asking.py    queries, and their rows    lookups.py   by the beginning of an id
recall.py    answers kept until the database changes
The store reads no clock and makes no ids: the caller gives both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from treegate.engine import schema
from treegate.engine.locks import file_lock
from treegate.engine.schema import Connection, translated
from treegate.engine.store.reader import Reader
from treegate.engine.store.recall import Recall
from treegate.engine.store.records import (
    CHUNK,
    By,
    Decision,
    Kept,
    Meta,
    Revision,
    Run,
    StoredPlan,
    StoredPreview,
    VaultState,
    Verdict,
    new_id,
    standing,
)
from treegate.engine.store.runs import RunWrites
from treegate.engine.store.writer import Touched
from treegate.errors import NotFound, TreegateError, UsageError

__all__ = [
    "CHUNK",
    "By",
    "Decision",
    "Kept",
    "Meta",
    "Reader",
    "Revision",
    "Run",
    "Store",
    "StoredPlan",
    "StoredPreview",
    "Touched",
    "Transaction",
    "VaultState",
    "Verdict",
    "new_id",
    "standing",
]


T = TypeVar("T")


class Transaction(RunWrites):
    """Every write there is; given out by `Store.write`, and of no use after it."""

    def adopt(self, workspace: str, state: str, by: By, key: str = "") -> None:
        """Say, once, which workspace and state directory this database belongs to, and which (public) key signs."""
        if self.rows(schema.meta.select()):
            raise UsageError("this database belongs to a workspace already", code="already-adopted")
        values = {"workspace": workspace, "state": state, "generation": "0"}
        self.insert_many(schema.meta, ({"key": key, "value": value} for key, value in values.items()))
        self.log("adopted", by, data={"workspace": workspace, "state": state, "key": key})

    def note_policy(self, policy: str, by: By, *, old: str, new: str, changed: list[str]) -> None:
        """Note the policy that holds from now on; `old` and `new` are digests, `changed` the keys that differ."""
        self._say("policy", policy)
        self.log("policy-changed", by, data={"old": old, "new": new, "changed": changed})

    def note_trust(self, trusts: bool, by: By) -> None:
        """Note whether status files of the queue count from now on, whoever could have written them."""
        self._say("trusts", "yes" if trusts else "no")
        self.log("queue-trust-changed", by, data={"trusts": trusts})

    def note_sandbox(self, rules: str, by: By, changed: list[str]) -> None:
        """Note what commands in sandboxes may do from now on; `changed` are the keys that differ."""
        self._say("sandbox", rules)
        self.log("sandbox-rules", by, data={"changed": changed})

    def _say(self, key: str, value: str) -> None:
        table = schema.meta
        self.execute(table.delete().where(table.c.key == key))
        self.insert_many(table, [{"key": key, "value": value}])


def _nobody(touched: Touched) -> None:
    """Nobody is told."""


class Store(Reader):
    """The database of one state directory; safe to use from several threads, and reopened by itself after a fork.

    `told` is called after each transaction, once it is durable, with what it spoke of; `patience` is how many seconds
    one waits for other writers.
    """

    def __init__(self, engine: schema.Engine) -> None:
        self.told: Callable[[Touched], None] = _nobody
        self.patience: float = schema.PATIENCE
        self._recall: Recall | None = None
        self._held: Connection | None = None  # on which all is read meanwhile
        self._engine = engine
        self._writes = engine.execution_options(writes=True)

    @classmethod
    def open(cls, where: Path | str, *, create: bool = False) -> Store:
        """The store at a path (SQLite) or a URL, brought to the newest version if it is older, made if `create`.

        Raises NotFound "database-missing" unless `create`, NotVerified "database-damaged", or UsageError
        "database-newer" for one that a later treegate wrote.
        """
        if isinstance(where, Path):
            _ensure(where, create)
        store = cls(schema.connect(where))
        with store.reading() as connection, translated(connection):
            current = schema.version(connection)
        if current is None and not create:
            raise schema.damaged("it is empty")
        if current != schema.HEAD:
            with _one_upgrade_at_a_time(where):
                store._upgrade()
        return store

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        if self._held is not None:
            yield self._held
            return
        with translated(self._engine):
            connection = self._engine.connect()
        with connection:
            yield connection

    def remember(self) -> None:
        """From now on, answers that are asked for again and again are kept until the database changes.

        For a process that stays, and forks nothing.
        """
        self._recall = Recall(self._engine)

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Within it nobody is told of a transaction, and at its end, once, of all of them; for one thread alone."""
        told, found = self.told, Touched()
        with self.at_hand():
            self.told = found.add
            try:
                yield
            finally:
                self.told = told
                told(found)

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        """Within it all is read on one connection, which saves the most of what a question costs; for one thread."""
        before = self._held
        with self.reading() as connection:
            self._held = connection
            try:
                yield
            finally:
                self._held = before

    def stamp(self) -> int | None:
        """Another number after each change, by whomever; None where nobody remembers, or nothing tells."""
        return None if self._recall is None else self._recall.stamp()

    def recalled(self, key: Hashable, make: Callable[[], T]) -> T:
        return make() if self._recall is None else self._recall.get(key, make)

    @contextmanager
    def write(self, patience: float | None = None) -> Iterator[Transaction]:
        """One transaction: all that is written in it becomes durable at its end, or, on any error, none of it.

        Waits for other writers at its beginning; raises Busy "database-locked" when that outlasts its patience,
        or the one given (seconds).
        """
        waits = self.patience if patience is None else patience
        with translated(self._engine):
            connection = self._writes.connect().execution_options(patience=waits)
        with connection:  # closing it takes back what was not committed
            with translated(connection):
                begun = connection.begin()
            transaction = Transaction(connection)
            yield transaction
            try:
                with translated(connection):
                    begun.commit()
            except TreegateError:
                connection.close()
                with suppress(TreegateError):
                    self.settle()
                raise
        self.told(transaction.touched)

    def settle(self) -> None:
        """Makes certain that no commit that failed comes back; raises where the database cannot be written now.

        One whose sync failed still lies in the write-ahead log, where whoever opens the database after a crash would
        find it whole. Another that is durable takes its place there.
        """
        with translated(self._engine), self._writes.begin() as connection:
            schema.overwrite(connection)

    def integrity(self) -> list[str]:
        """What is wrong with the database file itself, for fsck; empty if nothing."""
        with self.reading() as connection, translated(connection):
            return schema.integrity(connection)

    def close(self) -> None:
        """Let go of the connections."""
        if self._recall is not None:
            self._recall.close()
            self._recall = None
        self._engine.dispose()

    def _upgrade(self) -> None:
        """Migrate; whoever comes second finds it done."""
        from treegate.engine import migrations  # loads Alembic, which takes longer than all the rest

        with self.reading() as connection, translated(connection):
            schema.write_ahead(connection)
        with translated(self._engine), self._writes.begin() as connection:
            migrations.upgrade(connection, schema.version(connection))


@contextmanager
def _one_upgrade_at_a_time(where: Path | str) -> Iterator[None]:
    """A lock beside the file: SQLite's own does not cover the switch to the write-ahead log."""
    if isinstance(where, str):
        yield
        return
    with file_lock(where.with_name(where.name + ".upgrade"), wait=schema.PATIENCE):
        yield


def _ensure(path: Path, create: bool) -> None:
    """Make an empty file that only its owner can read (SQLite gives its log the same mode), or find it there."""
    if create:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    elif not path.exists():
        raise NotFound(
            f"there is no database at {path}",
            code="database-missing",
            hint="put it back from a backup, or make the workspace anew",
            next="treegate doctor",
        )
