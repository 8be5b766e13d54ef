"""Plans: checked, written, handed in, revised, reduced, looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from treegate.engine.store.records import StoredPlan, StoredPreview
from treegate.errors import UsageError
from treegate.gate import comparing, finding, looking, overlapping, plans, reducing, repairing, revising, writing
from treegate.gate.comparing import Comparison
from treegate.gate.face.base import Face, as_plan
from treegate.gate.finding import Piece
from treegate.gate.looking import Content, TextDifference
from treegate.gate.plans import Shown, Submitted
from treegate.gate.reducing import Reduced
from treegate.gate.repairing import Repaired
from treegate.gate.writing import Pair
from treegate.model.actors import Action
from treegate.model.draft import Change
from treegate.model.effects import Effect
from treegate.model.lifecycle import State
from treegate.model.plan import Plan
from treegate.model.preview import Preview
from treegate.model.worksheet import Edited, Row


class Proposing(Face):
    """Plans: checked, written, handed in, revised, reduced, looked at."""

    def check(self, plan: Plan | bytes | str) -> Preview:
        """The preview of a plan, stored nowhere."""
        return plans.check(self._core, as_plan(plan))

    def repair(self, document: bytes) -> Repaired:
        """A plan with all suggestions taken, and those that its mended form calls for; stored nowhere."""
        return repairing.repair(document, self.check)

    def worksheet(self, case: str) -> list[Row]:
        """The tree of a case as rows for a sheet, which people edit."""
        return writing.rows(self._core, case)

    def read_sheet(self, case: str, text: str, before: str) -> Edited:
        """What an edited sheet means, held against the one before."""
        return writing.read_sheet(text, before)

    def write_changes(self, case: str, changes: Iterable[Change], title: str = "", reason: str = "") -> bytes:
        """The document of a plan that makes changes in a case."""
        return writing.of_changes(case, changes, title, reason)

    def write_moves(self, case: str, pairs: Sequence[Pair], title: str = "", reason: str = "") -> bytes:
        """The document of a plan that moves things in a case."""
        return writing.of_pairs(self._core, case, pairs, title, reason)

    def submit(self, plan: Plan | bytes | str, *, draft: bool = False) -> Submitted:
        """Stores a plan and its preview; a draft is previewed later, by `refresh`."""
        return plans.submit(self._core, as_plan(plan), draft=draft)

    def revise(self, id: str, plan: Plan | bytes | str, expected: int | None = None) -> Submitted:
        """Stores a new revision of a plan, if `expected` (where given) is the one before it."""
        return revising.revise(self._core, id, as_plan(plan), expected)

    def refresh(self, plan: str) -> Submitted:
        """Previews a stored plan on the tree as it is now."""
        return revising.refresh(self._core, plan)

    def withdraw(self, plan: str, comment: str = "") -> StoredPlan:
        """Takes a plan back before a run began on it."""
        return revising.withdraw(self._core, plan, comment)

    def may_withdraw(self, plan: StoredPlan) -> bool:
        """Whether whoever acts may take a plan back as it stands."""
        return revising.may_withdraw(self._core, plan)

    def reduction(self, plan: str, leave_out: Iterable[str], digest: str = "") -> Reduced:
        """What leaving effects or patterns out would come to: what falls with them, what remains."""
        return reducing.look(self._core, plan, leave_out, digest)

    def reduce(self, plan: str, leave_out: Iterable[str], digest: str = "") -> Submitted:
        """Stores a new revision of a plan without some effects or patterns."""
        return reducing.reduce(self._core, plan, leave_out, digest)

    def show(self, plan: str) -> Shown:
        """A stored plan (by id or unique prefix) with its preview and where it stands."""
        return overlapping.shown(self._core, plan)

    def plan(self, plan: str) -> StoredPlan:
        """Where a stored plan stands."""
        found = plans.settled(self._core, self._core.find_plan(plan))
        self._core.actor.require(Action.READ, found.cases)
        return found

    def waiting_for(self, plan: str) -> str:
        """Whose turn it is, in words."""
        return plans.waiting_for(self._core, self.plan(plan))

    def document(self, plan: str) -> Plan:
        """The document of a stored plan, newest revision."""
        stored = self._core.find_plan(plan)
        self._core.actor.require(Action.READ, stored.cases)
        return Plan.decode(self._core.store.document(stored.id, stored.revision))

    def effects(self, plan: str, start: int = 0, count: int | None = None) -> Iterator[Effect]:
        """The full list of effects, in display order, from a position on."""
        return plans.effects_of(self._core, self.show(plan).plan, start, count)

    def pieces(self, preview: StoredPreview) -> list[Piece]:
        """What the effects of a preview are found by."""
        return finding.pieces(self._core, preview)

    def list_plans(
        self, states: Iterable[State] = (), case: str | None = None, limit: int = 50, cursor: int | None = None
    ) -> tuple[list[StoredPlan], int | None]:
        """Plans, newest first, and the cursor of the next page."""
        found, after = self._core.store.list_plans(states, case, limit, cursor, self._core.actor.cases)
        return [plans.settled(self._core, plan) for plan in found], after

    def diff(self, plan: str, revision: int | None = None, to: int | None = None) -> Comparison:
        """How a revision differs from the newest (or from `to`); without one, what was approved from now."""
        if revision is None and to is not None:
            raise UsageError("it is not said what to compare with", hint="name the revision to begin from, too")
        if revision is None:
            return comparing.since_approved(self._core, plan)
        return comparing.revisions(self._core, plan, revision, to)

    def since_approved(self, plan: str) -> Comparison | None:
        """How the newest preview differs from the one that was approved; None where none was, or it is the same."""
        return comparing.stored_since_approved(self._core, plan)

    def text_difference(self, plan: str, effect: str) -> TextDifference:
        """What an effect does to the content of its file."""
        return looking.text_difference(self._core, plan, effect)

    def content(self, plan: str, effect: str, *, old: bool = False) -> Content:
        """The content of the file that an effect is about, open for reading, or (`old`) of the one it replaces."""
        return looking.content(self._core, plan, effect, old=old)
