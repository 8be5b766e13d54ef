"""Writing runs: an approval is used up as its run begins, and the vault's rows come in as it ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from treegate.engine import schema
from treegate.engine.audit import Json
from treegate.engine.store.plans import PlanWrites
from treegate.engine.store.records import By, Kept, Run, StoredPlan, VaultState, Verdict, standing
from treegate.engine.store.writer import names
from treegate.errors import NotFound, Stale
from treegate.model.daily import Share
from treegate.model.lifecycle import Event, State, next_state, refusal

_OUTCOMES = {
    State.APPLIED: Event.FINISH,
    State.ROLLED_BACK: Event.ROLL_BACK,
    State.NEEDS_RECOVERY: Event.HALT,
    State.STALE: Event.GO_STALE,  # found in the pre-pass: nothing was done
}


class RunWrites(PlanWrites):
    """The writes of a run, and of what it leaves."""

    def begin_run(
        self, plan_id: str, *, digest: str, run_id: str, by: By, table_digest: str = ""
    ) -> tuple[Run, bool]:
        """Use up the approvals and begin the run, or give the run that they began before; True if it is new.

        `table_digest` names the step table where it is not the preview's own, for entries are left alone as stale.

        Raises Stale "digest-not-current", Expired "approval-expired" at or after the plan's `expires_at`, Rejected
        "already-rejected" for what was turned down in another plan, Denied "already-undone" for an undo of what is
        undone by now, or the refusal of the plan's state.
        """
        plan = self.plan(plan_id)
        if (earlier := self._run_of_digest(plan, digest)) is not None:
            return earlier, False
        if digest != plan.digest or plan.preview is None:
            raise self._unbegun(plan, digest)
        if plan.state is State.APPROVED and plan.expires_at is not None and plan.expires_at <= by.at:
            raise refusal(State.EXPIRED, Event.APPLY, plan_id)
        if plan.state is State.APPROVED:
            self.refuse_rejected(digest)
            self._refuse_undone(plan)
        self.change(plan, Event.APPLY, by)
        self._add_run(plan, plan.preview, digest, run_id, by, table_digest)
        self._consume(plan.preview, run_id)
        run = self.run(run_id)
        data: dict[str, Json] = {
            "digest": digest,
            "table_digest": run.table_digest,
            "generation": run.generation,
            "cases": names(run.cases),
        }
        self.log("run-began", by, plan=plan_id, run=run_id, data=data)
        return run, True

    def give_back(self, run_id: str, by: By) -> StoredPlan:
        """Forget a run that has no journal, so that nothing happened: its approvals are as they were before."""
        run = self.run(run_id)
        self.change(self.plan(run.plan), Event.GIVE_BACK, by)
        table = schema.decisions
        self.execute(table.update().where(table.c.consumed_by == run_id).values(consumed_by=None))
        self.execute(schema.run_cases.delete().where(schema.run_cases.c.run == run_id))
        self.execute(schema.runs.delete().where(schema.runs.c.id == run_id))
        self.log("run-given-back", by, plan=run.plan, run=run_id, data={"generation": run.generation})
        return self.plan(run.plan)

    def end_run(
        self,
        run_id: str,
        outcome: State,
        *,
        by: By,
        receipt_digest: str | None = None,
        vault: Iterable[Kept] = (),
        taken: Iterable[Share] = (),
        undone: Collection[str] = (),
        whole: bool = False,
    ) -> Run:
        """Record how a run ended: applied, rolled-back, needs-recovery, or stale (its pre-pass found so).

        `vault` is what it put there, `taken` what counts for its author's day. If its plan undoes another run,
        `undone` are the ids of that run's effects that are taken back by it, and `whole` says that those are all.
        Ending again in the same way changes nothing.
        """
        run = self.run(run_id)
        if run.state is outcome:
            return run
        event = _OUTCOMES[outcome]
        self.change(self.plan(run.plan), event, by)
        values = {"state": outcome.value, "ended_at": by.at, "receipt_digest": receipt_digest}
        self.update(schema.runs, {"id": run_id}, values)
        self.delete(schema.vault, run=run_id)  # what a halt noted before
        self.insert_many(schema.vault, (msgspec.structs.asdict(kept) for kept in vault))
        self._tally(run, taken, by)
        data: dict[str, Json] = {"outcome": outcome.value, "receipt": receipt_digest}
        self.log("run-ended", by, plan=run.plan, run=run_id, data=data)
        if outcome is State.APPLIED and run.undo_of is not None:
            self._take_back(self.run(run.undo_of), run, undone, whole, by)
        return self.run(run_id)

    def _tally(self, run: Run, taken: Iterable[Share], by: By) -> None:
        """Note for the limits of a day what a run took away; it counts for whoever wrote what was applied."""
        author = self.revisions(run.plan)[run.revision - 1].author
        columns = {"run": run.id, "author": author, "at": by.at}
        self.insert_many(schema.tallies, ({**columns, **msgspec.structs.asdict(share)} for share in taken))

    def mark_vault(
        self, run_id: str, entries: Collection[int], state: VaultState, by: By, by_run: str | None = None
    ) -> None:
        """Record what became of vault entries, before it is done where they are pruned; raises NotFound."""
        for entry in sorted(entries):
            which, values = {"run": run_id, "entry": entry}, {"state": state.value, "by_run": by_run}
            if not self.update(schema.vault, which, values):
                raise NotFound(
                    f"the vault of run {run_id} has no entry {entry}",
                    code="vault-entry-not-found",
                    next="treegate vault list",
                )
        data: dict[str, Json] = {"entries": sorted(entries), "by_run": by_run}
        self.log(f"vault-{state.value}", by, run=run_id, data=data)

    def note_cleared(self, runs: Collection[str], files: int, size: int, by: By) -> None:
        """Record, before it is done, that what nothing needs is cleared: vault folders by run, files of the state."""
        self.log("cleared", by, data={"runs": sorted(runs), "files": files, "size": size})

    def take_back_outside(self, run_id: str, by: By) -> None:
        """Note that all of a run was taken back by its `rollback.sh`, without treegate."""
        run = self.run(run_id)
        self._restate(run, Event.UNDO, by)
        self.log("undone", by, plan=run.plan, run=run.id, data={"by_run": None, "whole": True, "effects": 0})
        table = schema.vault
        back = table.update().where(table.c.by_run == run_id)  # what it had taken out of vaults is in them again
        self.execute(back.values(state=VaultState.KEPT.value))
        if run.undo_of is not None:
            self._bring_back(self.run(run.undo_of), run, by)

    def take_back_part_outside(self, run_id: str, gone: Collection[str], again: Collection[str], by: By) -> None:
        """Note that some effects of a run were taken back by its `rollback.sh`, on one of several filesystems.

        `again` are the effects, of the run that this one had undone, that hold again if they did not.
        """
        run = self.run(run_id)
        self._take_back(run, run, gone, False, by)
        if run.undo_of is not None:
            origin, table = self.run(run.undo_of), schema.undone
            for effect in again:
                which = (table.c.run == origin.id) & (table.c.by_run == run.id) & (table.c.effect == effect)
                self.execute(table.delete().where(which))
            self._redone(origin, run, by)

    def _take_back(self, target: Run, run: Run, undone: Collection[str], whole: bool, by: By) -> None:
        """Note at the run that was undone what is gone of it; undoing an undo brings its own target back."""
        effects = set(undone)
        self._forget_undone(target, effects)
        self.insert_tuples(schema.undone, [(target.id, effect, run.id) for effect in sorted(effects)])
        data: dict[str, Json] = {"by_run": run.id, "whole": whole, "effects": len(effects)}
        self.log("undone", by, plan=target.plan, run=target.id, data=data)
        if not whole:
            return
        self._restate(target, Event.UNDO, by)
        if target.undo_of is not None:
            self._bring_back(self.run(target.undo_of), target, by)

    def _bring_back(self, origin: Run, undo: Run, by: By) -> None:
        table = schema.undone
        self.execute(table.delete().where((table.c.run == origin.id) & (table.c.by_run == undo.id)))
        self._redone(origin, undo, by)

    def _redone(self, origin: Run, undo: Run, by: By) -> None:
        if origin.state is State.UNDONE:
            self._restate(origin, Event.REDO, by)
        self.log("redone", by, plan=origin.plan, run=origin.id, data={"undo": undo.id})

    def _forget_undone(self, target: Run, effects: set[str]) -> None:
        """An effect undone, redone and undone again is listed once, under the run that did it last."""
        table = schema.undone
        for effect in effects & set(self.undone_effects(target.id)):
            self.execute(table.delete().where((table.c.run == target.id) & (table.c.effect == effect)))

    def _restate(self, run: Run, event: Event, by: By) -> None:
        """Run and plan change state together."""
        state = next_state(run.state, event, run.plan)
        self.execute(schema.runs.update().where(schema.runs.c.id == run.id).values(state=state.value))
        self.change(self.plan(run.plan), event, by)

    def _run_of_digest(self, plan: StoredPlan, digest: str) -> Run | None:
        """The run that this approval of the digest began; an older preview's, only once the digest has moved on."""
        if plan.preview is not None and plan.digest == digest:
            return self.run_of(plan.preview)
        earlier = [run for run in self.runs(plan=plan.id) if run.digest == digest]
        return earlier[0] if earlier else None

    def _refuse_undone(self, plan: StoredPlan) -> None:
        """Raises the refusal of a plan that takes a run back which is not there to be taken back any more."""
        if plan.undo_of is not None:
            target = self.run(plan.undo_of)
            next_state(target.state, Event.UNDO, target.plan)

    def _unbegun(self, plan: StoredPlan, digest: str) -> Exception:
        if plan.preview is None:
            return refusal(plan.state, Event.APPLY, plan.id)
        return Stale(
            f"{digest[:12]} is not the current digest of plan {plan.id}",
            code="digest-not-current",
            hint="look at the plan as it is now, and have that approved",
            next=f"treegate show {plan.id}",
        )

    def _add_run(self, plan: StoredPlan, preview: int, digest: str, run_id: str, by: By, table_digest: str) -> None:
        sealed = self.preview(plan.id)
        if sealed is None or sealed.seq != preview:
            raise schema.damaged(f"the preview of plan {plan.id} is missing")
        values: dict[str, Any] = {
            "id": run_id,
            "plan": plan.id,
            "revision": plan.revision,
            "preview": preview,
            "digest": digest,
            "table_digest": table_digest or sealed.table_digest,
            "cases": plan.cases,
            "state": State.APPLYING.value,
            "actor": by.actor,
            "started_at": by.at,
            "undo_of": plan.undo_of,
            "generation": self._next_generation(),
        }
        self.insert(schema.runs, values)
        self.insert_many(schema.run_cases, ({"run": run_id, "case": case} for case in plan.cases))

    def _consume(self, preview: int, run_id: str) -> None:
        for said in standing(self.decisions_on(preview)):
            if said.verdict is Verdict.APPROVE:
                self.update(schema.decisions, {"seq": said.seq}, {"consumed_by": run_id})

    def _next_generation(self) -> int:
        generation = self.meta().generation + 1
        self.update(schema.meta, {"key": "generation"}, {"value": str(generation)})
        return generation
