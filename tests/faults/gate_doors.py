"""An office and its model side by side: every door is used on both, and what they say has to agree."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import gate_model as model
from crash_sweep import Ended, Fault, in_child
from gate_desk import Desk
from gate_house import ALREADY_REJECTED, BOSS, before_renames
from gate_model import Plan
from gate_outcomes import contents

from treegate.gate import Gate


class Doors(Desk):
    """What people do at the gate, runs and crashes included, and what the model says of it."""

    # -- carrying out

    def apply(self, old: Plan, who: str) -> None:
        """Somebody has a plan carried out; an unfinished run on its cases is brought to its end first."""
        act = partial(self.gate(who).apply, old.id)
        if not self._has_ended(old) and self.is_paused(old.cases):
            self.attempt(act, 8)
            return
        if any(one.plan.skip for one in self.unfinished):  # it may end in several ways, which is to be seen first
            self.recover(back=False)
        ended = self._has_ended(old)
        status, answer = self.attempt(act)
        was_unfinished = self._settle_unfinished(old.cases)
        if ended:
            assert (status, answer.run) == (0, old.run), "the same approval is the same run"
        elif old in was_unfinished and old.state != "approved":
            assert status == (0 if old.state == "applied" else model.REFUSED[old.state]), (status, answer, old.state)
        elif old.state != "approved":
            assert status == model.REFUSED[old.state], (status, answer, old.state)
        elif self.lapsed(old):
            assert status == self.lapsed(old), (status, answer)
        else:
            self._carried_out(old, status, answer)

    def _has_ended(self, old: Plan) -> bool:
        """Whether a plan was carried out, so that asking for it again is answered with the same run."""
        return bool(old.run) and self.runs[old.run].state in ("applied", "undone")

    def is_paused(self, cases: Collection[str]) -> bool:
        return bool(self.paused & {"", *cases})

    def _settle_unfinished(self, cases: Collection[str]) -> list[Plan]:
        """Takes note of how runs ended that were unfinished on some cases; their plans."""
        theirs = [one for one in self.unfinished if set(one.plan.cases) & set(cases)]
        for one in theirs:
            self.settle(one.plan, looks=False)
        return [one.plan for one in theirs]

    def lapsed(self, old: Plan) -> int:
        """The exit status for an approval that holds no more, though its time has not run out."""
        if any(one.digest == old.digest for one in self.rejected):
            return ALREADY_REJECTED
        if old.undo_of and self.runs[old.undo_of].state != "applied":
            return 4
        return 0

    def _carried_out(self, old: Plan, status: int, answer: Any) -> None:
        fresh, stale = old.is_fresh(self.tree), old.is_stale(self.tree)
        assert len(old.approvals()) >= self.required
        self.settle(old)
        assert status == {"applied": 0, "stale": 5}.get(old.state, -1), (status, answer, old.state)
        if fresh and old.state != "applied":
            raise AssertionError(("nothing was touched, and it was not applied", old, answer))
        if stale and not old.skip:
            assert old.state == "stale", ("what it is of was changed, and it was applied", old)
        kind = "fresh" if fresh else "stale" if stale else "touched"
        self.told[f"applied, {kind}" if old.state == "applied" else f"refused, {kind}"] += 1

    def apply_while(self, old: Plan, path: str) -> None:
        """A plan is carried out, and somebody puts a file at a path before the first rename of the run."""
        came, content = self.office.state.parent / "came", self.content()
        came.unlink(missing_ok=True)

        def come() -> None:
            if not came.exists():
                came.touch()
                self.office.put(path, content)

        ended = self._in_child(lambda gate: gate.apply(old.id), Fault(), lambda: before_renames(come))
        if came.exists():
            self.tree[path] = model.made("file", content, 0o640)
            self.precious.add(content)
        state = self.settle(old)
        assert not came.exists() or state in ("rolled-back", "stale"), (state, ended)
        self.told[f"somebody came first: {state}"] += 1

    # -- crashes

    def crash(self, old: Plan, fault: Fault, patch: Callable[[], None] | None) -> Ended:
        """A process that carries a plan out dies at a call or a border, or does not come so far."""
        before = self.on_disk(old.cases)
        ended = self._in_child(lambda gate: gate.apply(old.id), fault, patch)
        stale, fresh = old.is_stale(self.tree), old.is_fresh(self.tree)
        state = self.settle(old)
        assert state != "applied" or not stale or old.skip
        assert state != "rolled-back" or fault.fail or not fresh, ended
        self.untidy = True
        if state == "applying":
            found = self.unfinished[-1]
            found.doubtful = bool(fault.fail) or not fresh
            found.moved = self.on_disk(old.cases) != before
        self.told[f"crashed: {state}"] += 1
        return ended

    def _in_child(self, act: Callable[[Gate], Any], fault: Fault, patch: Callable[[], None] | None) -> Ended:
        def work() -> str:
            gate = self.gate(BOSS, self.office.open())
            if patch is not None:
                patch()
            act(gate)
            return "done"

        ended = in_child(work, fault)
        assert not ended.how.startswith("crashed"), ended.text
        return ended

    def recover(self, back: bool) -> None:
        """Somebody has every unfinished run brought to its end; none is left."""
        theirs = list(self.unfinished)
        self.attempt(lambda: self.gate(BOSS).recover(back=back), 0)
        for one in theirs:
            state = self.settle(one.plan)
            assert state in {"approved", "applied", "rolled-back"}, state
            if one.moved and not one.turned and not one.doubtful and not back:
                assert state == "applied", "what had begun goes forward"
            assert state != "approved" or not one.moved
            self.told[f"recovered: {state}"] += 1
        self.untidy = False
        assert not self.unfinished

    def crash_recovery(self, back: bool, fault: Fault, patch: Callable[[], None] | None = None) -> None:
        """A recovery dies, too."""
        theirs = list(self.unfinished)
        before = {one.plan.id: self.on_disk(one.plan.cases) for one in theirs}
        self._in_child(lambda gate: gate.recover(back=back), fault, patch)
        for one in theirs:
            moved = self.on_disk(one.plan.cases) != before[one.plan.id]
            one.turned |= back and moved
            one.moved |= moved and not back
            state = self.settle(one.plan)
            self.told[f"recovery crashed: {state}"] += 1

    # -- the rest

    def prune(self) -> None:
        """Retention lets go what is past its time, and nothing that a plan names."""
        gate, now = self.gate(BOSS), self.office.clock.now
        held = gate.list_vault()
        named = {
            (op["run"], op["entry"])
            for one in self.plans if one.state not in model.OVER for op in one.operations if op["op"] == "restore"
        }  # fmt: skip
        due = {(one.run, one.entry) for one in held if one.until is not None and one.until <= now} - named
        if self.is_paused({one.case for one in held if (one.run, one.entry) in due}):
            self.attempt(gate.prune, 8)
            return
        answer = self.attempt(gate.prune, 0)[1]
        assert {(one.run, one.entry) for one in answer.entries} == due
        for run, entry in due:
            kept = self.kept.pop((run, entry))
            self.precious -= contents(kept)
            self.runs[run].pruned = True
        self.precious |= contents(self.tree).union(*map(contents, self.kept.values()))
        self.told["pruned" if due else "nothing to prune"] += 1

    def pause(self, scope: str, on: bool) -> None:
        """Somebody pauses a case or all, or lifts that."""
        gate = self.gate(BOSS)
        (gate.pause if on else gate.resume)(scope or None)
        (self.paused.add if on else self.paused.discard)(scope)
