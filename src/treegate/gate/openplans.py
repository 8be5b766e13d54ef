"""The limit of plans that wait: an author who floods the inbox is stopped, at whatever door."""

from __future__ import annotations

from treegate.engine import schema
from treegate.engine.schema import Prepared, bind
from treegate.engine.store import Reader
from treegate.errors import Denied
from treegate.gate.core import Core
from treegate.model.lifecycle import State

WAIT = (State.DRAFT, State.INVALID, State.PENDING, State.CHANGES_REQUESTED, State.APPROVED, State.STALE)


class TooMany(Denied):
    """An author has as many plans waiting as policy lets them have."""

    code, http_status = "too-many-open-plans", 429
    retry_after = 60


_plans = schema.plans.c
_mine = (_plans.author == bind("author")) & _plans.state.in_([state.value for state in WAIT])
_MINE = Prepared(
    schema.select(schema.func.count()).select_from(
        schema.select(_plans.seq).where(_mine).limit(bind("most")).subquery()
    )
)


def refuse_over(core: Core, reader: Reader) -> None:
    """Raises TooMany where whoever acts has too many plans waiting to hand in one more."""
    most = core.config.policy.limits.open_plans
    if reader.asked(_MINE, author=core.actor.name, most=most)[0][0] >= most:
        raise TooMany(
            f"{core.actor.name} has {most:,} plans waiting already, the most that policy.limits.open_plans allows",
            hint="wait until some are decided, revise one instead of handing in another, or withdraw some",
            next="treegate list",
        )
