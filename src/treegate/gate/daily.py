"""The limits of a day: what counts against an author in a case, looked up when a plan takes something away."""

from __future__ import annotations

from collections.abc import Callable

from treegate.engine.store import Reader
from treegate.engine.store.records import StoredPlan
from treegate.errors import Denied
from treegate.gate.core import Core
from treegate.model.daily import Day, over_day
from treegate.model.measures import DAY
from treegate.model.preview import Preview
from treegate.model.seal import About


def day_of(core: Core, about: About) -> Callable[[str], Day]:
    """What counts, for a plan that is being previewed, against its author's day in a case."""

    def day(case: str) -> Day:
        waiting = core.store.waiting_shares(about.author, case, but=about.id)
        return Day(_done(core, core.store, about.author, case).done, tuple(waiting))

    return day


def _done(core: Core, reader: Reader, author: str, case: str) -> Day:
    """What runs did; one whose time lies in the future counts too, for then the clock went back."""
    return Day(tuple(reader.deeds(author, case, since=core.clock() - DAY)))


def refuse_over(core: Core, reader: Reader, plan: StoredPlan, preview: Preview) -> None:
    """Raises Denied where other runs have used up the author's day since the preview."""
    if plan.undo_of is not None:
        return
    author = reader.revisions(plan.id)[-1].author
    for share in preview.by_case:
        day = _done(core, reader, author, share.case)
        for over in over_day(core.config.policy.limits.per_day, author, share, day):
            raise Denied(
                over.sentence,
                code="day-limit-passed",
                hint=f"nothing was done, and the approval stands; {over.hint}",
                next=f"treegate policy explain {plan.id}",
            )
