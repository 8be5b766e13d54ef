"""What every write shares: one connection, one transaction, a state that changes by the table, an audit row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from treegate.engine import audit, footprints, schema
from treegate.engine.schema import Connection, Executable, Prepared, prepared, translated
from treegate.engine.store.reader import Reader
from treegate.engine.store.records import By, StoredPlan
from treegate.model.effects import Raw, tagged
from treegate.model.footprint import TOLD, Print
from treegate.model.lifecycle import AS_PREVIEWED, Event, State, next_state

_BATCH = 200  # rows handed to the database at once
BESIDE = 20  # plans whose reports are written anew because of another one, the oldest; all doors tell of any number


@dataclass(frozen=True)
class Touched:
    """What a transaction spoke of, for whoever is told of it once it is durable."""

    plans: set[str] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    left: set[tuple[str, str]] = field(default_factory=set)  # (plan, case) where the one no longer touches the other
    beside: set[str] = field(default_factory=set)  # plans that touch what one touches that came, or waits no longer

    def add(self, other: Touched) -> None:
        """Takes in what another transaction spoke of."""
        self.plans.update(other.plans)
        self.runs.update(other.runs)
        self.left.update(other.left)
        self.beside.update(other.beside)


class Writer(Reader):
    """A transaction's own connection, on which it also reads what it has not committed yet."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.touched = Touched()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        yield self._connection

    def execute(self, statement: Executable) -> int:
        """Carry out one statement; the number of rows it touched."""
        with translated(self._connection):
            return int(self._connection.execute(statement).rowcount)

    def write(self, statement: Prepared, **values: Any) -> int:
        """Carry out a prepared statement; the number of rows it touched."""
        with translated(self._connection):
            return statement.write(self._connection, values)

    def insert(self, table: Any, values: Mapping[str, Any]) -> None:
        """Insert one row."""
        self.write(prepared.insertion(table, tuple(values)), **values)

    def update(self, table: Any, which: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        """Change the rows that have the values of `which`; their number."""
        given = {f"which_{name}": value for name, value in which.items()}
        return self.write(prepared.change(table, tuple(which), tuple(values)), **values, **given)

    def delete(self, table: Any, **which: Any) -> int:
        """Delete the rows that have these values; their number."""
        given = {f"which_{name}": value for name, value in which.items()}
        return self.write(prepared.deletion(table, tuple(which)), **given)

    def insert_many(self, table: Any, rows: Iterable[dict[str, Any]]) -> None:
        """Insert rows as they come, some at a time."""
        batch: list[dict[str, Any]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == _BATCH:
                self._insert(table, batch)
                batch = []
        if batch:
            self._insert(table, batch)

    def _insert(self, table: Any, batch: list[dict[str, Any]]) -> None:
        if len(batch) == 1:
            self.insert(table, batch[0])
            return
        with translated(self._connection):
            self._connection.execute(table.insert(), batch)

    def insert_tuples(self, table: Any, rows: list[tuple[Any, ...]]) -> None:
        """Insert many rows as they are, their values in the order of the columns; one that is there is left."""
        marks = ", ".join("?" * len(table.c))
        with translated(self._connection):
            if rows and self._connection.dialect.paramstyle == "qmark":
                self._connection.exec_driver_sql(f"INSERT OR IGNORE INTO {table.name} VALUES ({marks})", rows)
            elif rows:
                names = [column.name for column in table.c]
                self._connection.execute(table.insert(), [dict(zip(names, row, strict=True)) for row in rows])

    def inserted(self, statement: Any) -> int:
        """Insert one row; the `seq` it was given."""
        with translated(self._connection):
            key = self._connection.execute(statement).inserted_primary_key
        if key is None:
            raise schema.damaged("a row that was written has no key")
        return int(key[0])

    def log(
        self,
        event: str,
        by: By,
        plan: str | None = None,
        run: str | None = None,
        data: Mapping[str, audit.Json] | None = None,
    ) -> None:
        """Add a row to the audit log."""
        self.touched.plans.update(filter(None, [plan]))
        self.touched.runs.update(filter(None, [run]))
        audit.append(self, event, at=by.at, actor=by.actor, channel=by.channel, plan=plan, run=run, data=data)

    def change(self, plan: StoredPlan, event: Event, by: By, **columns: object) -> State:
        """Take a plan to the state that `event` leads to, without an audit row of its own."""
        state = next_state(plan.state, event, plan.id)
        values = {"state": state.value, "updated_at": by.at, **columns}
        self.update(schema.plans, {"id": plan.id}, values)
        if plan.state in AS_PREVIEWED and state not in AS_PREVIEWED:
            self.lift_footprint(plan)
        return state

    def lift_footprint(self, plan: StoredPlan) -> None:
        """A plan has to do with nothing any more; plans that touch the same have something else to say now."""
        self.touched.beside.update(footprints.beside(self, plan.seq, BESIDE))
        footprints.drop(self, plan.seq)

    def set_footprint(self, plan: StoredPlan, prints: Iterable[Print]) -> None:
        """A plan has to do with this; so have others, unless they have enough to say already."""
        footprints.keep(self, plan.seq, prints)
        for id in footprints.beside(self, plan.seq, BESIDE):
            if plan.id in footprints.beside(self, self.plan(id).seq, TOLD + 1):
                self.touched.beside.add(id)


def names(cases: Iterable[str]) -> list[audit.Json]:
    """Names of cases as an audit row can hold them: one that is not UTF-8 is percent-encoded."""
    found = [tagged(case) for case in cases]
    return [{"raw": name.raw} if isinstance(name, Raw) else name for name in found]
