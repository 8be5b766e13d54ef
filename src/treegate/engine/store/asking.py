"""How the store is asked anything: a query, and the values that its rows become."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import msgspec

from treegate.engine.schema import Connection, Prepared, RowMapping, Select, damaged, func, select, translated

Record = TypeVar("Record", bound=msgspec.Struct)
T = TypeVar("T")


class Asking(ABC):
    """The means; `Store` asks each question on a connection of the pool, `Transaction` on its own."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection]:
        """A connection to ask on."""

    def recalled(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` answers; where answers are remembered, what it answered since the database changed last."""
        return make()

    def asked(self, query: Prepared, **values: Any) -> list[Sequence[Any]]:
        """Every row of a prepared query, as it comes."""
        with self.reading() as connection, translated(connection):
            return query.rows(connection, values)

    def found(self, query: Prepared, record: type[Record], **values: Any) -> list[Record]:
        """Every row of a prepared query, each as a `record`."""
        return [_as(record, dict(zip(query.names, row, strict=True))) for row in self.asked(query, **values)]

    def one(self, query: Prepared, record: type[Record], **values: Any) -> Record | None:
        """The first row of a prepared query, if there is one."""
        return next(iter(self.found(query, record, **values)), None)

    def all(self, query: Select[Any], record: type[Record]) -> list[Record]:
        """Every row of a query, each as a `record`."""
        return [_as(record, row) for row in self.rows(query)]

    def rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        """Every row of a query."""
        with self.reading() as connection, translated(connection):
            return connection.execute(query).mappings().all()

    def tuples(self, query: Select[Any]) -> Sequence[Sequence[Any]]:
        """Every row of a query, as it comes: for many rows."""
        with self.reading() as connection, translated(connection):
            return connection.execute(query).all()

    def count(self, table: Any, where: Any = None) -> int:
        """How many rows a table has, or those of a condition."""
        query = select(func.count()).select_from(table)
        return int(self.tuples(query if where is None else query.where(where))[0][0])

    def first(self, query: Select[Any], record: type[Record]) -> Record | None:
        """The first row of a query, if there is one."""
        return next(iter(self.all(query.limit(1), record)), None)


def _as(record: type[Record], row: Mapping[str, Any] | RowMapping) -> Record:
    try:
        return msgspec.convert({name: row[name] for name in record.__struct_fields__}, record)
    except msgspec.ValidationError as error:
        raise damaged(f"a row that is no {record.__name__}: {error}") from error
