"""Plans over the wire: checked, written, handed in, revised, reduced, looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from treegate.client.base import Far, as_document
from treegate.client.wire import segment
from treegate.engine.store.records import Run, StoredPlan
from treegate.gate import repairing, writing
from treegate.gate.comparing import Comparison
from treegate.gate.looking import TextDifference
from treegate.gate.plans import Shown, Submitted
from treegate.gate.reducing import Reduced
from treegate.gate.repairing import Repaired
from treegate.gate.writing import Pair
from treegate.model import worksheet
from treegate.model.draft import Change
from treegate.model.effects import Effect, tagged
from treegate.model.lifecycle import State
from treegate.model.plan import Plan
from treegate.model.preview import Preview
from treegate.model.worksheet import Edited, Row

EFFECTS, PLANS = 1000, 500  # rows of a page, at most


class _Shown(msgspec.Struct):
    plan: StoredPlan
    preview: Preview
    waiting_for: str
    run: Run | None


class _Effects(msgspec.Struct):
    effects: list[Effect]
    next: int | None


class _Plans(msgspec.Struct):
    plans: list[StoredPlan]
    next: int | None


class Proposing(Far):
    """Plans over the wire: checked, written, handed in, revised, reduced, looked at."""

    def check(self, plan: Plan | bytes | str) -> Preview:
        """The preview of a plan, stored nowhere."""
        return self._wire.post("/check", Preview, as_document(plan))

    def repair(self, document: bytes) -> Repaired:
        """A plan with all suggestions taken, and those that its mended form calls for; stored nowhere."""
        return repairing.repair(document, self.check)

    def worksheet(self, case: str) -> list[Row]:
        """The tree of a case as rows for a sheet, which people edit."""
        return worksheet.rows_of(self._wire.raw("GET", f"/cases/{segment(case)}/worksheet").decode())

    def read_sheet(self, case: str, text: str, before: str) -> Edited:
        """What an edited sheet means, held against the one before."""
        return writing.read_sheet(text, before)

    def write_changes(self, case: str, changes: Iterable[Change], title: str = "", reason: str = "") -> bytes:
        """The document of a plan that makes changes in a case."""
        return writing.of_changes(case, changes, title, reason)

    def write_moves(self, case: str, pairs: Sequence[Pair], title: str = "", reason: str = "") -> bytes:
        """The document of a plan that moves things in a case."""
        moves = [{"from": tagged(pair.source), "to": tagged(pair.to)} for pair in pairs]
        body = {"pairs": moves, "title": title, "reason": reason}
        return self._wire.raw("POST", f"/cases/{segment(case)}/moves", body)

    def submit(self, plan: Plan | bytes | str, *, draft: bool = False) -> Submitted:
        """Stores a plan and its preview; a draft is previewed later, by `refresh`."""
        return self._wire.post("/plans", Submitted, as_document(plan), query={"draft": draft})

    def revise(self, id: str, plan: Plan | bytes | str, expected: int | None = None) -> Submitted:
        """Stores a new revision of a plan, if `expected` (where given) is the one before it."""
        match = None if expected is None else f'"{expected}"'
        return self._wire.put(f"/plans/{segment(id)}", Submitted, as_document(plan), match)

    def refresh(self, plan: str) -> Submitted:
        """Previews a stored plan on the tree as it is now."""
        return self._wire.post(f"/plans/{segment(plan)}/refresh", Submitted)

    def withdraw(self, plan: str, comment: str = "") -> StoredPlan:
        """Takes a plan back before a run began on it."""
        return self._wire.post(f"/plans/{segment(plan)}/withdraw", StoredPlan, {"comment": comment})

    def reduction(self, plan: str, leave_out: Iterable[str], digest: str = "") -> Reduced:
        """What leaving effects or patterns out would come to: what falls with them, what remains."""
        body = {"leave_out": list(leave_out), "digest": digest}
        return self._wire.post(f"/plans/{segment(plan)}/reduction", Reduced, body)

    def reduce(self, plan: str, leave_out: Iterable[str], digest: str = "") -> Submitted:
        """Stores a new revision of a plan without some effects or patterns."""
        body = {"leave_out": list(leave_out), "digest": digest}
        return self._wire.post(f"/plans/{segment(plan)}/reduce", Submitted, body)

    def show(self, plan: str) -> Shown:
        """A stored plan (by id or unique prefix) with its preview and where it stands."""
        found: _Shown = self._wire.get(f"/plans/{segment(plan)}/shown", _Shown)
        return Shown(found.plan, found.preview, found.waiting_for, found.run)

    def plan(self, plan: str) -> StoredPlan:
        """Where a stored plan stands."""
        return self._wire.get(f"/plans/{segment(plan)}", StoredPlan)

    def waiting_for(self, plan: str) -> str:
        """Whose turn it is, in words."""
        return self._wire.get(f"/plans/{segment(plan)}/waiting-for", str, member="waiting_for")

    def document(self, plan: str) -> Plan:
        """The document of a stored plan, newest revision."""
        return Plan.decode(self._wire.raw("GET", f"/plans/{segment(plan)}/document"))

    def effects(self, plan: str, start: int = 0, count: int | None = None) -> Iterator[Effect]:
        """The full list of effects, in display order, from a position on."""
        at: int | None = start
        while at is not None and (count is None or at < start + count):
            most = EFFECTS if count is None else min(EFFECTS, start + count - at)
            query = {"cursor": at, "limit": most}
            page: _Effects = self._wire.get(f"/plans/{segment(plan)}/effects", _Effects, query=query)
            yield from page.effects
            at = page.next

    def list_plans(
        self, states: Iterable[State] = (), case: str | None = None, limit: int = 50, cursor: int | None = None
    ) -> tuple[list[StoredPlan], int | None]:
        """Plans, newest first, and the cursor of the next page."""
        wanted, found = [state.value for state in states], list[StoredPlan]()
        while limit > 0:
            most = min(limit, PLANS)
            query = {"state": wanted, "case": case, "limit": most, "cursor": cursor}
            page: _Plans = self._wire.get("/plans", _Plans, query=query)
            found += page.plans
            limit, cursor = limit - most, page.next
            if cursor is None:
                break
        return found, cursor

    def diff(self, plan: str, revision: int | None = None, to: int | None = None) -> Comparison:
        """How a revision differs from the newest (or from `to`); without one, what was approved from now."""
        return self._wire.get(f"/plans/{segment(plan)}/diff", Comparison, query={"from": revision, "to": to})

    def since_approved(self, plan: str) -> Comparison | None:
        """How the newest preview differs from the one that was approved; None where none was, or it is the same."""
        return self._wire.get(f"/plans/{segment(plan)}/since-approved", Comparison | None, member="comparison")

    def text_difference(self, plan: str, effect: str) -> TextDifference:
        """What an effect does to the content of its file."""
        return self._wire.get(f"/plans/{segment(plan)}/effects/{segment(effect)}/text", TextDifference)
