"""Trying: what this process does to a private copy of a case becomes a plan, as what a command in a sandbox does.

For tools that run inside an agent's own process. They are not walled in: that is what sandboxes are for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from treegate.engine.sandbox import dating, document, leftovers
from treegate.engine.sandbox.copy import PrivateCopy
from treegate.engine.sandbox.order import Captured, Limits, Order
from treegate.engine.sandbox.recognition import CopyCapture
from treegate.engine.store import Transaction
from treegate.gate import plans, revising
from treegate.gate.core import Core
from treegate.gate.plans import Submitted
from treegate.gate.sandboxing import landing, looking, ordering
from treegate.model.actors import Action
from treegate.model.lifecycle import Event, State
from treegate.model.names import visible


class Trial:
    """A private copy of a case, to be changed as one likes; `folder` is where it is."""

    def __init__(self, core: Core, order: Order, into: str) -> None:
        came = time.time_ns()
        self._core, self._order = core, order
        self._copy = PrivateCopy(order.cases, into, order.limits.copied)
        self.folder = Path(self._copy.folder(order.cases[0]))
        self._since = dating.after(came)
        self._handed = ""  # the digest of the plan that was handed in last

    def close(self) -> None:
        """Gives the handles back."""
        self._copy.close()

    def hand_in(self, plan: str = "") -> Submitted | None:
        """Hands in what was done to the copy, as a plan or as the next version of one; None where that is nothing."""
        captured = document.write_down(self._order, lambda keeper: CopyCapture(self._copy, keeper), self._since)
        if not captured.operations:
            return None
        core, id = self._core, plan or self._core.new_id("pl")
        made = plans.decode(Path(self._order.document).read_bytes())
        if plan and made.digest == self._handed:  # nothing more was done, so what was decided stands
            return plans.submitted(core, plan)
        found = tuple(landing.problems_of(None, captured))

        def then(transaction: Transaction) -> None:
            self._note_changed(transaction, id, captured)

        if plan:
            revising.revise(core, id, made, then=then, found=found)
        else:
            plans.submit(core, made, id=id, then=then, found=found)
        self._handed = made.digest
        return plans.submitted(core, id)

    def _note_changed(self, transaction: Transaction, id: str, captured: Captured) -> None:
        """Makes the plan stale where others changed what it rests on since the copy was made."""
        late = landing.changed_late(self._core, transaction, id, captured, Path(self._order.document).parent)
        changed = [visible(path) for path in (*captured.changed, *late)]
        if changed and transaction.plan(id).state in {State.PENDING, State.APPROVED}:
            transaction.set_state(id, Event.GO_STALE, self._core.by(), data={"changed": changed[:100]})


@contextmanager
def trial(core: Core, case: str, title: str = "", reason: str = "") -> Iterator[Trial]:
    """A copy of a case that is gone after the block; raises UsageError "case-too-large-to-copy"."""
    core.actor.require(Action.PROPOSE, [case])
    core.workspace.check_marker()
    core.check_case(case)
    looking.sweep(core, at_leisure=False)
    folder = looking.folder(core, core.new_id("tr"))
    area = folder / looking.SCRATCH
    area.mkdir(mode=0o700, parents=True)
    limits = Limits(copied=core.config.sandbox.limits.copied)
    order = Order(
        id=folder.name, command=(), engine="bwrap", cases=(ordering.case_of(core, case),), scratch=str(area),
        blobs=str(core.state / "blobs"), document=str(area / ordering.DOCUMENT), limits=limits,
        title=title, reason=reason,
    )  # fmt: skip
    try:
        with leftovers.held(str(area)):
            into = area / "copies"
            into.mkdir(mode=0o700)
            made = Trial(core, order, str(into))
            try:
                yield made
            finally:
                made.close()
    finally:
        looking.clear(core, folder.name)
        with suppress(OSError):  # what somebody still holds is cleared by the next sweep
            os.rmdir(folder)
