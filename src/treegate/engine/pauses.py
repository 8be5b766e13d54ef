"""Pauses: what no run may begin on, one case or the whole workspace, until it is resumed."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from treegate.engine import schema
from treegate.engine.audit import Json
from treegate.engine.schema import Prepared
from treegate.engine.store import By, Reader, Transaction
from treegate.engine.store.writer import names
from treegate.errors import Busy

WHOLE = ""  # in place of a case: the whole workspace


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """What is paused, by whom, since when (milliseconds since 1970, UTC) and why."""

    case: str
    actor: str
    channel: str
    comment: str
    at: int


_ALL = Prepared(schema.pauses.select().order_by(schema.pauses.c.case))


def pauses(reader: Reader) -> list[Pause]:
    """What is paused: the whole workspace first, then cases by name."""
    return reader.found(_ALL, Pause)


def pause(transaction: Transaction, case: str, comment: str, by: By) -> bool:
    """Pause a case, or all of them (`WHOLE`); False if it is paused already: that pause stays as it was said."""
    if any(one.case == case for one in pauses(transaction)):
        return False
    values = {"case": case, "actor": by.actor, "channel": by.channel, "comment": comment, "at": by.at}
    transaction.execute(schema.pauses.insert().values(values))
    transaction.log("paused", by, data={**_scope(case), "comment": comment})
    return True


def resume(transaction: Transaction, case: str, by: By) -> bool:
    """Lift the pause of a case, or the one of the whole workspace; False if there is none."""
    table = schema.pauses
    if not transaction.execute(table.delete().where(table.c.case == case)):
        return False
    transaction.log("resumed", by, data=_scope(case))
    return True


def _scope(case: str) -> dict[str, Json]:
    return {"cases": names([case]) if case else None}


def holding(reader: Reader, cases: Iterable[str]) -> Pause | None:
    """The pause that keeps runs from beginning on these cases."""
    wanted = {WHOLE, *cases}
    return next((one for one in pauses(reader) if one.case in wanted), None)


def refuse(reader: Reader, cases: Iterable[str]) -> None:
    """Raise Busy "paused" if a run on these cases must not begin."""
    found = holding(reader, cases)
    if found is None:
        return
    what = f"the case {found.case!r}" if found.case else "the workspace"
    why = f": {found.comment}" if found.comment else ""
    raise Busy(
        f"{what} was paused by {found.actor}{why}",
        code="paused",
        hint="plans may be handed in, looked at and decided on; nothing is carried out until it is resumed",
        next="treegate resume" + (f" --case {found.case}" if found.case else ""),
    )
