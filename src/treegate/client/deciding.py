"""Decisions over the wire: what waits for whom, who says yes or no to which digest, and why policy asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from treegate.client.base import as_document
from treegate.client.proposing import Proposing
from treegate.client.reviewing import Reviewing
from treegate.client.wire import PATIENCE, patiently, segment
from treegate.engine.store.records import StoredPlan
from treegate.gate import waiting
from treegate.gate.decisions import DecisionMade
from treegate.gate.waiting import Status, Until
from treegate.model.explaining import Explained
from treegate.model.plan import Plan


class Deciding(Proposing, Reviewing):
    """Decisions over the wire: what waits for whom, who says yes or no to which digest, and why policy asks."""

    def status(self, case: str | None = None) -> Status:
        """What waits for whom, what is paused, which runs are unfinished."""
        return self._wire.get("/status", Status, query={"case": case})

    def wait(self, plan: str, until: Until, timeout: float | None = None) -> StoredPlan:
        """Waits until a plan is decided or applied, for `timeout` seconds at most."""
        look = patiently(lambda: self.plan(plan), PATIENCE if timeout is None else timeout)
        return waiting.looked_at(look, lambda found: self.waiting_for(found.id), until, timeout, self._cancelled)

    def decisions(self, plan: str) -> list[DecisionMade]:
        """What reviewers said of a plan, oldest first, and what each word is about."""
        return self._wire.get(f"/plans/{segment(plan)}/decisions", list[DecisionMade], member="decisions")

    def approve(
        self, plan: str, digest: str, comment: str = "", *, sample: int | None = None, typed: int | None = None
    ) -> StoredPlan:
        """Approves exactly what a digest names; the last approval starts the run there, where policy says so."""
        body = {"digest": digest, "comment": comment, "sample": sample, "typed": typed}
        return self._decided(plan, "approve", {key: value for key, value in body.items() if value is not None})

    def reject(self, plan: str, digest: str, comment: str) -> StoredPlan:
        """Turns down what a digest names."""
        return self._decided(plan, "reject", {"digest": digest, "comment": comment})

    def request_changes(self, plan: str, digest: str, comment: str, pins: Iterable[str] = ()) -> StoredPlan:
        """Sends what a digest names back to its author; `pins` are the effects and patterns that it is about."""
        body = {"digest": digest, "comment": comment, "pins": list(pins)}
        return self._decided(plan, "request-changes", body)

    def revoke(self, plan: str, digest: str, comment: str = "") -> StoredPlan:
        """Takes one's own approval of a digest back."""
        return self._decided(plan, "revoke", {"digest": digest, "comment": comment})

    def explain(self, plan: str) -> Explained:
        """What policy says of a stored plan: each rule, each limit, who approved and who still may."""
        return self._wire.get(f"/plans/{segment(plan)}/explain", Explained)

    def explain_document(self, plan: Plan | bytes | str) -> Explained:
        """What policy would say of a plan that is not handed in."""
        return self._wire.post("/policy/explain", Explained, as_document(plan))

    def applies_on_approval(self) -> bool:
        """Whether the last approval starts the run at once."""
        return self.terms().apply_on_approval

    def _decided(self, plan: str, verdict: str, body: Mapping[str, object]) -> StoredPlan:
        return self._wire.post(f"/plans/{segment(plan)}/{verdict}", StoredPlan, body)
