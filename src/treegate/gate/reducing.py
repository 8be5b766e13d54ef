"""Partial approval: a new revision of a plan without some of its effects, and without what depends on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from treegate.engine import tablefile
from treegate.engine.store.records import StoredPreview
from treegate.errors import Denied, PlanError, Stale, UsageError
from treegate.gate import plans, revising
from treegate.gate.core import Core
from treegate.gate.plans import Submitted
from treegate.gate.reduction import Reduction, Remains, Unclear
from treegate.model.actors import Action
from treegate.model.effects import Effect
from treegate.model.lifecycle import Event, State, next_state
from treegate.model.operations import Operation
from treegate.model.plan import Plan
from treegate.model.preview import Counts, Preview

_REDUCIBLE = (State.PENDING, State.APPROVED, State.CHANGES_REQUESTED)


class Fallen(msgspec.Struct, frozen=True):
    """An effect that goes with what is left out, and why."""

    effect: Effect
    why: str


class Reduced(msgspec.Struct, frozen=True, kw_only=True):
    """What leaving something out of a plan comes to: what was asked for, what falls with it, what remains."""

    id: str
    revision: int  # that it would be taken from
    digest: str
    left_out: list[Effect]
    falls: list[Fallen]
    summary: str
    counts: Counts


def look(core: Core, prefix: str, leave_out: Iterable[str], digest: str = "") -> Reduced:
    """What leaving effects (`e17`) or patterns (`p3`) out would come to; stored nowhere."""
    return _Work(core, prefix, leave_out, digest).reduced()


def reduce(core: Core, prefix: str, leave_out: Iterable[str], digest: str = "") -> Submitted:
    """Stores the plan without them as a new revision, which starts undecided.

    It stays its author's: whoever reduces it adds nothing, and may still approve it. Raises Stale
    "digest-not-current", NotFound "no-such-effect", UsageError "nothing-left-out", or PlanError "nothing-remains".
    """
    named = list(leave_out)
    if not named:
        text, hint = "nothing was named that the plan should go without", "name effects (e17) or patterns (p3)"
        raise UsageError(text, code="nothing-left-out", hint=hint)
    return _Work(core, prefix, named, digest).store()


class _Work:
    """One reduction, from the ids that were named to the document that remains."""

    def __init__(self, core: Core, prefix: str, leave_out: Iterable[str], digest: str) -> None:
        self.core = core
        self.plan = plans.settled(core, core.find_plan(prefix))
        self.preview, self.stored = self._reducible(digest)
        with plans.looking(core, self._document()):
            self.reduction = self._reduction()
            self.asked = set(plans.positions(self.preview, list(leave_out)))
            for position in self.asked:
                self.reduction.left[f"e{position + 1}"] = "it was to be left out"
            self.remains = self._remains()

    def _reducible(self, digest: str) -> tuple[Preview, StoredPreview]:
        core, plan = self.core, self.plan
        core.actor.require(Action.PROPOSE, plan.cases)
        if not core.actor.may(Action.DECIDE, plan.cases):
            revising.check_may_change(core, plan)
        revising.check_no_undo(plan)
        next_state(plan.state, Event.REVISE, plan.id)
        stored = core.store.preview(plan.id)
        if plan.state not in _REDUCIBLE or stored is None:
            raise Denied(
                f"plan {plan.id} is {plan.state}: only a preview without errors can be reduced",
                code="not-reducible",
                hint="have it previewed on the tree as it is now",
                next=f"treegate refresh {plan.id}",
            )
        if digest:
            plans.full_digest(plan, digest)
        return plans.model_of(core, plan), stored

    def _document(self) -> Plan:
        return Plan.decode(self.core.store.document(self.plan.id, self.plan.revision))

    def _reduction(self) -> Reduction:
        path = self.core.table_path(self.stored.table_digest)
        if not path.exists():
            raise Stale(
                f"the preview of plan {self.plan.id} is too old to be reduced",
                code="preview-gone",
                hint="revise the plan; the new revision can be reduced",
                next=f"treegate revise {self.plan.id} PLAN",
            )
        staged = tablefile.read(path, self.stored.table_digest).staged
        return Reduction(self.core, self.plan, staged, _head(self.preview), _reworder(self._document()))

    def _remains(self) -> Remains:
        try:
            return self.reduction.remains()
        except Unclear:
            every = len(self.reduction.left) == len(self.reduction.effects)
            text = (
                "nothing of the plan remains without it" if every else "what remains without it cannot be told apart"
            )
            raise PlanError(
                text,
                code="nothing-remains",
                hint="reject the plan, or ask its author for changes",
                next=f"treegate request-changes {self.plan.id} --comment WHAT",
            ) from None

    def reduced(self) -> Reduced:
        asked = {f"e{position + 1}" for position in self.asked}
        left = self.reduction.left
        gone = [effect for effect in self.reduction.effects if effect.id in left]
        sealed = self.remains.sealed.preview
        return Reduced(
            id=self.plan.id,
            revision=self.plan.revision,
            digest=self.plan.digest or "",
            left_out=[effect for effect in gone if effect.id in asked],
            falls=[Fallen(effect, left[effect.id]) for effect in gone if effect.id not in asked],
            summary=sealed.summary,
            counts=sealed.counts,
        )

    def store(self) -> Submitted:
        author = self.core.store.revisions(self.plan.id)[-1].author
        return revising.new_revision(
            self.core,
            self.plan,
            self.remains.plan,
            expected=self.plan.revision,
            author=author,
            reduces=self.plan.digest or "",
        )


def _head(preview: Preview) -> dict[str, Any]:
    skip = {"on_stale": preview.on_stale} if preview.on_stale != "fail" else {}
    words = {name: getattr(preview, name) for name in ("title", "reason", "requested_by", "thread_url")}
    return {**words, **skip}


def _reworder(plan: Plan) -> Callable[[Operation, Effect], Operation]:
    """Gives an operation the author's reasons for the effect that it makes."""
    operations = plan.operations

    def reword(operation: Operation, effect: Effect) -> Operation:
        why = dict.fromkeys(operations[number - 1].why for number in effect.operations if number)
        said = "; ".join(text for text in why if isinstance(text, str) and text)
        return msgspec.structs.replace(operation, why=said) if said else operation

    return reword
