"""Looks: which preview of a plan each reviewer saw last."""

from __future__ import annotations

from treegate.engine import schema
from treegate.engine.store import Reader, Transaction


def last(reader: Reader, reviewer: str, plan: str) -> int | None:
    """The number of the preview that somebody saw last; None if they saw none."""
    table = schema.looks
    which = (table.c.reviewer == reviewer) & (table.c.plan == plan)
    return next((row["preview"] for row in reader.rows(schema.select(table.c.preview).where(which))), None)


def note(transaction: Transaction, reviewer: str, plan: str, preview: int, at: int) -> None:
    """Notes what somebody sees now, in place of what they saw before."""
    table = schema.looks
    transaction.execute(table.delete().where((table.c.reviewer == reviewer) & (table.c.plan == plan)))
    transaction.execute(table.insert().values(reviewer=reviewer, plan=plan, preview=preview, at=at))
