"""The audit log searched: what fits, of what the actor may see, with the titles of the plans it speaks of."""

from __future__ import annotations

import msgspec

from treegate.engine import schema, sought
from treegate.engine.audit import AuditRow
from treegate.engine.sought import Sought
from treegate.gate.core import Core
from treegate.model.actors import Action
from treegate.render import history

WORDS = 8  # that are looked for at once; more are not


class LogPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some events, newest first; `before` is where the next page begins, None where there is none."""

    rows: list[AuditRow]
    before: int | None
    titles: dict[str, str]  # of the plans that they are about


def search(
    core: Core,
    words: str = "",
    *,
    case: str = "",
    by: str = "",
    event: str = "",
    since: int | None = None,
    until: int | None = None,
    before: int | None = None,
    count: int = 100,
) -> LogPage:
    """The events that hold each word, of a case, by somebody, of a kind, within dates; those the actor may see."""
    core.actor.require(Action.READ, [case] if case else ())
    wanted = tuple(words.split()[:WORDS])
    asked = Sought(
        words=wanted,
        events=tuple(tuple(history.told_with(word)) for word in wanted),
        case=case,
        actor=by.strip(),
        event=event,
        since=since,
        until=until,
        within=core.actor.cases,
    )
    found = sought.page(core.store, asked, before, count)
    return LogPage(rows=found.rows, before=found.before, titles=_titles(core, found.rows))


def _titles(core: Core, rows: list[AuditRow]) -> dict[str, str]:
    table, ids = schema.plans, {row.plan for row in rows if row.plan}
    query = schema.select(table.c.id, table.c.title).where(table.c.id.in_(ids))
    return {row["id"]: row["title"] for row in core.store.rows(query)} if ids else {}
