"""Random stories of a whole gate: people, plans, decisions, runs, crashes, outsiders, old databases.

Whatever happens, the tree is the one that the model says, every plan stands where it says, whoever is refused is told
so as the contract says, and no content is lost that nobody outside destroyed.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from functools import partial
from typing import Any

import gate_house
import gate_model as model
from crash_sweep import KILLED, Fault
from gate_doors import Doors
from gate_house import AGENT, BOSS, CASES, REVIEWERS, die_at_rename
from gate_model import Plan, Refused
from gatework import DAY, HOUR
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from treegate.engine import apply as applying
from treegate.engine.course import Course
from treegate.gate import ending, runs

NUMBER = some.integers(0, 15)
RECIPE = some.lists(some.tuples(NUMBER, NUMBER, NUMBER), min_size=1, max_size=4)
WHO = some.sampled_from((AGENT, *REVIEWERS))
ANYBODY = some.sampled_from((BOSS, AGENT, *REVIEWERS))
BASE = some.sampled_from(("Smith", "Smith", "Jones", ""))
KILL = some.integers(1, 70)
NAMES = ("a.txt", "b.txt", "c.pdf", "in", "deep", "box")


def dies(*_: object, **__: object) -> None:
    """A kill, at a border between database and journal."""
    os._exit(KILLED)


def _dies_after_the_end(course: Course, *given: Any, **named: Any) -> None:
    _END(course, *given, **named)
    os._exit(KILLED)


_END = Course.end
BORDERS = (
    (runs, "_begun", dies),
    (applying.Journal, "create", dies),
    (Course, "end", _dies_after_the_end),
    (ending, "_end_applied", dies),
    (ending, "clean", dies),
)


def operations(numbers: list[tuple[int, int, int]], doors: Doors, base: str, wrong: bool) -> list[dict[str, Any]]:
    """Operations on what is there, each sensible after those before it; `wrong`: with one that is not."""
    story, done = model.InOrder(doors.tree, base), []
    for kind, one, two in numbers:
        for operation in _written(kind, one, two, story, doors, base):
            before = dict(story.tree)
            try:
                story.carry_out(operation)
            except Refused:
                story.tree = before
                continue
            done.append(operation)
    if wrong:
        done.append({"op": "delete", "path": "never there" if base else "Smith/never there"})
    return done or [{"op": "create", "path": "one.txt" if base else "Smith/one.txt", "content": doors.content()}]


def _written(kind: int, one: int, two: int, story: model.InOrder, doors: Doors, base: str) -> list[dict[str, Any]]:
    top = f"{base}/" if base else ""
    known = sorted(path[len(top) :] for path in story.tree if path.startswith(top) and path not in CASES)
    if not known:
        return []
    old, other = known[one % len(known)], known[(one + two) % len(known)]
    folders = ["" if base else "Jones/", *(path + "/" for path in known if story.tree[top + path].kind == "dir")]
    new = folders[two % len(folders)] + NAMES[(one + two) % len(NAMES)]
    made = [
        [{"op": "move", "from": old, "to": new}],
        [{"op": "move", "from": old, "to": folders[two % len(folders)] or new}],
        [{"op": "rename", "path": old, "name": NAMES[two % len(NAMES)]}],
        [
            {"op": "move", "from": old, "to": f"{old}.aside"},
            {"op": "move", "from": other, "to": old},
            {"op": "move", "from": f"{old}.aside", "to": other},
        ],
        [{"op": "create", "path": new, "content": doors.content()}],
        [{"op": "replace", "path": old, "content": doors.content()}],
        [{"op": "copy", "from": old, "to": new}],
        [{"op": "delete", "path": old, "recursive": True}],
        [{"op": "set", "path": old, "mode": f"07{two % 8}0"}],
        [{"op": "mkdir", "path": new}],
        [{"op": "move", "from": old, "to": other, "if_exists": "replace"}],
        [{"op": "move", "from": old, "to": f"{folders[two % len(folders)]}x/y/{NAMES[one % len(NAMES)]}"}],
    ]
    return made[kind % len(made)]


class GateMachine(RuleBasedStateMachine):
    """The rules of the stories."""

    stories: Counter[str] = Counter()  # what happened in all of them, for the table of guarantees

    def __init__(self) -> None:
        super().__init__()
        self.doors: Doors | None = None
        self.database: Any = None
        self.close_look = False

    @initialize(own=some.booleans(), required=some.sampled_from((1, 1, 2)))
    def open(self, own: bool, required: int) -> None:
        self.doors = Doors(own, required)

    def teardown(self) -> None:
        if self.doors is None:
            return
        try:
            if sys.exc_info()[0] is None:
                self._ends_well()
        finally:
            self.doors.close()

    def _ends_well(self) -> None:
        """Every run comes to an end, and nothing is left over from any."""
        self.doors.recover(back=False)
        self.same_tree()
        left = [found.title for found in self.doors.office.gate.fsck() if found.severity != "rebuilt"]
        assert left == [], left
        self.doors.office.sound()
        self.stories.update(self.doors.told)

    # -- plans

    def _plan(self, at: int) -> Plan:
        plans = self.doors.plans
        return plans[-1 - at % len(plans)]

    def _has_plans(self) -> bool:
        return self.doors is not None and bool(self.doors.plans)

    @rule(numbers=RECIPE, who=WHO, base=BASE, more=some.integers(0, 9))
    def submit(self, numbers: list, who: str, base: str, more: int) -> None:
        found = operations(numbers, self.doors, base, wrong=more == 7)
        self.doors.submit(who, found, base, skip=more in (5, 6), draft=more == 8)

    @rule(numbers=RECIPE, who=WHO, base=BASE, skip=some.booleans(), applied=some.booleans())
    def agree(self, numbers: list, who: str, base: str, skip: bool, applied: bool) -> None:
        """A plan that everybody who is asked approves, and perhaps carried out at once."""
        known = len(self.doors.plans)
        self.doors.submit(who, operations(numbers, self.doors, base, False), base, skip, draft=False)
        self._agreed(known, applied)

    def _agreed(self, known: int, applied: bool) -> None:
        if len(self.doors.plans) > known:
            self._approved(self.doors.plans[-1])
            if applied:
                self.doors.apply(self.doors.plans[-1], BOSS)
                self.close_look = True

    def _approved(self, plan: Plan) -> None:
        for reviewer in REVIEWERS:
            if plan.state == "pending":
                self.doors.decide(plan, reviewer, model.APPROVE)

    @precondition(_has_plans)
    @rule(at=NUMBER)
    def approve_all(self, at: int) -> None:
        self._approved(self._plan(at))

    @precondition(_has_plans)
    @rule(at=NUMBER)
    def submit_again(self, at: int) -> None:
        old = self._plan(at)
        if not old.undo_of:
            self.doors.submit(AGENT, old.operations, old.base, old.skip, draft=False)

    @precondition(_has_plans)
    @rule(at=NUMBER, numbers=RECIPE, who=ANYBODY, more=some.integers(0, 5))
    def revise(self, at: int, numbers: list, who: str, more: int) -> None:
        old = self._plan(at)
        found = old.operations if more == 5 else operations(numbers, self.doors, old.base, wrong=more == 3)
        self.doors.revise(old, who, found, late=more == 4)

    @precondition(_has_plans)
    @rule(at=NUMBER, who=ANYBODY)
    def refresh(self, at: int, who: str) -> None:
        self.doors.refresh(self._plan(at), who)

    @precondition(_has_plans)
    @rule(at=NUMBER, who=ANYBODY, what=some.sampled_from(("withdraw", "reduce", "reduce")))
    def cut(self, at: int, who: str, what: str) -> None:
        """Somebody takes a plan back, or leaves out what it does first."""
        (self.doors.withdraw if what == "withdraw" else self.doors.reduce)(self._plan(at), who)

    # -- decisions

    @precondition(_has_plans)
    @rule(at=NUMBER, who=some.sampled_from((AGENT, *REVIEWERS)), what=some.sampled_from(tuple(model.AFTER)))
    def decide(self, at: int, who: str, what: str) -> None:
        self.doors.decide(self._plan(at), who, what)

    @precondition(_has_plans)
    @rule(at=NUMBER, who=some.sampled_from(REVIEWERS), what=some.sampled_from(tuple(model.AFTER)), other=NUMBER)
    def decide_on_another(self, at: int, who: str, what: str, other: int) -> None:
        """The digest is that of another plan, or nobody's."""
        digest = self._plan(other).digest or "f" * 64
        self.doors.decide(self._plan(at), who, what, digest if digest != self._plan(at).digest else "e" * 64)

    @rule(hours=some.sampled_from((1, 30, 80)))
    def pass_hours(self, hours: int) -> None:
        self.doors.pass_time(hours * HOUR)

    # -- runs

    @precondition(_has_plans)
    @rule(at=NUMBER, who=ANYBODY)
    def apply(self, at: int, who: str) -> None:
        approved = [one for one in self.doors.plans if one.state == "approved"]
        plan = approved[-1 - at % len(approved)] if approved and at < 12 else self._plan(at)
        self.doors.apply(plan, who)
        self.close_look = True

    def _to_crash(self, at: int) -> Plan | None:
        fit = [
            one for one in self.doors.plans
            if one.state == "approved" and not self.doors.blocked(one.cases) and not self.doors.is_paused(one.cases)
            and not self.doors.lapsed(one)
        ]  # fmt: skip
        return fit[-1 - at % len(fit)] if fit else None

    @rule(at=NUMBER, kill=KILL, fail=some.integers(-6, 6), half=some.booleans())
    def crash(self, at: int, kill: int, fail: int, half: bool) -> None:
        """An apply dies at one of its system calls, perhaps on its way back from a rename that failed."""
        plan = self._to_crash(at)
        if plan is not None:
            self.doors.crash(plan, Fault(kill=kill, fail=max(fail, 0), renames=True, half=half), None)
            self.close_look = True

    @rule(at=NUMBER, rename=some.integers(1, 5))
    def crash_amid_the_steps(self, at: int, rename: int) -> None:
        plan = self._to_crash(at)
        if plan is not None:
            self.doors.crash(plan, Fault(), partial(die_at_rename, rename))

    @rule(at=NUMBER, border=some.integers(0, len(BORDERS) - 1))
    def crash_at_a_border(self, at: int, border: int) -> None:
        plan = self._to_crash(at)
        if plan is not None:
            self.doors.crash(plan, Fault(), partial(setattr, *BORDERS[border]))

    @precondition(lambda self: self.doors is not None and bool(self.doors.unfinished))
    @rule(back=some.booleans())
    def recover(self, back: bool) -> None:
        self.doors.recover(back)
        self.close_look = True

    @precondition(lambda self: self.doors is not None and bool(self.doors.unfinished))
    @rule(back=some.booleans(), kill=some.integers(1, 30), rename=some.integers(0, 3))
    def crash_of_a_recovery(self, back: bool, kill: int, rename: int) -> None:
        """It dies at a system call, or at a rename."""
        fault = Fault() if rename else Fault(kill=kill)
        self.doors.crash_recovery(back, fault, partial(die_at_rename, rename) if rename else None)

    @precondition(lambda self: self.doors is not None and bool(self.doors.runs))
    @rule(at=NUMBER, who=WHO, path=some.integers(-9, 9), agreed=some.integers(0, 2))
    def undo(self, at: int, who: str, path: int, agreed: int) -> None:
        known = list(self.doors.runs.values())
        run, plans = known[-1 - at % len(known)], len(self.doors.plans)
        did = sorted(model.touched(run.before, run.after).targets)
        self.doors.undo(run, who, did[path % len(did)] if path >= 0 and did else "")
        if agreed:
            self._agreed(plans, applied=agreed == 2)

    # -- outsiders

    def _free_paths(self) -> list[str]:
        busy = {case for one in self.doors.unfinished for case in one.plan.cases}
        return sorted(path for path in self.doors.tree if path not in CASES and path.partition("/")[0] not in busy)

    @rule(at=NUMBER, name=NUMBER, what=some.sampled_from(("edit", "save", "add", "remove", "rename", "rename")))
    def meddle(self, at: int, name: int, what: str) -> None:
        """Somebody changes something past the gate."""
        known, doors = self._free_paths(), self.doors
        if not known:
            return
        path = known[at % len(known)]
        is_dir = doors.tree[path].kind == "dir"
        new = f"{path if is_dir else path.rpartition('/')[0]}/{NAMES[name % len(NAMES)]}"
        if what == "edit" and not is_dir:
            doors.write(path, doors.content())
        elif what == "save" and not is_dir:
            doors.remove(path)
            doors.write(path, doors.content())
        elif what == "add" and new not in doors.tree:
            doors.write(new, doors.content())
        elif what == "remove":
            doors.remove(path)
        elif what == "rename" and new not in doors.tree and not model.related(new, path):
            doors.shift(path, new)

    def _targets(self, plan: Plan) -> list[str]:
        """Places that a run of a plan puts something at, in folders that are not moved by it."""
        doors, does = self.doors, model.touched(plan.seen, plan.after)
        seen = doors.on_disk(plan.cases)
        return sorted(
            path for path in does.targets
            if path not in seen and path not in doors.tree and path.rpartition("/")[0] in seen
            and (folder := doors.tree.get(path.rpartition("/")[0])) is not None
            and folder.id == plan.after[path.rpartition("/")[0]].id
        )  # fmt: skip

    @precondition(lambda self: self.doors is not None and bool(self.doors.unfinished))
    @rule(at=NUMBER)
    def meddle_with_an_unfinished_run(self, at: int) -> None:
        """Somebody puts a file where the run was to put something, or elsewhere in the case."""
        one = self.doors.unfinished[-1]
        targets = self._targets(one.plan)
        path = targets[at % len(targets)] if targets and at else f"{one.plan.cases[0]}/new {at}"
        if path not in self.doors.tree:
            one.doubtful |= path in targets
            self.doors.write(path, self.doors.content())

    @rule(at=NUMBER)
    def meddle_midway(self, at: int) -> None:
        """Somebody puts a file at a target, between the last look and the first rename."""
        plan = self._to_crash(at)
        targets = self._targets(plan) if plan is not None else []
        if targets and plan.is_fresh(self.doors.tree):
            self.doors.apply_while(plan, targets[at % len(targets)])
            self.close_look = True

    # -- the house

    @rule(what=some.sampled_from(("prune", "prune", "pause", "resume", "resume", "reopen", "keep")), at=NUMBER)
    def keep_house(self, what: str, at: int) -> None:
        """Somebody prunes the vault, pauses, resumes, comes back another day, or makes a backup of the database."""
        doors = self.doors
        if what == "prune":
            doors.pass_time((0, 0, 40, 91)[at % 4] * DAY)
            doors.prune()
            self.close_look = True
        elif what == "pause":
            doors.pause(("", *CASES)[at % 3], True)
        elif what == "resume":
            for scope in sorted(doors.paused):
                doors.pause(scope, False)
        elif what == "reopen":
            doors.reopen()
        elif not doors.unfinished:
            self.database = doors.keep_database()

    @precondition(lambda self: self.database is not None and not self.doors.unfinished)
    @rule()
    def put_back_database(self) -> None:
        """On an old database no door applies, submits or refreshes anything, once a run has begun since."""
        kept, (known, maybe) = self.database
        begun, doubtful = self.doors.begun
        if begun > known:
            self.doors.with_database(kept, self._is_refused)
            self.doors.told["an old database, refused"] += 1
        elif doubtful == maybe:
            self.doors.with_database(kept, self._is_let)
            self.doors.told["a database as good as new"] += 1

    def _is_refused(self, gate: Any) -> None:
        tree = self.doors.on_disk(CASES)
        for plan in gate.list_plans()[0]:
            allowed = (gate_house.TOO_OLD, *([8] if self.doors.paused else []))
            self.doors.attempt(lambda plan=plan: gate.apply(plan.id), *allowed)
            self.doors.attempt(lambda plan=plan: gate.refresh(plan.id), gate_house.TOO_OLD)
        new = {"op": "create", "path": "never.txt", "content": "never"}
        self.doors.attempt(lambda: gate.submit(self.doors.office.document(new)), gate_house.TOO_OLD)
        assert any("older" in found.title for found in gate.fsck(dry=True))
        assert self.doors.on_disk(CASES) == tree

    def _is_let(self, gate: Any) -> None:
        assert not any("older" in found.title for found in gate.fsck(dry=True))
        gate.core.check_age()

    # -- what always holds

    @invariant()
    def same_tree(self) -> None:
        """The tree is that of the model, but where a run is unfinished."""
        if self.doors is not None:
            busy = {case for one in self.doors.unfinished for case in one.plan.cases}
            calm = [case for case in CASES if case not in busy]
            assert self.doors.on_disk(calm) == model.picture(self.doors.tree, calm)

    @invariant()
    def nothing_is_lost(self) -> None:
        """Every content that nobody outside destroyed, and that was not let go, is in the tree or in the vault."""
        if self.doors is not None:
            places = [self.doors.office.root / "projects", self.doors.office.root / ".treegate"]
            found = {path.read_text() for top in places for path in top.rglob("*") if path.is_file()}
            assert self.doors.precious <= found, self.doors.precious - found

    @invariant()
    def same_plans(self) -> None:
        """Every plan stands where the model has it."""
        for one in self.doors.plans if self.doors is not None else ():
            stored = self.doors.office.gate.plan(one.id)
            expected = (one.state, one.revision, one.digest)
            found = (stored.state.value, stored.revision, stored.digest or "")
            assert found == expected, (found, one)

    @invariant()
    def each_run_was_approved(self) -> None:
        """No run is without approvals of its own, which were in force when it began."""
        store = self.doors.office.gate.core.store if self.doors is not None else None
        found = store.runs(limit=1000) if store is not None and self.close_look else []
        assert len({run.preview for run in found}) == len(found), "an approval was used twice"
        for run in found:
            used = {one.reviewer for one in store.decisions_on(run.preview) if one.consumed_by == run.id}
            assert len(used) >= self.doors.required
        self._look_closely()

    def _look_closely(self) -> None:
        """Store, journals, receipts and vaults tell one story."""
        if not self.close_look:
            return
        self.close_look = False
        office = self.doors.office
        assert not self.doors.unfinished or office.gate.fsck(dry=True)
        if not self.doors.unfinished:
            assert [found.title for found in office.gate.fsck(dry=False) if found.severity == "error"] == []
        assert office.gate.verify_audit().verified


ALWAYS = {"stories", "open", "teardown", "same_tree", "nothing_is_lost", "same_plans", "each_run_was_approved"}


def only(*names: str) -> type[GateMachine]:
    """The same stories without all other rules: what has to do with one thing comes about more often."""
    others = {name for name in vars(GateMachine) if not name.startswith("_")} - ALWAYS - set(names)
    return type("Narrow", (GateMachine,), dict.fromkeys(others))
