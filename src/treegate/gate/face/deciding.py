"""Decisions: what waits for whom, who says yes or no to which digest, and why policy asks."""

from __future__ import annotations

from collections.abc import Iterable

from treegate.engine.store.records import StoredPlan
from treegate.gate import deciding, policies, waiting
from treegate.gate import decisions as made
from treegate.gate.decisions import DecisionMade
from treegate.gate.face.base import Face, as_plan
from treegate.gate.waiting import Status, Until
from treegate.model.explaining import Explained
from treegate.model.plan import Plan


class Deciding(Face):
    """Decisions: what waits for whom, who says yes or no to which digest, and why policy asks."""

    def status(self, case: str | None = None) -> Status:
        """What waits for whom, what is paused, which runs are unfinished."""
        return waiting.status(self._core, case)

    def wait(self, plan: str, until: Until, timeout: float | None = None) -> StoredPlan:
        """Waits until a plan is decided or applied, for `timeout` seconds at most."""
        return waiting.wait(self._core, plan, until, timeout, self._core.cancelled)

    def decisions(self, plan: str) -> list[DecisionMade]:
        """What reviewers said of a plan, oldest first, and what each word is about."""
        return made.decisions(self._core, plan)

    def approve(
        self, plan: str, digest: str, comment: str = "", *, sample: int | None = None, typed: int | None = None
    ) -> StoredPlan:
        """Approves exactly what a digest names; `sample` and `typed` are of a page, see `deciding.approve`."""
        return deciding.approve(self._core, plan, digest, comment, sample=sample, typed=typed)

    def reject(self, plan: str, digest: str, comment: str) -> StoredPlan:
        """Turns down what a digest names."""
        return deciding.reject(self._core, plan, digest, comment)

    def request_changes(self, plan: str, digest: str, comment: str, pins: Iterable[str] = ()) -> StoredPlan:
        """Sends what a digest names back to its author; `pins` are the effects and patterns that it is about."""
        return deciding.request_changes(self._core, plan, digest, comment, pins)

    def revoke(self, plan: str, digest: str, comment: str = "") -> StoredPlan:
        """Takes one's own approval of a digest back."""
        return deciding.revoke(self._core, plan, digest, comment)

    def explain(self, plan: str) -> Explained:
        """What policy says of a stored plan: each rule, each limit, who approved and who still may."""
        return policies.explain(self._core, plan)

    def explain_document(self, plan: Plan | bytes | str) -> Explained:
        """What policy would say of a plan that is not handed in."""
        return policies.explain_document(self._core, as_plan(plan))

    def applies_on_approval(self) -> bool:
        """Whether the last approval starts the run at once."""
        return self._core.config.policy.apply.on_approval
