"""Plans: checked, submitted, shown, decided."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec

from treegate.engine import tablefile
from treegate.engine.durable import before_any_run
from treegate.engine.store import Reader, Transaction
from treegate.engine.store.records import Run, StoredPlan, StoredPreview
from treegate.engine.unhurried import unhurried_gc
from treegate.engine.workspace import sync_names
from treegate.errors import NeedsRecovery, NotFound, PlanError, Stale, TreegateError
from treegate.gate import approving, openplans, reach
from treegate.gate.core import Core
from treegate.gate.daily import day_of
from treegate.gate.spool import Spool, spooled
from treegate.model.actors import Action
from treegate.model.acts import simulate
from treegate.model.daily import Day
from treegate.model.effects import Effect
from treegate.model.lifecycle import UNFINISHED, Event, State, WrongState, refusal
from treegate.model.operations import Restore
from treegate.model.plan import Plan
from treegate.model.preview import Preview
from treegate.model.problems import Problem
from treegate.model.rows import Rows
from treegate.model.seal import About, Sealed, seal

MOST_BYTES = 1 << 30  # a larger document is refused before it is read

Enter = Callable[
    [Transaction, list[str]], None
]  # what is written of a plan, whose cases are given, before its preview


Then = Callable[[Transaction], object]  # what is written after it


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """What `submit` and its like answer; contract section 10."""

    id: str
    revision: int
    state: str
    digest: str
    problems: list[Problem]
    waiting_for: str
    summary: str = ""


class Shown(NamedTuple):
    """A stored plan with its preview, and where it stands."""

    plan: StoredPlan
    preview: Preview
    waiting_for: str
    run: Run | None


def decode(document: bytes) -> Plan:
    """A plan from its document; raises PlanError."""
    if len(document) > MOST_BYTES:
        raise too_large()
    return Plan.decode(document)


def too_large() -> PlanError:
    """What is said of a document that is longer than any plan may be."""
    text = f"the document has more than {MOST_BYTES:,} bytes, which is the most that a plan may have"
    return PlanError(text, code="plan-too-large", hint="split the plan")


def check(core: Core, plan: Plan) -> Preview:
    """The preview of a plan, stored nowhere."""
    require_reach(core, plan, Action.READ)
    with looking(core, plan), unhurried_gc():
        about = About(core.workspace.id, author=core.actor.name)
        return previewed(core, plan, about, lambda chunk: None, day_of(core, about)).preview


def require_reach(core: Core, plan: Plan, action: Action) -> None:
    """Raises Denied unless the actor has access to every case that a plan speaks of: its preview tells of them."""
    core.actor.require(action, () if core.actor.cases is None else reach.spoken_of(core, plan))


@contextlib.contextmanager
def looking(core: Core, plan: Plan) -> Iterator[None]:
    """The shared locks of the cases that a plan names, refused while a run on one it speaks of is unfinished."""
    with core.locked(named_cases(core, plan), shared=True):
        if unfinished := core.store.unfinished():
            _refuse_between(core, plan, unfinished)
        yield


def _refuse_between(core: Core, plan: Plan, unfinished: list[Run]) -> None:
    """Raises NeedsRecovery where one of these runs is on a case that a plan speaks of, or perhaps means."""
    spoken, known = reach.spoken_of(core, plan), core.workspace.cases()
    means_another = not plan.case and any(case not in known for case in spoken)
    for run in unfinished:
        if means_another or not spoken.isdisjoint(run.cases):
            raise NeedsRecovery(
                f"the run {run.id} on {', '.join(run.cases)} is unfinished",
                hint="the tree is between two states until it is recovered",
                next="treegate recover",
            )


def named_cases(core: Core, plan: Plan) -> list[str]:
    """The cases that a plan may touch: the one it names, or all."""
    cases = core.workspace.cases()
    if plan.case:
        return [plan.case] if plan.case in cases else []
    return sorted(cases)


def previewed(
    core: Core,
    plan: Plan,
    about: About,
    keep: Callable[[list[bytes]], None],
    day: Callable[[str], Day] | None = None,
) -> Sealed:
    """Simulates and seals a plan on the tree as it is now; `day` is what counts against its author's day."""
    with core.world() as world:
        return seal(simulate(plan, world), core.config.policy, about, keep, day)


def submit(
    core: Core,
    plan: Plan,
    *,
    undo_of: str = "",
    draft: bool = False,
    id: str = "",
    then: Then | None = None,
    found: tuple[Problem, ...] = (),
) -> Submitted:
    """Stores a plan and its preview: `pending`, or `invalid` where it has errors; a `draft` is not looked at yet.

    `id` is one that nobody else has, where the caller has to know it beforehand; `then` is done with its preview.
    `found` is what its preview has to say besides.
    """
    require_reach(core, plan, Action.PROPOSE)
    core.check_age()
    id = id or core.new_id("pl")
    if not undo_of:
        openplans.refuse_over(core, core.store)  # before the work, and once more where nobody can come in between

    def enter(transaction: Transaction, cases: list[str]) -> None:
        if not undo_of:
            openplans.refuse_over(core, transaction)
        transaction.add_plan(
            id,
            cases=cases,
            title=plan.title,
            document=plan.document,
            plan_digest=plan.digest,
            by=core.by(),
            undo_of=undo_of or None,
            claims=claims(plan),
        )

    if draft:
        return _drafted(core, plan, id, enter)
    return store(core, plan, About(core.workspace.id, id, 1, core.actor.name, undo_of, found), enter, then)


def _drafted(core: Core, plan: Plan, id: str, enter: Enter) -> Submitted:
    """Stores a plan unseen; it counts for every case that it speaks of."""
    cases = reach.of(core, plan)
    with looking(core, plan):
        core.blobs.put_all(plan.contents())
        with core.store.write() as transaction:
            enter(transaction, cases)
    return submitted(core, id)


def store(core: Core, plan: Plan, about: About, enter: Enter, then: Then | None = None) -> Submitted:
    """Previews a plan on the tree as it is; stores that in one transaction, between what `enter` and `then` write."""
    require_reach(core, plan, Action.PROPOSE)
    with looking(core, plan), spooled(core) as spool, unhurried_gc():
        core.blobs.put_all(plan.contents())  # under the lock, so that nobody clears them before the plan is stored
        preview, table, cases = _sealed(core, plan, about, spool)
        with core.store.write() as transaction:
            enter(transaction, cases)
            transaction.add_preview(
                about.id,
                digest=preview.digest,
                table_digest=table,
                model=msgspec.json.encode(preview),
                effects=preview.counts.effects,
                chunks=spool.chunks(),
                valid=preview.valid,
                by=core.by(),
                prints=spool.prints.all(),
            )
            approving.by_policy(core, transaction, about.id, preview)
            if then is not None:
                then(transaction)
    return submitted(core, about.id)


def _sealed(core: Core, plan: Plan, about: About, spool: Spool) -> tuple[Preview, str, list[str]]:
    """A plan's preview, the digest of its table, which is written, and the cases that it touches or speaks of.

    The tree that was simulated is let go of.
    """
    preview, rows = previewed(core, plan, about, spool.keep, day_of(core, about))
    cases = sorted({*preview.cases, *reach.of(core, plan)})
    core.actor.require(Action.PROPOSE, cases)
    table = kept_table(core, rows)
    if rows is not None:
        rows.forest.dissolve()
    return preview, table, cases


def claims(plan: Plan) -> list[tuple[str, int]]:
    """What a plan would take out of vaults: kept for it as long as it lives."""
    return [(op.run, op.entry) for op in plan.operations if isinstance(op, Restore)]


def kept_table(core: Core, rows: Rows | None) -> str:
    """Writes the step table of a preview durably, under its own digest, which is returned; '' for none."""
    if rows is None:
        return ""
    aside = core.state / "previews" / f"{core.new_id('new')}.table"
    with before_any_run():
        digest = tablefile.write(aside, rows)
    aside.replace(core.table_path(digest))
    sync_names(aside.parent)
    return digest


def submitted(core: Core, id: str) -> Submitted:
    """The answer for a plan that was just stored."""
    plan = core.store.plan(id)
    preview = model_of(core, plan) if plan.preview is not None else None
    return Submitted(
        id=id,
        revision=plan.revision,
        state=plan.state.value,
        digest=plan.digest or "",
        problems=list(preview.problems) if preview is not None else [],
        waiting_for=waiting_for(core, plan, preview),
        summary=preview.summary if preview is not None else "",
    )


def waiting_for(core: Core, plan: StoredPlan, preview: Preview | None = None) -> str:
    """Whose turn it is, in words; '' where nobody is waited for. `preview` is the newest, if it is at hand."""
    if plan.state is State.PENDING:
        return approving.waiting(core, plan, preview or model_of(core, plan))
    words = {
        State.INVALID: f"{plan.author} to mend the plan",
        State.CHANGES_REQUESTED: f"{plan.author} to change the plan",
        State.APPROVED: "someone to apply it",
        State.DRAFT: f"{plan.author} to have it previewed",
        State.STALE: "someone to refresh it",
        State.EXPIRED: "someone to refresh it",
        State.ROLLED_BACK: "someone to refresh it",
        State.NEEDS_RECOVERY: "an operator to recover the run",
    }
    return words.get(plan.state, "")


def show(core: Core, prefix: str) -> Shown:
    """A stored plan and its newest preview."""
    plan = settled(core, core.find_plan(prefix))
    core.actor.require(Action.READ, plan.cases)
    preview = model_of(core, plan)
    waiting = waiting_for(core, plan, preview)
    stored = core.store.preview(plan.id)
    run = core.store.run_of(stored.seq) if stored is not None else None
    return Shown(plan, msgspec.structs.replace(preview, waiting_for=waiting), waiting, run)


def unpreviewed(plan: StoredPlan) -> WrongState:
    """What is said of a plan that has no preview yet, to whoever wants to see it."""
    text = f"plan {plan.id} was never previewed"
    return WrongState(text, code="not-previewed", next=f"treegate refresh {plan.id}")


def model_of(core: Core, plan: StoredPlan, reader: Reader | None = None) -> Preview:
    """The preview model that the store keeps of a plan's newest revision; `reader` may be a transaction."""
    asked = reader or core.store
    stored = asked.preview(plan.id)
    if stored is None:
        raise unpreviewed(plan)
    return msgspec.json.decode(asked.model(stored), type=Preview)


def model_in(core: Core, stored: StoredPreview) -> Preview:
    """The model of one preview."""
    return msgspec.json.decode(core.store.model(stored), type=Preview)


def effects_of(core: Core, plan: StoredPlan, start: int = 0, count: int | None = None) -> Iterator[Effect]:
    """The full list of a plan's effects, in display order, from a position on."""
    stored = core.store.preview(plan.id)
    return iter(()) if stored is None else effects_in(core, stored, start, count)


def chunks_of(core: Core, plan: StoredPlan) -> Iterator[bytes]:
    """The full list of a plan's effects as JSON, in arrays of some."""
    stored = core.store.preview(plan.id)
    return iter(()) if stored is None else core.store.every_chunk(stored)


def packed_chunks_of(core: Core, plan: StoredPlan) -> Iterator[bytes]:
    """The same, each array as it is stored (engine.packing)."""
    stored = core.store.preview(plan.id)
    return iter(()) if stored is None else core.store.packed_chunks(stored)


def effects_in(core: Core, stored: StoredPreview, start: int = 0, count: int | None = None) -> Iterator[Effect]:
    """The full list of a preview's effects, in display order, from a position on."""
    lines: Iterable[bytes] = (
        core.store.effects(stored) if count is None else core.store.effects_page(stored, start, count)
    )
    read = msgspec.json.Decoder(Effect).decode
    for line in lines:
        yield read(line)


def settled(core: Core, plan: StoredPlan) -> StoredPlan:
    """The plan, with an approval that ran out told as such; noted too, unless another is writing: no reader waits."""
    if not lapsed(core, plan):
        return plan
    note_expired(core)
    now = core.store.plan(plan.id)
    return msgspec.structs.replace(now, state=State.EXPIRED) if lapsed(core, now) else now


def lapsed(core: Core, plan: StoredPlan) -> bool:
    """Whether a plan's approval has run out, and that is not noted yet."""
    return plan.state is State.APPROVED and plan.expires_at is not None and plan.expires_at <= core.clock()


def note_expired(core: Core) -> None:
    """Notes approvals that ran out, if that can be done at once; whoever asks next tries again."""
    with contextlib.suppress(TreegateError), core.store.write(patience=0) as transaction:
        transaction.expire_due(core.by())


def authors(core: Core, plan: StoredPlan) -> set[str]:
    """Who wrote a plan as it stands: who handed it in, and who revised it last."""
    return approving.authors(core.store, plan)


def full_digest(plan: StoredPlan, digest: str) -> str:
    """The plan's current digest, if that is what 12 or more characters name; raises Stale."""
    if plan.digest is None:
        raise refusal(plan.state, Event.APPROVE, plan.id)
    given = digest.strip().lower().removeprefix("sha256:")
    if len(given) >= 12 and plan.digest.startswith(given):
        return plan.digest
    if plan.state in UNFINISHED or plan.state in {State.APPLIED, State.UNDONE}:
        return given
    short = len(given) < 12
    text = f"{digest!r} is not the current digest of plan {plan.id}"
    hint = "give at least 12 characters of it" if short else "look at the preview as it is now, and decide on that"
    raise Stale(text, code="digest-not-current", hint=hint, next=f"treegate show {plan.id}")


def positions(preview: Preview, ids: Iterable[str]) -> list[int]:
    """The positions, from 0, of the effects that ids of effects and patterns name, which are told by `show`.

    Raises NotFound "no-such-effect".
    """
    count = preview.counts.effects
    patterns = {pattern.id: pattern for pattern in preview.patterns}
    found: list[int] = []
    for id in ids:
        number = int(id[1:]) if id[1:].isdecimal() and id[1:].isascii() and len(id) < 16 else 0
        if id in patterns:
            found.extend(range(patterns[id].first, patterns[id].first + patterns[id].count))
        elif id.startswith("e") and 0 < number <= count:
            found.append(number - 1)
        else:
            raise NotFound(
                f"the preview has no effect or pattern {id!r}",
                code="no-such-effect",
                hint=f"effects are e1 to e{count}, patterns p1 and so on, as `show` has them",
                next=f"treegate show {preview.plan} --effects",
            )
    return found
