"""Pending changes: one draft of one case, each operation checked as it comes, and the plan it was handed in as."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from treegate.client import Client
from treegate.engine.store.records import StoredPlan, Verdict
from treegate.errors import Busy, NotFound, PlanError, Rejected, TreegateError
from treegate.gate import Gate
from treegate.gate.plans import Submitted
from treegate.interfaces.agent import telling
from treegate.interfaces.agent.desk import Desk
from treegate.interfaces.deepagents import draft
from treegate.interfaces.deepagents.draft import Operation
from treegate.model.lifecycle import UNFINISHED, State
from treegate.model.problems import Problem

_PAST = {State.APPLIED, State.UNDONE, State.WITHDRAWN}  # the changes are made, or not wanted any more
_ASLEEP = {State.REJECTED, State.CHANGES_REQUESTED}  # never carried out as they were handed in
_WAITING = {State.PENDING, State.APPROVED}
_OTHERWISE = "make other changes, or discard_changes; ask whoever you work for what is wanted"

# What to do next, by the state that the plan is in, with the tools that are there.
NEXT: dict[State, str] = {
    State.DRAFT: "submit_changes hands it in",
    State.INVALID: "mend the problems with further changes (take each `suggestion`), then submit_changes",
    State.PENDING: "a person has to decide: plan_status with `wait` waits for that; nothing on disk has changed",
    State.CHANGES_REQUESTED: "make the changes that the reviewer asks for, then submit_changes",
    State.APPROVED: "it is approved, and carried out by whoever may do that; plan_status tells",
    State.REJECTED: f"a person said no, so the same is not handed in again: {_OTHERWISE}",
    State.EXPIRED: "nobody decided, or carried it out, in time; that is no refusal: submit_changes asks again",
    State.WITHDRAWN: "it was taken back; further changes become a new plan",
    State.STALE: "files changed since: look again, then submit_changes",
    State.APPLYING: "it is being carried out; plan_status tells",
    State.APPLIED: "it is done: the files are as you left them; further changes become a new plan",
    State.ROLLED_BACK: "it failed midway and everything is as before: look again, then submit_changes",
    State.NEEDS_RECOVERY: "a run was interrupted: an operator has to recover it",
    State.UNDONE: "it was taken back",
}


class Pending:
    """The draft. Its methods may be called by several threads; each change is made as a whole."""

    def __init__(self, desk: Desk, case: str, *, title: str = "", reason: str = "") -> None:
        self.lock = threading.RLock()
        self._desk, self._case, self._title, self._reason = desk, case, title, reason
        self._operations: list[Operation] = []
        self._handed: list[Operation] = []  # what the plan holds
        self._since: list[Operation] = []  # the changes after those, on their own
        self._plan = ""
        self._state = State.DRAFT  # of the plan, when it was last looked at
        self._refused: dict[str, Rejected] = {}  # by the digests of the effects that people turned down

    @property
    def _door(self) -> Gate | Client:
        return self._desk.door

    # -- looking

    @property
    def operations(self) -> list[Operation]:
        """The changes, in order; none once their plan was carried out."""
        with self.lock:
            self._look()
            return list(self._operations)

    def plan(self) -> dict[str, Any]:
        """The plan that `submit` hands in."""
        return self._plan_of(self.operations)

    def base(self) -> bytes | None:
        """The plan after which files are looked at; None: as they are."""
        found = self.operations
        return draft.encoded(self._plan_of(found)) if found else None

    def status(self, wait: float = 0.0) -> dict[str, Any]:
        """How many changes there are, and where their plan stands; waits so many seconds for a decision."""
        if wait > 0 and self._plan:
            with suppress(TreegateError):  # however that ended, where the plan stands tells it
                self._door.wait(self._plan, "decided", wait)
        with self.lock:
            plan = self._plan
            self._look()
            told = {"changes": len(self._operations), "handed_in": self._operations == self._handed and bool(plan)}
            if plan:
                return told | self._standing(self._door.plan(plan))
            return told | {"next": "submit_changes hands them in" if self._operations else "there are no changes"}

    # -- changing

    def put(self, path: str, data: bytes, *, exists: bool) -> None:
        """A file that holds something; raises PlanError for what may not be."""
        self._change(lambda done: draft.put(done, path, data, exists=exists))

    def delete(self, path: str, *, folder: bool) -> None:
        """What is at a path goes; raises PlanError."""
        self._change(lambda done: draft.delete(done, path, folder=folder))

    def move(self, source: str, target: str) -> None:
        """What is at one path is at another; raises PlanError."""
        self._change(lambda done: draft.move(done, source, target))

    def _change(self, make: Callable[[list[Operation]], list[Operation]]) -> None:
        with self.lock:
            self._look()
            made = make(self._operations)
            self._check(made)
            self._operations, self._since = made, make(self._since)

    def _check(self, made: list[Operation]) -> None:
        """Raises PlanError where the newest change is at fault; what went wrong with older ones was told already."""
        errors = self._errors(made)
        if not errors:
            return
        known = {_what(one) for one in self._errors(self._operations)}
        if fresh := [one for one in errors if _what(one) not in known]:
            first = fresh[0]
            raise PlanError(first.message, code=first.code, hint=first.hint, problems=fresh)

    def _errors(self, operations: list[Operation]) -> list[Problem]:
        if not operations:
            return []
        found = self._door.check(draft.encoded(self._plan_of(operations)))
        return [one for one in found.problems if one.severity == "error"]

    def discard(self) -> dict[str, Any]:
        """Forgets the changes, and withdraws their plan if it still waits."""
        with self.lock:
            self._look()
            told: dict[str, Any] = {"discarded": len(self._operations)}
            if self._plan and self._state in UNFINISHED:
                return telling.error(_under_way(self._plan))
            if self._plan and self._state is not State.REJECTED:
                taken = self._door.withdraw(self._plan, "its author discarded the changes")
                told |= {"plan": taken.id, "state": taken.state.value}
            self._forget([])
            return told

    # -- handing in

    def submit(self, title: str | None = None, reason: str | None = None) -> dict[str, Any]:
        """Hands the changes in, for people to decide on: as a plan, or as its next revision."""
        with self.lock:
            self._title = self._title if title is None else title
            self._reason = self._reason if reason is None else reason
            try:
                self._look()
                return self._submitted() if self._operations else self._nothing_left()
            except Rejected as error:
                return telling.error(error) | {"next": NEXT[State.REJECTED]}
            except TreegateError as error:
                return telling.error(error)

    def _submitted(self) -> dict[str, Any]:
        document = draft.encoded(self._plan_of(self._operations))
        plan = self._door.plan(self._plan) if self._plan else None
        if plan is not None and plan.state in UNFINISHED:
            raise _under_way(plan.id)
        if plan is not None and self._operations == self._handed:
            if plan.state in _ASLEEP:
                return self._standing(plan) | telling.error(self._objection(plan))
            if plan.state in _WAITING:
                return self._standing(plan)
        self._check_not_refused(document)
        return self._taken(self._door.submit(document) if plan is None else self._door.revise(plan.id, document))

    def _nothing_left(self) -> dict[str, Any]:
        """The changes were handed in, and then taken back one by one; or there were none."""
        if self._plan:
            return self.discard() | {"next": NEXT[State.WITHDRAWN]}
        hint = "write, edit, delete or move files first"
        raise NotFound("there are no changes", code="no-changes", hint=hint)

    def _check_not_refused(self, document: bytes) -> None:
        """Raises Rejected for effects that a person turned down, however they are called now."""
        if self._refused and (error := self._refused.get(self._door.check(document).effects_digest)):
            raise error

    def _taken(self, found: Submitted) -> dict[str, Any]:
        self._plan, self._state = found.id, State(found.state)
        self._handed, self._since = list(self._operations), []
        return telling.submitted(found) | {"next": NEXT[self._state]}

    def _objection(self, plan: StoredPlan) -> Rejected:
        """What a person said of the changes as they were handed in."""
        turned_down = plan.state is State.REJECTED
        verdict = Verdict.REJECT if turned_down else Verdict.REQUEST_CHANGES
        words = [one for one in self._door.decisions(plan.id) if one.verdict is verdict]
        who, why = (words[-1].reviewer, words[-1].comment) if words else ("a reviewer", "")
        did = "rejected exactly this" if turned_down else "asked for changes to exactly this"
        code = "already-rejected" if turned_down else "changes-requested"
        text = f"{who} {did}, in plan {plan.id}{f': {why}' if why else ''}"
        return Rejected(text, code=code, hint="it was not handed in again")

    def _standing(self, plan: StoredPlan) -> dict[str, Any]:
        told = telling.standing(plan, self._door.waiting_for(plan.id), self._door.decisions(plan.id))
        if plan.state is State.INVALID:
            told |= telling.listed(self._door.show(plan.id).preview.problems)
        return told | {"next": NEXT[plan.state]}

    # -- following the plan

    def _look(self) -> None:
        """Lets go of what was carried out, or withdrawn: no plan is ever shown on top of itself."""
        if not self._plan:
            return
        before, plan = self._state, self._door.plan(self._plan)
        self._state = plan.state
        if self._state is State.REJECTED and before is not State.REJECTED:
            self._refused[self._door.show(plan.id).preview.effects_digest] = self._objection(plan)
        if self._state in _PAST:
            self._forget(self._since)

    def _forget(self, kept: list[Operation]) -> None:
        self._operations, self._since, self._handed = list(kept), list(kept), []
        self._plan, self._state = "", State.DRAFT

    def _plan_of(self, operations: Sequence[Operation]) -> dict[str, Any]:
        return draft.document(self._case, operations, self._title, self._reason)


def _what(problem: Problem) -> tuple[object, ...]:
    return (problem.code, problem.path, problem.message)


def _under_way(plan: str) -> Busy:
    return Busy(f"plan {plan} is being carried out", code="under-way", hint="plan_status tells when that is over")
