"""The cases at a glance: what waits in each, when something was last done there, what the vault keeps of it."""

from __future__ import annotations

from typing import Any

import msgspec

from treegate.engine import pauses, schema
from treegate.engine.pauses import Pause
from treegate.engine.store.records import VaultState
from treegate.gate.core import Core
from treegate.gate.keeping import Held, listing
from treegate.gate.waiting import OPEN
from treegate.model.actors import Action


class CaseLine(msgspec.Struct, frozen=True, kw_only=True):
    """One case; times in milliseconds since 1970, UTC."""

    name: str
    there: bool  # in the tree; else only what was done there is known
    waiting: int  # plans that somebody is waited for
    last: int | None  # when the last run on it began
    kept: int  # entries of the vault
    kept_bytes: int
    paused: Pause | None


def cases(core: Core) -> list[CaseLine]:
    """The cases that the actor may see, by name: those in the tree, and those of which the store knows more."""
    waiting, last, kept = core.store.count_by_case(OPEN), _last(core), kept_by_case(core)
    there, held = core.workspace.cases(), {one.case: one for one in pauses.pauses(core.store)}
    names = sorted({*there, *waiting, *last, *kept, *held} - {pauses.WHOLE})
    return [
        CaseLine(
            name=name,
            there=name in there,
            waiting=waiting.get(name, 0),
            last=last.get(name),
            kept=kept.get(name, (0, 0))[0],
            kept_bytes=kept.get(name, (0, 0))[1],
            paused=held.get(name),
        )
        for name in names
        if core.actor.sees([name])
    ]


def kept_page(core: Core, case: str, start: int, count: int) -> tuple[list[Held], int]:
    """Some of what the vault keeps of a case, newest run first, and how much there is."""
    core.actor.require(Action.READ, [case])
    found = listing(core, case=case)[::-1]
    return found[start : start + count], len(found)


def _last(core: Core) -> dict[str, int]:
    of, runs = schema.run_cases, schema.runs
    query = schema.select(of.c.case, schema.func.max(runs.c.started_at)).join(runs, runs.c.id == of.c.run)
    return {row[0]: row[1] for row in _grouped(core, query, of.c.case)}


def kept_by_case(core: Core) -> dict[str, tuple[int, int]]:
    """How many entries the vault keeps of each case, and what they come to."""
    table, func = schema.vault, schema.func
    query = schema.select(table.c.case, func.count(), func.sum(table.c.size))
    there = table.c.state == VaultState.KEPT.value
    return {row[0]: (row[1], int(row[2])) for row in _grouped(core, query.where(there), table.c.case)}


def _grouped(core: Core, query: schema.Select[Any], column: Any) -> Any:
    return core.store.tuples(query.group_by(column))
