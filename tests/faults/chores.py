"""What an office does besides its own runs, to be cut short at any system call.

It prunes the vault, is handed a plan, takes one from the queue to its end, has a command run in a sandbox.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

import aftermath
from tests.gate.gatework import DAY, Office, delete
from tracing import Ended

from deeds import OPERATIONS, filled, small_batches
from treegate.gate import Gate
from treegate.gate.sandboxing.events import Finished
from treegate.model.actors import Actor, Role
from treegate.model.commands import OVER, State

WORKER = Actor(name="the worker", role=Role.OPERATOR, channel="queue", via="os")
NOTHING_DONE = {"refused", "invalid", "rolled-back", "stale"}  # states with which the tree is before
SCRIPT = "mv in/a.txt b.txt; echo more >> notes.md; mkdir new; cp h1 new/d.txt; rm -r tmp"
SMALL = {
    "sandbox_engine": "bwrap",
    "sandbox_limits_written": "32 MiB",
    "sandbox_limits_time": "30s",
    "lock_wait": "2s",
}
PATIENCE = 30  # seconds until a runner must have cleared away after itself


def known(office: Office) -> None:
    """Has it found out what the mount can do, which is remembered: that is no part of a deed."""
    office.gate.check(office.document(*OPERATIONS))


class Pruning:
    """Of two runs' vaults, what the older one keeps is due, and goes."""

    method: ClassVar = "a prune of the vault"
    follow: ClassVar = True

    def __init__(self, at: Path) -> None:
        self.office = filled(at)
        old = self.office.carried_out(delete("gone.txt"), delete("tmp", recursive=True)).run
        self.office.clock.now += DAY
        self.office.carried_out(delete("in", recursive=True))
        self.office.clock.now = max(one.until for one in self.office.gate.list_vault(old))
        self.before, self.all = self.office.tree(), self.kept()
        self.due = {(one.run, one.entry) for one in self.office.gate.list_vault() if one.due}
        self.office.close()

    def kept(self) -> set[tuple[str, int]]:
        """What the store says that the vault keeps."""
        return {(one.run, one.entry) for one in self.office.gate.list_vault()}

    def there(self) -> set[tuple[str, int]]:
        """What is in the vault."""
        paths = self.office.root.glob(".treegate/vault/*/entries/*")
        return {(path.parts[-3], int(path.name)) for path in paths}

    def act(self) -> str:
        return f"{len(self.office.reopen().prune().entries)} gone"

    def check(self, ended: Ended, after: aftermath.Tree | None) -> str:
        """Only what was due is gone; what the store says is kept is there; what is left goes with the next prune."""
        assert not ended.how.startswith("crashed"), f"{ended.how}: {ended.text}"
        aftermath.recover(self.office)
        kept = self.kept()
        assert self.all - self.due <= kept <= self.there(), "what is kept is not there"
        self.office.gate.prune()
        assert self.kept() == self.there() == self.all - self.due
        aftermath.same(self.office.tree(), self.before, "the tree is not touched")
        self.office.sound()
        self.office.close()
        return f"{ended.how} -> {len(self.all - kept)} gone"


class Submitting:
    """A plan handed in by whoever waits for the answer."""

    method: ClassVar = "who submits a plan"
    follow: ClassVar = True

    def __init__(self, at: Path) -> None:
        self.office = filled(at)
        known(self.office)
        self.office.close()

    def act(self) -> str:
        self.office.reopen()
        return str(self.office.submit(*OPERATIONS).state)

    def check(self, ended: Ended, after: aftermath.Tree | None) -> str:
        """Who was told of an error finds no plan, and can ask again; who was told of a plan finds it."""
        assert not ended.how.startswith("crashed"), f"{ended.how}: {ended.text}"
        plans = [plan.state.value for plan in self.office.reopen().list_plans()[0]]
        told = [] if ended.kinds else ["pending"]
        assert plans == told or (ended.how == "killed" and plans == []), (ended, plans)
        self.office.sound()
        self.office.close()
        return f"{ended.how} -> {len(plans)}"


class Queueing:
    """A dropped plan on its way through the queue: taken, approved in its status file, carried out, shelved."""

    method: ClassVar = "a worker's day with a plan from the queue"
    follow: ClassVar = True

    def __init__(self, at: Path) -> None:
        small_batches()
        self.office = filled(at, solo=False)
        self.office.configure(queue_trust_status="true")
        self.folder = self.worker(self.office.gate).make_queue()
        known(self.office)
        self.before, self.contents = self.office.tree(), aftermath.contents(self.office)
        (self.folder / "plan.json").write_text(self.office.document(*OPERATIONS))
        self.office.close()

    def worker(self, gate: Gate) -> Gate:
        """A gate as a worker has it."""
        return gate.acting_as(WORKER)

    def act(self) -> str:
        gate = self.worker(self.office.reopen())
        gate.put_off_reports()
        self.look(gate)
        self.approve()
        self.look(gate)
        return "at its end"

    def look(self, gate: Gate) -> None:
        """What a worker does again and again."""
        gate.recover()
        gate.take_up()
        for id in gate.claims():
            gate.take_claim(id)
        gate.take_drops(gate.drops())
        for id in gate.stamps():
            gate.heed(id)
        while due := gate.due():
            gate.carry_on(due[0].run, 10, 20)
        gate.write_up(list(gate.stamps()))

    def approve(self) -> None:
        """What a person does: the status file is edited, and put in place of the old one."""
        for path in self.folder.glob("pending/pl_*/status"):
            lines = path.read_text().splitlines()
            if lines[0] == "pending":
                lines[0], lines[2] = "approved", "by: rita"
                aside = path.with_name(".status.edited")
                aside.write_text("\n".join(lines) + "\n")
                aside.rename(path)

    def check(self, ended: Ended, after: aftermath.Tree | None) -> str:
        """A worker that is started anew brings the drop to its end, once; what failed is told, and can be asked for
        again."""
        assert not ended.how.startswith("crashed"), f"{ended.how}: {ended.text}"
        office, back = self.office, aftermath.turned_back(self.office)
        aftermath.recover(office)
        self.act()
        aftermath.stay_back(office, back)
        state = self.state()
        assert ended.how != "killed" or state in ("applied", "rolled-back"), f"a kill made it {state}"
        if state == "approved":
            self.failed_alone()
        wanted = self.before if state in NOTHING_DONE else after
        aftermath.same(office.tree(), office.tree() if wanted is None else wanted, state)
        assert self.contents <= aftermath.contents(office), "bytes were lost"
        assert [office.gate.drops(), office.gate.claims()] == [[], []]
        office.sound()
        office.close()
        return f"{ended.how} -> {state}"

    def state(self) -> str:
        """What became of the drop, which is on the shelf where that is found, and nowhere else."""
        plans, gate = self.office.gate.list_plans()[0], self.office.gate
        state = plans[0].state.value if plans else "refused"
        (found,) = self.folder.glob("*/pl_*" if plans else "failed/*.json")
        shelf = "done" if state == "applied" else "pending" if state == "approved" else "failed"
        assert found.parent.name == shelf, f"{state}, in {found.parent.name}"
        assert len(gate.list_runs()) <= 1
        assert gate.list_runs() or state != "applied"
        return state

    def failed_alone(self) -> None:
        """A run that could not begin leaves the approval standing: it was told, and who asks again has it done."""
        gate = self.worker(self.office.gate)
        (plan,) = gate.list_plans()[0]
        assert gate.failure(plan) is not None
        assert gate.apply(plan.id).state == "applied"
        self.look(gate)
        assert self.state() == "applied"


class Sandboxing:
    """A command run in a sandbox: what it did becomes a plan. Killed is who asked for it, not its runner."""

    method: ClassVar = "who has a command run in a sandbox"
    follow: ClassVar = False

    def __init__(self, at: Path) -> None:
        self.office = filled(at)
        self.office.configure(**SMALL)
        known(self.office)
        self.before = self.office.tree()
        self.office.close()

    def act(self) -> str:
        *_, last = self.office.reopen().run("Smith", ("sh", "-c", SCRIPT))
        assert isinstance(last.what, Finished)
        return last.what.state

    def check(self, ended: Ended, after: aftermath.Tree | None) -> str:
        """The case is untouched, nothing is left of the sandbox, and the command has one plan or none."""
        assert not ended.how.startswith("crashed"), f"{ended.how}: {ended.text}"
        aftermath.recover(self.office)
        aftermath.same(self.office.tree(), self.before, "the case is not touched")
        self._ends()
        found = self.office.gate.sandboxes()
        plans = self.office.gate.list_plans()[0]
        assert len(plans) == len([one for one in found if one.plan]) <= len(found) <= 1
        assert all(one.state in {*OVER, State.APPROVED} for one in found), found
        self.office.sound()
        for plan in plans:
            self.office.gate.approve(plan.id, plan.digest)
            assert self.office.gate.apply(plan.id).state == "applied"
            assert self.office.path("Smith/b.txt").read_text() == "in/a.txt\n"
            self.office.undone()
            aftermath.same(self.office.tree(), self.before, "undone")
        self.office.close()
        return f"{ended.how} -> {found[0].state.value if found else 'not begun'}"

    def _ends(self) -> None:
        """The runner goes when nobody listens any more, and takes its scratch and mounts along."""
        until = time.monotonic() + PATIENCE
        while left := self._left():
            assert time.monotonic() < until, left
            self.office.gate.sweep_sandboxes()
            time.sleep(0.02)

    def _left(self) -> list[str]:
        state = str(self.office.state)
        mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if state in line]
        return mounts + [str(path) for path in self.office.state.glob("sandboxes/*/scratch")]
