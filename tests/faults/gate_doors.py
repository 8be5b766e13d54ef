"""An office and its model side by side: every door is used on both, and what they say has to agree."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import gate_model as model
from crash_sweep import Ended, Fault, in_child
from gate_house import AGENT, ALREADY_REJECTED, APPROVAL_HOLDS, BOSS, CASES, House, before_renames
from gate_model import InOrder, Plan, Refused, Run, Tree, Unfinished
from gatework import plan

from treegate.gate import Gate


class Doors(House):
    """What people do at the gate, and what the model says of it."""

    # -- handing in

    def interpreted(self, operations: Sequence[Mapping[str, Any]], base: str, tree: Tree) -> InOrder | None:
        """What operations make of a tree; None where one makes no sense."""
        story = InOrder(tree, base, self.kept)
        try:
            for operation in operations:
                story.carry_out(operation)
        except Refused:
            return None
        return story

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

    # -- what came of it

    def settle(self, old: Plan, *, looks: bool = True) -> str:
        """Takes note of the state that a plan has come to; `looks`: no other has changed the tree since."""
        unfinished = next((one for one in self.unfinished if one.plan is old), None)
        self.unfinished = [one for one in self.unfinished if one.plan is not old]
        stored = self.office.gate.core.store.plan(old.id)
        state = stored.state.value
        assert state in {"approved", "expired", "applying", "applied", "rolled-back", "stale"}, state
        old.state = state
        if state == "applied":
            self._applied(old, unfinished, looks)
        elif state == "applying":
            self.unfinished.append(unfinished or Unfinished(old))
        elif state in ("rolled-back", "stale"):
            self.begun[0] += 1
            self._taken_back(old)
        elif old.expires_at is not None and old.expires_at <= self.office.clock.now:
            old.state = "expired"
        self.begun[1] += state == "approved"
        return state

    def _taken_back(self, old: Plan) -> None:
        """The tree is as before; what went and came back counts as touched."""
        if old.state == "rolled-back":
            for path in model.touched(old.seen, old.after).sources & self.tree.keys():
                for inside in {path, path.rpartition("/")[0]}:
                    self.tree[inside] = model.stamped(self.tree[inside])

    def _applied(self, old: Plan, unfinished: Unfinished | None, looks: bool) -> None:
        assert unfinished is None or not unfinished.turned, "a rollback that crashed has to stay one"
        assert old.digest not in {one.digest for one in self.rejected}, "what was rejected was applied"
        before, seen = self.tree, self.on_disk(old.cases)
        fits = (one for one in self._outcomes(old) if not looks or model.picture(one, old.cases) == seen)
        after = next(fits, None)
        assert after is not None, ("the tree is not what the plan says", old.operations, seen, old)
        stored = self.office.gate.core.store.runs(plan=old.id)[0]
        assert stored.id not in self.runs, "one run for one approval"
        self.tree = model.restamped(before, after)
        self._upset(old, before)
        self.begun[0] += 1
        effects = self.office.gate.applied(stored.id).receipt.touched
        old.run, run = stored.id, Run(stored.id, old.id, before, dict(self.tree), effects, old.undo_of)
        self.runs[run.id] = run
        self.precious |= _contents(after)
        self._learn_vault(run.id)
        if old.undo_of:
            self._undone(self.runs[old.undo_of], run, old)

    def _upset(self, old: Plan, before: Tree) -> None:
        """Others that waited are stale if what they counted on is what the run changed; only those."""
        for one in self.plans:
            if one is not old and one.state in model.OPEN and not one.skip:
                now = self.office.gate.core.store.plan(one.id).state
                if now == "stale":
                    assert not one.is_fresh(self.tree), ("it fits as well as before", one, old)
                    one.state = "stale"
                    self.told["another plan upset"] += 1
                else:
                    assert not (one.is_fresh(before) and one.is_stale(self.tree)), ("it fits no more", old, one)

    def _outcomes(self, old: Plan) -> Iterable[Tree]:
        """The trees that a plan may leave: one, or, where it skips what is stale, some without that."""
        left_out = [()] if not old.skip or old.is_fresh(self.tree) else _subsets(len(old.operations))
        stale = self._stale_alone(old) if len(left_out) > 1 else set()
        for gone in left_out:
            if stale <= set(gone):
                rest = [op for number, op in enumerate(old.operations) if number not in gone]
                story, planned = (self.interpreted(rest, old.base, tree) for tree in (self.tree, old.seen))
                if story is not None:
                    yield story.tree
                if planned is not None:  # places that are only passed through need not be free
                    yield from filter(None, [model.merged(old.seen, planned.tree, self.tree)])

    def _stale_alone(self, old: Plan) -> set[int]:
        """The operations of a plan that by themselves are of what has changed."""
        found = set()
        for number, op in enumerate(old.operations):
            story = self.interpreted([op], old.base, old.seen)
            if story is not None:
                alone = Plan("", set(), [op], old.base, True, seen=old.seen, after=story.tree)
                found |= {number} if alone.stale_paths(self.tree) & old.stale_paths(self.tree) else set()
        return found

    def _learn_vault(self, run: str) -> None:
        """What the vault keeps of a run, as it lies there, under new identities."""
        folder = self.office.root / ".treegate/vault" / run / "entries"
        for top in folder.iterdir() if folder.is_dir() else ():
            kept: Tree = {}
            for path in [top, *top.rglob("*")]:
                kind, text = ("dir", "") if path.is_dir() else ("file", path.read_text())
                kept[str(path)[len(str(top)) :]] = model.made(kind, text, path.stat().st_mode & 0o7777)
            self.kept[run, int(top.name)] = kept

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

    def _undone(self, target: Run, run: Run, old: Plan) -> None:
        """What follows when a run was taken back, or part of it; whoever takes an undo back has the first again."""
        effects = json.loads((self.office.state / "receipts" / f"{old.id}.undoes").read_text())
        whole = not target.gone and len(effects) >= target.effects
        wanted = model.merged(target.after, target.before, run.before)
        if whole and wanted is not None:
            assert model.shown(self.tree) == model.shown(wanted), ("undo did not bring back what was", wanted)
        target.gone |= dict.fromkeys(effects, run.id)
        target.ever_undone = True
        self.told["undone" if whole else "undone in part"] += 1
        if len(target.gone) >= target.effects:
            self._restate(target, "undone")
            if target.undo_of:
                self._redone(self.runs[target.undo_of], target)

    def _redone(self, origin: Run, undo: Run) -> None:
        origin.gone = {effect: by for effect, by in origin.gone.items() if by != undo.id}
        if origin.state == "undone":
            self._restate(origin, "applied")

    def _restate(self, run: Run, state: str) -> None:
        run.state = state
        next(one for one in self.plans if one.id == run.plan).state = state

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
            self.precious -= _contents(kept)
            self.runs[run].pruned = True
        self.precious |= _contents(self.tree).union(*map(_contents, self.kept.values()))
        self.told["pruned" if due else "nothing to prune"] += 1

    def pause(self, scope: str, on: bool) -> None:
        """Somebody pauses a case or all, or lifts that."""
        gate = self.gate(BOSS)
        (gate.pause if on else gate.resume)(scope or None)
        (self.paused.add if on else self.paused.discard)(scope)


def _contents(tree: Tree) -> set[str]:
    return {entry.content for entry in tree.values() if entry.kind == "file"}


def _difference(one: Plan) -> dict[str, Any]:
    before, after = model.shown(one.seen), model.shown(one.after)
    return {path: after.get(path) for path in {*before, *after} if before.get(path) != after.get(path)}


def _subsets(count: int) -> list[tuple[int, ...]]:
    """What may be left out of so many operations, least first."""
    every = [tuple(n for n in range(count) if bits >> n & 1) for bits in range(1 << count)]
    return sorted(every, key=len)
