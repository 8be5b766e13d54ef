"""The workbench: copies of cases that an agent's other tools change, each with the plan that its changes are."""

from __future__ import annotations

import atexit
import contextlib
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from treegate.engine.store.records import StoredPlan
from treegate.errors import Busy
from treegate.gate import Gate
from treegate.gate.plans import Submitted
from treegate.gate.sandboxing.trying import Trial
from treegate.interfaces.agent import telling
from treegate.interfaces.agent.desk import Desk
from treegate.model.lifecycle import UNFINISHED, State

# States in which a copy goes on: what is changed in it becomes the next version of its plan.
_GOES_ON = frozenset(
    {State.PENDING, State.APPROVED, State.CHANGES_REQUESTED, State.INVALID, State.DRAFT, State.EXPIRED}
)


class _Copy(NamedTuple):
    """A copy that is in use, and what lets it go."""

    trial: Trial
    held: AbstractContextManager[Trial]


class Workbench:
    """One copy for each case, for as long as its plan may still be changed; used by one call at a time."""

    def __init__(self, desk: Desk, title: str) -> None:
        self._desk, self._title = desk, title
        self._copies: dict[str, _Copy] = {}
        self._plans: dict[str, str] = {}
        atexit.register(self.close)

    @property
    def _gate(self) -> Gate:
        assert isinstance(self._desk.door, Gate)
        return self._desk.door

    def has(self, case: str) -> bool:
        """Whether there is a copy of a case, which shows what was changed so far."""
        return case in self._copies and self._current(case)

    def copy(self, case: str) -> Trial:
        """The copy of a case; raises UsageError "case-too-large-to-copy", Busy while its plan is carried out."""
        if case not in self._copies or not self._current(case):
            self._let_go(case)
            held = self._gate.trial(case, self._title)
            self._copies[case] = _Copy(held.__enter__(), held)
        return self._copies[case].trial

    def hand_in(self, case: str) -> dict[str, Any] | None:
        """The plan that all changes of a case are by now; None where there are none, or none that are new."""
        before = self._plans.get(case, "")
        revision = self._gate.plan(before).revision if before else 0
        done = self._copies[case].trial.hand_in(before)
        if done is not None and before and done.revision == revision:
            return None
        if done is None:
            if before:
                self._gate.withdraw(before, "its author undid all of it")
                del self._plans[case]
            return None
        self._plans[case] = done.id
        return self._told(done)

    def _told(self, done: Submitted) -> dict[str, Any]:
        return telling.submitted(done) | {"note": "nothing is changed yet; what is read by tools shows the changes"}

    def _current(self, case: str) -> bool:
        """Whether the copy of a case still goes on; raises Busy while its plan is carried out."""
        plan = self._plans.get(case)
        if plan is None:
            return True
        stored: StoredPlan = self._gate.plan(plan)
        if stored.state in UNFINISHED:
            text = f"plan {plan} is being carried out"
            raise Busy(text, code="under-way", hint="wait_for_decision tells when it is done")
        return stored.state in _GOES_ON

    def _let_go(self, case: str) -> None:
        self._plans.pop(case, None)
        copy = self._copies.pop(case, None)
        if copy is not None:
            copy.held.__exit__(None, None, None)

    def close(self) -> None:
        """Lets all copies go; their plans stay."""
        for case in list(self._copies):
            with contextlib.suppress(OSError):
                self._let_go(case)
        atexit.unregister(self.close)
