"""Prepared statements: put together once, then used again and again with other values.

To put a query together, and to find out that it was compiled before, takes twenty times as long as SQLite takes to
answer it. What is asked many times for one plan is prepared, and goes to the driver itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.expression import BindParameter, bindparam

Process = Callable[[Any], Any]


def bind(name: str, type: Any = None) -> BindParameter[Any]:
    """A value that is given each time."""
    return bindparam(name, type_=type, required=False)


class _Compiled(NamedTuple):
    """A statement in the words of one database."""

    sql: str
    fixed: dict[str, Any]  # values that the statement itself has
    order: Sequence[str] | None  # of the values; None where they go by name
    given: dict[str, Process]  # how values of some names are written
    found: list[tuple[int, Process]]  # how those of some columns are read

    def bound(self, values: Mapping[str, Any]) -> Any:
        """The values as the driver takes them."""
        own = {name: self.given[name](value) if name in self.given else value for name, value in values.items()}
        every = {**self.fixed, **own}
        return every if self.order is None else [every[name] for name in self.order]

    def read(self, row: Sequence[Any]) -> Sequence[Any]:
        """A row as it comes from the driver, its values as the table has them."""
        if not self.found:
            return row
        values = list(row)
        for at, process in self.found:
            values[at] = process(values[at])
        return values


class Prepared:
    """A statement whose values are named by `bind`."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._columns = list(statement.selected_columns) if statement.is_select else []
        self.names = [column.name for column in self._columns]
        self._compiled: dict[str, _Compiled] = {}  # by the name of the database's dialect

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Every row of a query, its values in the order of `names`."""
        known = self._in(connection.dialect)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(known.sql, known.bound(values))
            return [known.read(row) for row in cursor.fetchall()]
        finally:
            cursor.close()

    def write(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Carries out what is no query; the number of rows that it touched."""
        known = self._in(connection.dialect)
        bound = known.bound(values)
        return int(connection.exec_driver_sql(known.sql, bound if known.order is None else tuple(bound)).rowcount)

    def _in(self, dialect: Dialect) -> _Compiled:
        known = self._compiled.get(dialect.name)
        if known is None:
            known = self._compiled[dialect.name] = self._compile(dialect)
        return known

    def _compile(self, dialect: Dialect) -> _Compiled:
        made: Any = self._statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        writes = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in made.binds.items()}
        reads = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in self._columns]
        return _Compiled(
            made.string,
            {name: value for name, value in made.params.items() if value is not None},
            made.positiontup if made.positional else None,
            {name: process for name, process in writes.items() if process is not None},
            [(at, process) for at, process in enumerate(reads) if process is not None],
        )


@cache
def insertion(table: Table, names: tuple[str, ...]) -> Prepared:
    """Inserts a row with values for some columns, by their names."""
    return Prepared(table.insert().values({name: bind(name, table.c[name].type) for name in names}))


@cache
def change(table: Table, which: tuple[str, ...], names: tuple[str, ...]) -> Prepared:
    """Gives columns other values in those rows that have the values of others, named `which_…`."""
    values = {name: bind(name, table.c[name].type) for name in names}
    return Prepared(_narrowed(table, table.update().values(values), which))


@cache
def deletion(table: Table, which: tuple[str, ...]) -> Prepared:
    """Deletes those rows that have the values of some columns, named `which_…`."""
    return Prepared(_narrowed(table, table.delete(), which))


def _narrowed(table: Table, statement: Any, which: tuple[str, ...]) -> Any:
    for name in which:
        statement = statement.where(table.c[name] == bind(f"which_{name}", table.c[name].type))
    return statement
