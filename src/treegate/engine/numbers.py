"""The workspace in numbers, each one question to the database: cheap enough to be asked every few seconds."""

from __future__ import annotations

from typing import Any

from treegate.engine import schema
from treegate.engine.store import Reader
from treegate.engine.store.records import VaultState


def plans(reader: Reader) -> dict[str, int]:
    """How many plans there are, by state."""
    return _by(reader, schema.plans.c.state)


def runs(reader: Reader) -> dict[str, int]:
    """How many runs there are, by state."""
    return _by(reader, schema.runs.c.state)


def jobs(reader: Reader) -> dict[str, int]:
    """How many runs were asked for, by what became of them."""
    return _by(reader, schema.jobs.c.state)


def alerts(reader: Reader) -> dict[str, int]:
    """What is wrong and wants a person, by kind, as far as anybody looks out."""
    return _by(reader, schema.alerts.c.kind)


def vault_size(reader: Reader) -> int:
    """Bytes that the vault keeps."""
    table = schema.vault.c
    query = schema.select(schema.func.sum(table.size)).where(table.state == VaultState.KEPT.value)
    return int(reader.tuples(query)[0][0] or 0)


def _by(reader: Reader, column: Any) -> dict[str, int]:
    query = schema.select(column, schema.func.count()).group_by(column)
    return {str(state): int(count) for state, count in reader.tuples(query)}
