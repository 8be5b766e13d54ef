"""What came of a run: how an office's model follows what the gate says of a plan, and what has to hold then."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import gate_model as model
from gate_house import House
from gate_model import InOrder, Plan, Refused, Run, Tree, Unfinished


class Outcomes(House):
    """The model after a run that ended, or was cut short."""

    def interpreted(self, operations: Sequence[Mapping[str, Any]], base: str, tree: Tree) -> InOrder | None:
        """What operations make of a tree; None where one makes no sense."""
        story = InOrder(tree, base, self.kept)
        try:
            for operation in operations:
                story.carry_out(operation)
        except Refused:
            return None
        return story

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
        self.precious |= contents(after)
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

    # -- the trees that it may leave

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

    # -- an undo that was carried out

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


def contents(tree: Tree) -> set[str]:
    """What is in the files of a tree."""
    return {entry.content for entry in tree.values() if entry.kind == "file"}


def _subsets(count: int) -> list[tuple[int, ...]]:
    """What may be left out of so many operations, least first."""
    every = [tuple(n for n in range(count) if bits >> n & 1) for bits in range(1 << count)]
    return sorted(every, key=len)
