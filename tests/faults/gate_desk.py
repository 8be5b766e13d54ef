"""An office and its model at the desk: plans are handed in, revised and decided on, on both, and the two agree."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import gate_model as model
from gate_house import AGENT, ALREADY_REJECTED, APPROVAL_HOLDS, BOSS, CASES
from gate_model import Plan, Run
from gate_outcomes import Outcomes
from gatework import plan


class Desk(Outcomes):
    """What people do with plans before they are carried out, and what the model says of it."""

    # -- handing in

    def blocked(self, cases: Collection[str]) -> bool:
        """Whether a run is unfinished on one of some cases."""
        return any(set(one.plan.cases) & set(cases) for one in self.unfinished)

    def submit(self, who: str, operations: Sequence[Mapping[str, Any]], base: str, skip: bool, draft: bool) -> None:
        """Somebody hands in a plan."""
        new = Plan("", {who}, operations, base, skip)
        act = partial(self.gate(who).submit, self._document(new), draft=draft)
        if self.blocked([base] if base else CASES):
            self.attempt(act, 7)
        elif draft:
            answer = self.attempt(act, 0)[1]
            assert answer.state == "draft"
            self._added(new, answer)
        else:
            self._previewing(new, act, self._added)

    def _document(self, plan_: Plan) -> str:
        more = {"on_stale": "skip"} if plan_.skip else {}
        return plan(*map(dict, plan_.operations), case=plan_.base or None, **more)

    def _added(self, new: Plan, answer: Any) -> None:
        new.id, new.state, new.digest = answer.id, answer.state, answer.digest
        new.cases = self.office.gate.core.store.plan(new.id).cases
        self.plans.append(new)

    def _previewing(self, new: Plan, act: Callable[[], Any], then: Callable[[Plan, Any], None]) -> None:
        """A door that previews a plan: pending if it makes sense, invalid if not, refused where it was rejected."""
        story = self.interpreted(new.operations, new.base, self.tree)
        new.seen, new.after, new.named = dict(self.tree), {}, set()
        if story is not None:
            new.after, new.named = story.tree, story.named
        must, may = self._rejected(new)
        status, answer = self.attempt(act, *([ALREADY_REJECTED] if must else [0, ALREADY_REJECTED] if may else [0]))
        if status:
            self.told["the same as what was rejected"] += 1
            return
        assert answer.state == ("pending" if story is not None else "invalid"), (answer, new.operations)
        then(new, answer)

    def _rejected(self, new: Plan) -> tuple[bool, bool]:
        """Whether exactly this was rejected, and whether something was that comes to the same."""
        if not new.after:
            return False, False
        same = [one for one in self.rejected if one.skip == new.skip and one.undo_of == new.undo_of]
        may = [one for one in same if _difference(one) == _difference(new)]
        must = any(
            one.operations == new.operations and one.base == new.base and one.is_fresh(self.tree) for one in may
        )
        return must, bool(may)

    # -- another version

    def revise(self, old: Plan, who: str, operations: Sequence[Mapping[str, Any]], late: bool) -> None:
        """Somebody hands in another version; `late`: of one that was revised since."""
        new = Plan(old.id, old.authors, operations, old.base, old.skip)
        gate, document = self.gate(who), self._document(new)
        act = partial(gate.revise, old.id, document, old.revision - late)
        if old.undo_of or (who == AGENT and AGENT not in old.authors):
            self.attempt(act, 4)
        elif old.state not in model.REVISABLE:
            self.attempt(act, model.REFUSED[old.state])
        elif self.blocked([old.base] if old.base else CASES):
            self.attempt(act, 7)
        elif late:
            self.attempt(act, 5, ALREADY_REJECTED)
        else:
            self._previewing(new, act, lambda new, answer: self._revised(old, new, who, answer))

    def _revised(self, old: Plan, new: Plan, who: str, answer: Any) -> None:
        revision, first = old.revision + 1, next(iter(sorted(self._first(old))))
        self._renewed(old, new, answer)
        old.operations, old.revision, old.authors = new.operations, revision, {first, who}
        assert answer.revision == revision

    def _first(self, old: Plan) -> set[str]:
        return {self.office.gate.core.store.plan(old.id).author}

    def _renewed(self, old: Plan, new: Plan, answer: Any) -> None:
        old.seen, old.after, old.named = new.seen, new.after, new.named
        old.state, old.digest, old.said, old.expires_at, old.run = answer.state, answer.digest, [], None, ""
        old.cases = self.office.gate.core.store.plan(old.id).cases

    def refresh(self, old: Plan, who: str) -> None:
        """Somebody has a plan previewed on the tree as it is."""
        new = old.copy()
        act = partial(self.gate(who).refresh, old.id)
        if old.state not in model.PREVIEWABLE:
            self.attempt(act, model.REFUSED[old.state])
        elif self.blocked([old.base] if old.base else CASES):
            self.attempt(act, 7)
        elif old.state in model.OPEN and old.is_fresh(self.tree):
            answer = self.attempt(act, 0)[1]
            assert (answer.state, answer.digest) == (old.state, old.digest), "nothing changed, so nothing is new"
        elif old.state in model.OPEN and self._comes_to_the_same(old):
            answer = self.attempt(act, 0, ALREADY_REJECTED)[1]
            if getattr(answer, "digest", "") not in ("", old.digest):
                self._looked_again(old, new, answer)
        else:
            self._previewing(new, act, lambda new, answer: self._looked_again(old, new, answer))

    def _comes_to_the_same(self, old: Plan) -> bool:
        """Whether a plan might have the same digest again, as far as the model can tell."""
        story = self.interpreted(old.operations, old.base, self.tree)
        return story is not None and not old.is_stale(self.tree)

    def _looked_again(self, old: Plan, new: Plan, answer: Any) -> None:
        if new.seen is old.seen:
            story = self.interpreted(old.operations, old.base, self.tree)
            assert story is not None
            new.seen, new.after, new.named = dict(self.tree), story.tree, story.named
        if old.after and old.is_stale(self.tree):
            assert answer.digest != old.digest, "another tree is another digest"
        self._renewed(old, new, answer)

    def withdraw(self, old: Plan, who: str) -> None:
        """Somebody takes a plan back."""
        allowed = who == BOSS or who in old.authors
        fine = allowed and old.state in model.WITHDRAWABLE
        self.attempt(
            lambda: self.gate(who).withdraw(old.id), 0 if fine else 4 if not allowed else model.REFUSED[old.state]
        )
        if fine:
            old.state = "withdrawn"

    def reduce(self, old: Plan, who: str) -> None:
        """Somebody leaves the first effect out; what remains is a new revision, read back from the gate."""
        gate = self.gate(who)
        if old.undo_of or old.state not in model.OPEN or self.blocked(CASES):
            self.attempt(lambda: gate.reduce(old.id, ["e1"], old.digest), 3, 4, 5, 7, 8, 9, 12, 13)
            return
        status, answer = self.attempt(lambda: gate.reduce(old.id, ["e1"], old.digest), 0, 3, 4, 5, 9, 12)
        if status == 0:
            operations, base = self.written(who, old.id)
            story = self.interpreted(operations, base, self.tree)
            assert (answer.state == "pending") == (story is not None)
            new = Plan(old.id, old.authors, operations, base, old.skip)
            if story is not None:
                new.seen, new.after, new.named = dict(self.tree), story.tree, story.named
            self._renewed(old, new, answer)
            old.operations, old.base, old.revision = operations, base, old.revision + 1
            self.told["reduced"] += 1

    # -- deciding

    def decide(self, old: Plan, who: str, what: str, digest: str = "") -> None:
        """Somebody says what they think of a digest: the current one, or another."""
        given = digest or old.digest
        named = given if given else "0" * 64
        expected = self._decided(old, who, what, bool(old.digest) and given == old.digest)
        gate = self.gate(who)
        doors = {
            model.APPROVE: lambda: gate.approve(old.id, named),
            model.REVOKE: lambda: gate.revoke(old.id, named),
            model.REJECT: lambda: gate.reject(old.id, named, "no"),
            model.REQUEST_CHANGES: lambda: gate.request_changes(old.id, named, "please"),
        }
        self.attempt(doors[what], expected)
        if expected == 0 and what == model.REJECT and old.state == "rejected":
            self.rejected.append(old.copy())

    def _decided(self, old: Plan, who: str, what: str, current: bool) -> int:
        barred = set() if self.own else old.authors
        if who == AGENT or (what == model.APPROVE and who in barred):
            return 4
        if not current:
            return 5 if old.digest else model.REFUSED[old.state]
        twin = any(one.digest == old.digest for one in self.rejected)
        said = [word for name, word in old.said if name == who]
        if what == model.APPROVE and twin and old.state in model.OPEN and not said:
            return ALREADY_REJECTED
        return old.decide(who, what, self.required, barred, self.office.clock.now + APPROVAL_HOLDS)

    def pass_time(self, milliseconds: int) -> None:
        """Time passes; approvals run out."""
        self.office.clock.now += milliseconds
        for one in self.plans:
            if one.state == "approved" and one.expires_at is not None and one.expires_at <= self.office.clock.now:
                one.state = "expired"

    # -- undo

    def undo(self, run: Run, who: str, path: str = "") -> None:
        """Somebody asks for the plan that takes a run back, or what it did at a path."""
        clean = model.merged(run.after, run.before, self.tree) is not None
        act = partial(self.gate(who).undo, run.id, [path] if path else [])
        if run.state != "applied":
            self.attempt(act, 4)
            return
        sure = clean and run.effects and not (run.ever_undone or run.pruned or path or self.blocked(CASES))
        status, answer = self.attempt(act, 0, *([] if sure and not self._undo_rejected(run) else [4, 5, 7, 9, 12]))
        if status:
            self.told["undo refused"] += 1
            return
        assert not self.blocked(CASES), "a tree between two states was previewed"
        done = answer.submitted
        operations, _ = self.written(who, done.id)
        new = Plan("", {who}, operations, "", False, undo_of=run.id)
        story = self.interpreted(operations, "", self.tree)
        assert (done.state == "pending") == (story is not None), (done, operations)
        assert story is not None or not sure
        if story is not None:
            new.seen, new.after, new.named = dict(self.tree), story.tree, story.named
        self._added(new, done)

    def _undo_rejected(self, run: Run) -> bool:
        return any(one.undo_of == run.id for one in self.rejected)


def _difference(one: Plan) -> dict[str, Any]:
    before, after = model.shown(one.seen), model.shown(one.after)
    return {path: after.get(path) for path in {*before, *after} if before.get(path) != after.get(path)}
