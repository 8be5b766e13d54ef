"""The one application object: what every door does, it does through a `Gate`.

The rules are in the modules beside this one; `Gate` gives them one face.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from treegate.engine import tokens
from treegate.engine.audit import AuditRow
from treegate.engine.checkpoints import Checkpoint
from treegate.engine.jobs import Job
from treegate.engine.pauses import Pause
from treegate.engine.probe import Finding
from treegate.engine.store.records import Run, StoredPlan
from treegate.engine.tokens import Token
from treegate.gate import (
    agentuser,
    auditing,
    chronicle,
    comparing,
    ending,
    fsck,
    health,
    jobs,
    keeping,
    logins,
    looking,
    opening,
    pausing,
    plans,
    policies,
    proof,
    recovery,
    reducing,
    repairing,
    revising,
    runs,
    undoing,
    waiting,
    writing,
)
from treegate.gate.auditing import Audited
from treegate.gate.chronicle import History
from treegate.gate.comparing import Comparison
from treegate.gate.core import Core
from treegate.gate.ending import Applied
from treegate.gate.jobs import Progress
from treegate.gate.keeping import Held, Pruned
from treegate.gate.looking import TextDifference
from treegate.gate.plans import Shown, Submitted
from treegate.gate.reducing import Reduced
from treegate.gate.repairing import Repaired
from treegate.gate.undoing import Undo
from treegate.gate.waiting import Status, Until
from treegate.gate.writing import Pair
from treegate.model.actors import Action, Actor, Role
from treegate.model.draft import Change
from treegate.model.effects import Effect
from treegate.model.explaining import Explained
from treegate.model.lifecycle import State
from treegate.model.plan import Plan
from treegate.model.preview import Preview
from treegate.model.worksheet import Edited, Row

__all__ = ["Applied", "Gate", "Shown", "Submitted", "Undo"]


class Gate:
    """An open workspace, as one actor. Times are in milliseconds since 1970, UTC; errors are of treegate.errors."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @classmethod
    def init(
        cls,
        root: Path | str,
        *,
        single: bool = False,
        solo: bool = False,
        agent_user: str = "",
        environ: Mapping[str, str] = os.environ,
    ) -> Gate:
        """Makes a folder a workspace; touches no file in it."""
        return cls(opening.init(Path(root), environ, single=single, solo=solo, agent_user=agent_user))

    @classmethod
    def open(cls, root: Path | str, environ: Mapping[str, str] = os.environ) -> Gate:
        """Opens a workspace, as whoever TREEGATE_TOKEN names or as the OS user."""
        return cls(opening.open_workspace(Path(root), environ))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the database."""
        self._core.store.close()

    @property
    def root(self) -> Path:
        """The workspace's folder."""
        return self._core.workspace.root

    @property
    def state(self) -> Path:
        """The state directory."""
        return self._core.state

    @property
    def actor(self) -> Actor:
        """Who acts through this gate."""
        return self._core.actor

    def acting_as(self, actor: Actor) -> Gate:
        """The same open workspace, as somebody else."""
        return Gate(self._core.acting_as(actor))

    @property
    def core(self) -> Core:
        """What the gate's own modules work on."""
        return self._core

    def watch(self, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> None:
        """Says who is told of a run's progress (steps made, steps there are), and who may ask it to stop."""
        self._core.progress, self._core.cancelled = progress, cancelled

    # Plans

    def check(self, plan: Plan | bytes | str) -> Preview:
        """The preview of a plan, stored nowhere."""
        return plans.check(self._core, as_plan(plan))

    def repair(self, document: bytes) -> Repaired:
        """A plan with all suggestions taken, and those that its mended form calls for; stored nowhere."""
        return repairing.repair(document, self.check)

    def worksheet(self, case: str) -> list[Row]:
        """The tree of a case as rows for a sheet, which people edit."""
        return writing.rows(self._core, case)

    def read_sheet(self, case: str, text: str, before: str) -> Edited:
        """What an edited sheet means, held against the one before."""
        return writing.read_sheet(self._core, case, text, before)

    def write_changes(self, case: str, changes: Iterable[Change], title: str = "", reason: str = "") -> bytes:
        """The document of a plan that makes changes in a case."""
        return writing.of_changes(self._core, case, changes, title, reason)

    def write_moves(self, case: str, pairs: Sequence[Pair], title: str = "", reason: str = "") -> bytes:
        """The document of a plan that moves things in a case."""
        return writing.of_pairs(self._core, case, pairs, title, reason)

    def submit(self, plan: Plan | bytes | str, *, draft: bool = False) -> Submitted:
        """Stores a plan and its preview; a draft is previewed later, by `refresh`."""
        return plans.submit(self._core, as_plan(plan), draft=draft)

    def revise(self, id: str, plan: Plan | bytes | str, expected: int | None = None) -> Submitted:
        """Stores a new revision of a plan, if `expected` (where given) is the one before it."""
        return revising.revise(self._core, id, as_plan(plan), expected)

    def refresh(self, plan: str) -> Submitted:
        """Previews a stored plan on the tree as it is now."""
        return revising.refresh(self._core, plan)

    def withdraw(self, plan: str, comment: str = "") -> StoredPlan:
        """Takes a plan back before a run began on it."""
        return revising.withdraw(self._core, plan, comment)

    def reduction(self, plan: str, leave_out: Iterable[str], digest: str = "") -> Reduced:
        """What leaving effects or patterns out would come to: what falls with them, what remains."""
        return reducing.look(self._core, plan, leave_out, digest)

    def reduce(self, plan: str, leave_out: Iterable[str], digest: str = "") -> Submitted:
        """Stores a new revision of a plan without some effects or patterns."""
        return reducing.reduce(self._core, plan, leave_out, digest)

    def show(self, plan: str) -> Shown:
        """A stored plan (by id or unique prefix) with its preview and where it stands."""
        return plans.show(self._core, plan)

    def plan(self, plan: str) -> StoredPlan:
        """Where a stored plan stands."""
        found = plans.settled(self._core, self._core.store.find_plan(plan))
        self._core.actor.require(Action.READ, found.cases)
        return found

    def waiting_for(self, plan: str) -> str:
        """Whose turn it is, in words."""
        return plans.waiting_for(self._core, self.plan(plan))

    def document(self, plan: str) -> Plan:
        """The document of a stored plan, newest revision."""
        stored = self._core.store.find_plan(plan)
        self._core.actor.require(Action.READ, stored.cases)
        return Plan.decode(self._core.store.document(stored.id, stored.revision))

    def effects(self, plan: str, start: int = 0, count: int | None = None) -> Iterator[Effect]:
        """The full list of effects, in display order, from a position on."""
        return plans.effects_of(self._core, self.show(plan).plan, start, count)

    def list_plans(
        self, states: Iterable[State] = (), case: str | None = None, limit: int = 50, cursor: int | None = None
    ) -> tuple[list[StoredPlan], int | None]:
        """Plans, newest first, and the cursor of the next page."""
        found, after = self._core.store.list_plans(states, case, limit, cursor)
        return [plan for plan in found if self._core.actor.sees(plan.cases)], after

    def diff(self, plan: str, revision: int | None = None, to: int | None = None) -> Comparison:
        """How a revision differs from the newest (or from `to`); without one, what was approved from now."""
        if revision is None:
            return comparing.since_approved(self._core, plan)
        return comparing.revisions(self._core, plan, revision, to)

    def since_approved(self, plan: str) -> Comparison | None:
        """How the newest preview differs from the one that was approved; None where none was, or it is the same."""
        return comparing.stored_since_approved(self._core, plan)

    def text_difference(self, plan: str, effect: str) -> TextDifference:
        """What an effect does to the content of its file."""
        return looking.text_difference(self._core, plan, effect)

    def status(self, case: str | None = None) -> Status:
        """What waits for whom, what is paused, which runs are unfinished."""
        return waiting.status(self._core, case)

    def wait(self, plan: str, until: Until, timeout: float | None = None) -> StoredPlan:
        """Waits until a plan is decided or applied, for `timeout` seconds at most."""
        return waiting.wait(self._core, plan, until, timeout, self._core.cancelled)

    def approve(self, plan: str, digest: str, comment: str = "") -> StoredPlan:
        """Approves exactly what a digest names."""
        return plans.approve(self._core, plan, digest, comment)

    def reject(self, plan: str, digest: str, comment: str) -> StoredPlan:
        """Turns down what a digest names."""
        return plans.reject(self._core, plan, digest, comment)

    def request_changes(self, plan: str, digest: str, comment: str) -> StoredPlan:
        """Sends what a digest names back to its author."""
        return plans.request_changes(self._core, plan, digest, comment)

    def revoke(self, plan: str, digest: str, comment: str = "") -> StoredPlan:
        """Takes one's own approval of a digest back."""
        return plans.revoke(self._core, plan, digest, comment)

    def explain(self, plan: str) -> Explained:
        """What policy says of a stored plan: each rule, each limit, who approved and who still may."""
        return policies.explain(self._core, plan)

    def explain_document(self, plan: Plan | bytes | str) -> Explained:
        """What policy would say of a plan that is not handed in."""
        return policies.explain_document(self._core, as_plan(plan))

    def applies_on_approval(self) -> bool:
        """Whether the last approval starts the run at once."""
        return self._core.config.policy.apply.on_approval

    # Runs

    def apply(self, plan: str, *, verify: bool = False) -> Applied:
        """Carries out what was approved; `verify` hashes every touched content before and after."""
        if verify:
            return proof.apply_verified(self._core, plan)
        return runs.apply(self._core, plan)

    def ask(self, plan: str) -> Job:
        """Asks for the run of an approved plan, for whoever runs the jobs; the same one if asked again."""
        return jobs.ask(self._core, plan)

    def approve_and_ask(self, plan: str, digest: str, comment: str = "") -> StoredPlan:
        """Approves; the run is asked for with the last approval, where policy applies on approval."""
        return jobs.approve(self._core, plan, digest, comment)

    def due(self) -> list[Job]:
        """The jobs that may begin now."""
        return jobs.due(self._core)

    def carry_out(self, run: str) -> Applied:
        """Does one job, on behalf of whoever asked for it."""
        return jobs.carry_out(self._core, run)

    def take_up(self) -> None:
        """Sorts the jobs that a crash left under way."""
        jobs.take_up(self._core)

    def progress(self, run: str) -> Progress:
        """How far a run is, whatever door it began at."""
        return jobs.progress(self._core, run)

    def recover(self, run: str = "", *, back: bool = False) -> list[Applied]:
        """Brings unfinished runs to an end."""
        return recovery.recover_all(self._core, run, True if back else None)

    def undo(self, run: str = "", paths: Iterable[str] = ()) -> Undo:
        """Submits the plan that takes a run back, or what it did at some paths."""
        return undoing.undo(self._core, run, paths)

    def list_runs(self, case: str | None = None, limit: int = 50) -> list[Run]:
        """Runs, newest first: those all of whose cases the actor may see."""
        return [run for run in self._core.store.runs(case=case, limit=limit) if self._core.actor.sees(run.cases)]

    def run(self, prefix: str) -> Applied:
        """What is to be said of a run."""
        return ending.answer(self._core, self._core.store.find_run(prefix))

    # The vault

    def list_vault(self, run: str = "", case: str | None = None) -> list[Held]:
        """What the vault keeps, and when each entry goes."""
        return keeping.listing(self._core, run, case)

    def restore(self, run: str, entries: Iterable[int] = (), to: str = "") -> Submitted:
        """Submits a plan that puts kept entries back."""
        return keeping.restore(self._core, run, entries, to)

    def prune(self, *, dry: bool = False, trust_clock: bool = False) -> Pruned:
        """Lets go what retention no longer keeps, and what nothing needs any more."""
        return keeping.prune(self._core, dry=dry, trust_clock=trust_clock)

    # Health and people

    def pause(self, case: str | None = None, comment: str = "") -> list[Pause]:
        """Keeps runs from beginning on a case, or anywhere; what is paused then."""
        return pausing.pause(self._core, case, comment)

    def resume(self, case: str | None = None) -> list[Pause]:
        """Lifts the pause of a case, or that of the whole workspace; what is still paused."""
        return pausing.resume(self._core, case)

    def doctor(self, *, deep: bool = False) -> list[Finding]:
        """What may go wrong here, with advice; `deep` looks at every entry that the agent's user may change."""
        return health.doctor(self._core, deep=deep)

    def agent_openings(self) -> list[Finding]:
        """What the agent's OS user could do without a plan."""
        return agentuser.findings(self._core)

    def fsck(self, *, dry: bool = False) -> list[Finding]:
        """Whether store, journals, vaults and tree tell one story; makes reports anew that do not, unless `dry`."""
        return fsck.fsck(self._core, dry=dry)

    def log(self, case: str = "", limit: int = 50) -> list[AuditRow]:
        """The newest events, newest first."""
        return chronicle.events(self._core, case, limit)

    def events_of(self, plan: str, after: int = 0) -> list[AuditRow]:
        """What is logged of a plan after a row, oldest first."""
        return chronicle.events_of(self._core, plan, after)

    def history(self, path: str, case: str = "") -> list[History]:
        """The whole lives of the files that were ever at a path."""
        return chronicle.history(self._core, path, case)

    def audit_head(self) -> int:
        """The number of the newest row of the audit log."""
        return auditing.head(self._core)

    def checkpoint(self) -> Checkpoint:
        """Signs the head of the audit log."""
        return auditing.checkpoint(self._core)

    def verify_audit(self, files: Iterable[Path] = ()) -> Audited:
        """Whether the audit log holds: in itself, and against its checkpoints, stored ones and those given."""
        return auditing.verify(self._core, files)

    def export_audit(self, after: int = 0) -> Iterator[bytes]:
        """The audit log from a row on, each row as a line of JSON without its end."""
        return auditing.export(self._core, after)

    def rekey(self) -> str:
        """Makes a new signing key where the old one is lost; its public half."""
        return auditing.rekey(self._core)

    def log_in(self, token: str) -> str:
        """Logs in to the pages whoever shows a token; the session's secret."""
        return logins.by_token(self._core, token)

    def log_in_once(self, text: str) -> str:
        """Logs in by an address that does it once; the session's secret."""
        return logins.once(self._core, text)

    def invite(self) -> str:
        """The secret of an address that logs the actor in, once."""
        return logins.invite(self._core)

    def create_token(
        self, name: str, role: Role, cases: Iterable[str] | None = None, expires_at: int | None = None
    ) -> tuple[Token, str]:
        """A new token, and its text, which is never shown again."""
        self._core.actor.require(Action.TOKENS)
        with self._core.store.write() as transaction:
            return tokens.create(transaction, name, role, by=self._core.by(), cases=cases, expires_at=expires_at)

    def list_tokens(self) -> list[Token]:
        """All tokens, without their texts."""
        self._core.actor.require(Action.TOKENS)
        return tokens.tokens(self._core.store)

    def revoke_token(self, id_or_name: str) -> Token:
        """Makes a token invalid from now on."""
        self._core.actor.require(Action.TOKENS)
        with self._core.store.write() as transaction:
            return tokens.revoke(transaction, id_or_name, self._core.by())


def as_plan(plan: Plan | bytes | str) -> Plan:
    """A plan from whatever form it was given in."""
    if isinstance(plan, Plan):
        return plan
    return plans.decode(plan.encode("utf-8", "surrogatepass") if isinstance(plan, str) else plan)
