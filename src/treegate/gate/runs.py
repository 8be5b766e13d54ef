"""Runs: an approved plan carried out; an unfinished run brought to one end or the other."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path

import msgspec

from treegate.engine import apply as applying
from treegate.engine import journal, receipts, recover, tablefile, vault
from treegate.engine.context import APPLIED, NOTHING, Result, RunContext
from treegate.engine.posix import closing, fsync, open_root
from treegate.engine.scan import totals_of
from treegate.engine.store.records import Kept, Run, StoredPlan, standing
from treegate.engine.tablefile import Table
from treegate.engine.workspace import note_generation
from treegate.errors import Busy, NeedsRecovery, RolledBack, Stale, TreegateError
from treegate.gate import latecomers, plans, skipping
from treegate.gate.core import Core
from treegate.gate.skipping import Rest
from treegate.model import inverse
from treegate.model import policy as policies
from treegate.model.actors import Action, Role
from treegate.model.effects import Effect, untagged
from treegate.model.lifecycle import Event, State, refusal
from treegate.model.paths import split
from treegate.model.preview import Preview

ROOM = 1 << 20  # bytes that the state's disk must have for a run's record, beside four times its step table
ENDED = (State.APPLIED, State.UNDONE, State.ROLLED_BACK, State.STALE)


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What `apply` and `recover` answer; contract section 10. `seconds` goes from the lock to the durable end."""

    id: str
    run: str
    state: str
    seconds: float
    receipt: receipts.Receipt | None


def apply(core: Core, prefix: str) -> Applied:
    """Carries out what was approved; asked again, gives the same run.

    Raises Denied or Expired where it is not approved, Stale where the tree moved on, RolledBack where it failed
    midway and all was taken back, NeedsRecovery where it could not be.
    """
    plan = plans.settled(core, core.store.find_plan(prefix))
    core.actor.require(Action.APPLY, plan.cases, tuple(Role(role) for role in core.config.policy.apply.by))
    with core.locked(plan.cases):
        settle(core, plan.cases)
        core.check_age()
        plan = plans.settled(core, core.store.plan(plan.id))
        earlier = _earlier(core, plan)
        if earlier is not None:
            return earlier
        table = skipping.reduced(core, plan)
        with core.store.write() as transaction:
            run, new = transaction.begin_run(
                plan.id, digest=plan.digest or "", run_id=core.new_id("run"), by=core.by(), table_digest=table
            )
        if not new:  # it ended otherwise than applied
            raise refusal(run.state, Event.APPLY, plan.id)
        return _carry_out(core, plan, run)


def _earlier(core: Core, plan: StoredPlan) -> Applied | None:
    """The run that this very digest had already, if it ended well."""
    stored = core.store.preview(plan.id)
    run = core.store.run_of(stored.seq) if stored is not None else None
    if run is not None and run.state in {State.APPLIED, State.UNDONE}:
        return answer(core, run)
    return None


def answer(core: Core, run: Run) -> Applied:
    """What is to be said of a run that ended."""
    receipt = None
    if run.receipt_digest:
        receipt = receipts.read(core.state / "receipts", run.id)
    seconds = receipt.seconds if receipt is not None else 0.0
    return Applied(id=run.plan, run=run.id, state=run.state.value, seconds=seconds, receipt=receipt)


def _carry_out(core: Core, plan: StoredPlan, run: Run) -> Applied:
    directory = core.run_directory(run.id)
    try:
        context = _begun(core, run, directory)
    except (OSError, TreegateError) as error:
        _give_back(core, run)
        raise _not_begun(error) from error
    try:
        result = applying.run(context)
    except NeedsRecovery:
        with core.store.write() as transaction:
            transaction.end_run(run.id, State.NEEDS_RECOVERY, by=core.by())
        raise
    except TreegateError as error:  # found before the first step: the journal has ended
        _end(core, run, State.STALE if isinstance(error, Stale) else State.ROLLED_BACK)
        _clean(core, run)
        raise (_rolled_back(run, error) if isinstance(error, RolledBack) else error) from error
    try:
        return conclude(core, plan, run, context, result)
    except OSError as error:
        text = f"run {run.id} is carried out, and its record could not be written: {error}"
        hint = "put right what the message names, then recover: nothing else of the tree is touched"
        raise NeedsRecovery(text, code="record-unwritten", hint=hint, next="treegate recover") from error


def _begun(core: Core, run: Run, directory: Path) -> RunContext:
    """The run's own folders and step table, durable, and its number noted at the tree."""
    core.key()  # without it the run could not be told of in the end
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    table = tablefile.read(core.table_path(run.table_digest), run.table_digest)
    _check_room(core, table)
    core.workspace.make_areas(table.header.volumes or [""], run.id)
    note_generation(core.workspace.root, run.generation)
    return context_of(core, run, table)


def _check_room(core: Core, table: Table) -> None:
    """Raises RolledBack where the state's disk has no room for the journal and the record of the run."""
    found = os.statvfs(core.state)
    need = ROOM + 4 * table.path.stat().st_size
    if need > found.f_bavail * found.f_frsize:
        raise RolledBack(
            f"the disk of the state directory {core.state} is too full: a run like this wants {need:,} bytes there",
            code="state-disk-full",
            hint="make room and apply again; nothing was done, and the approval stands",
            next="treegate doctor",
        )


def context_of(core: Core, run: Run, table: Table) -> RunContext:
    """What the engine needs to know of one run."""
    exact = all(core.workspace.capabilities(case).stable_inodes for case in table.header.cases)
    volumes = {volume: core.workspace.capabilities(volume or _any_case(core, table)) for volume in _volumes(table)}
    return RunContext(
        run=run.id,
        directory=core.run_directory(run.id),
        table=table,
        open_root=lambda key: core.workspace.open_root(key, run.id),
        blob=core.blobs.open,
        totals=partial(totals_of, exact=exact),
        volumes=volumes,
        cancelled=core.cancelled,
        progress=core.progress,
    )


def _volumes(table: Table) -> set[str]:
    return {"", *table.header.volumes}


def _any_case(core: Core, table: Table) -> str:
    return next((case for case in table.header.cases if core.workspace.volume(case) == ""), "")


def _not_begun(error: Exception) -> Exception:
    if isinstance(error, TreegateError):
        return error
    text = f"the run could not begin: {error}"
    return RolledBack(text, hint="nothing was done, and the approval stands; see to the cause and apply again")


def _give_back(core: Core, run: Run) -> None:
    """Nothing happened: the approval is given back, as if the run had never been asked for."""
    with core.store.write() as transaction:
        transaction.give_back(run.id, core.by())
    _remove_areas(core, run)
    shutil.rmtree(core.run_directory(run.id), ignore_errors=True)


def conclude(core: Core, plan: StoredPlan, run: Run, context: RunContext, result: Result) -> Applied:
    """Writes what there is to say of a run that ended, then tells the store, then clears the journal away."""
    if result.outcome == NOTHING:
        _give_back(core, run)
        raise _not_begun(result.reason or OSError("no room for the journal"))
    if result.outcome != APPLIED:
        _end(core, run, State.ROLLED_BACK)
        _clean(core, run)
        raise _rolled_back(run, result.reason)
    facts = entry_facts(context.table, result)
    hashes = {number: built.sha256 for number, built in result.built.items() if built.sha256}
    folder = core.state / "receipts"
    rest = skipping.rest_of(core, run)
    lines = receipts.lines(_effects(core, plan, rest), facts, hashes)
    count, digest = receipts.write_lines(folder / f"{run.id}.lines", chain(lines, skipping.left_lines(rest)))
    kept = list(_kept(core, plan, run, rest))
    vault.write(core.workspace, run.id, context.table, result, kept, core.clock())
    receipt = _receipt(core, plan, run, context.table, result, count, digest, kept, rest)
    receipt_digest = receipts.write(folder, receipts.signed(receipt, core.key()))
    _keep_table(core, run, context.table)
    _end(core, run, State.APPLIED, receipt_digest, kept, plan)
    _clean(core, run)
    return answer(core, core.store.run(run.id))


def _rolled_back(run: Run, reason: Exception | None) -> RolledBack:
    why = str(reason or "it was asked to stop")
    return RolledBack(
        f"run {run.id} failed ({why}) and everything it had done was taken back",
        code=reason.code if isinstance(reason, RolledBack) else None,
        hint="see to the cause, then submit the plan anew: its approval is used up",
        next=f"treegate show {run.plan}",
    )


def entry_facts(table: Table, result: Result) -> dict[int, bytes]:
    """The packed facts by which each touched entry is known after the run, by its number."""
    facts = {number: built.facts for number, built in result.built.items()}
    for step in table.steps():
        if step.facts:
            facts[step.entry] = step.facts
        if step.other_facts:
            facts[step.other] = step.other_facts
    for setting in table.settings():
        facts.setdefault(setting.entry, setting.facts)
    return facts


def _effects(core: Core, plan: StoredPlan, rest: Rest | None) -> Iterator[Effect]:
    """What a run does: all that the plan's preview says, or what remains of it."""
    return plans.effects_of(core, plan) if rest is None else iter(rest.effects)


def _going(core: Core, plan: StoredPlan, rest: Rest | None) -> Iterable[Effect]:
    """Of these, those that put something into the vault: deletions and replacements come first in a preview."""
    if rest is not None:
        return rest.effects
    counts = plans.model_of(core, plan).counts
    count = counts.deleted + counts.replaced
    return plans.effects_of(core, plan, 0, count) if count else ()


def _kept(core: Core, plan: StoredPlan, run: Run, rest: Rest | None) -> Iterator[Kept]:
    """What the run put into the vault: deleted entries, and files that were replaced."""
    now = core.clock()
    keep = core.config.vault.keep
    for effect in _going(core, plan, rest):
        if effect.vault is not None:
            path = untagged(effect.path)
            yield Kept(
                run=run.id,
                entry=effect.vault,
                case=path.partition("/")[0],
                path=path,
                kind=effect.kind,
                files=effect.files,
                size=effect.size,
                kept_at=now,
                until=None if keep is None else now + keep,
            )


def _receipt(
    core: Core,
    plan: StoredPlan,
    run: Run,
    table: Table,
    result: Result,
    count: int,
    digest: str,
    kept: list[Kept],
    rest: Rest | None,
) -> receipts.Receipt:
    preview = plans.model_of(core, plan)
    approvals = standing(core.store.decisions_on(run.preview))
    volumes = [volume for volume in table.header.volumes if core.workspace.vault(volume, run.id).exists()]
    return receipts.Receipt(
        workspace=core.workspace.id,
        run=run.id,
        plan=plan.id,
        revision=run.revision,
        plan_digest=preview.plan_digest,
        digest=run.digest,
        table_digest=run.table_digest,
        title=preview.title,
        reason=preview.reason,
        cases=preview.cases,
        author=plan.author,
        approved_by=[receipts.Approval(d.reviewer, d.at, d.channel, d.comment) for d in approvals],
        own_approval=policies.approvals(core.config.policy).own,
        by=run.actor,
        channel=core.actor.channel,
        started=run.started_at,
        ended=core.clock(),
        seconds=round(result.seconds, 6),
        outcome=State.APPLIED.value,
        counts=preview.counts if rest is None else rest.counts,
        steps=table.header.steps,
        touched=count if rest is None else len(rest.effects),
        lines_digest=digest,
        vault=receipts.Vault(
            entries=len(kept),
            files=sum(one.files for one in kept),
            size=sum(one.size for one in kept),
            until=kept[0].until if kept else None,
            places=[str(core.workspace.vault(v, run.id).relative_to(core.workspace.root)) for v in volumes],
        ),
        undo_of=plan.undo_of or "",
        notes=[*skipping.notes(rest), *_notes(core, plan, preview, rest)],
    )


def _notes(core: Core, plan: StoredPlan, preview: Preview, rest: Rest | None) -> Iterator[str]:
    """What a reader of the receipt should know besides: what came after the preview, left or carried along."""
    yield from latecomers.notes(core, plan, lambda: _placed(plans.effects_of(core, plan)))
    expected = _held_by_moved(lambda: _effects(core, plan, rest))
    with core.world() as world:
        for path, files in expected.items():
            with contextlib.suppress(OSError):
                yield from _grown(path, files, world.tree.totals(path).files)
    if policies.approvals(core.config.policy).own:
        yield "in this workspace authors may approve their own plans"
    yield from (f"weaker here: {weakness.message}" for weakness in preview.weak)


def _placed(effects: Iterable[Effect]) -> set[str]:
    """Every path that effects speak of: what is there is no surprise."""
    return {untagged(text) for effect in effects for text in (effect.path, effect.source) if text is not None}


def _held_by_moved(effects: Callable[[], Iterator[Effect]]) -> dict[str, int]:
    """The files that each folder moved whole is expected to hold: its own, and what the plan put into it."""
    held = {untagged(e.path): e.files for e in effects() if e.effect == "moved" and e.kind == "dir"}
    for effect in effects() if held else ():
        above = split(untagged(effect.path))[0] if effect.effect != "deleted" else ""
        while above:
            if above in held:
                held[above] += effect.files
            above = split(above)[0]
    return held


def _grown(path: str, expected: int, files: int) -> Iterator[str]:
    if files > expected:
        yield f"{path!r} carried {files - expected:,} files along that were not there at the preview"


def _keep_table(core: Core, run: Run, table: Table) -> None:
    """The step table stays beside the receipt: undo reads from it what each entry was."""
    target = core.state / "receipts" / f"{run.id}.table"
    if not target.exists():
        with contextlib.suppress(FileExistsError):
            target.hardlink_to(table.path)


def _end(
    core: Core,
    run: Run,
    outcome: State,
    receipt_digest: str | None = None,
    kept: list[Kept] | None = None,
    plan: StoredPlan | None = None,
) -> None:
    """The run's end in the store: one transaction."""
    undone: list[str] = []
    whole = False
    if run.undo_of is not None and outcome is State.APPLIED:
        undone, whole = _undone(core, run)
    with core.store.write() as transaction:
        if outcome is State.APPLIED:
            for source, entries in _restored(core, run).items():
                transaction.mark_vault(source, entries, vault.RESTORED, core.by(), by_run=run.id)
        transaction.end_run(
            run.id,
            outcome,
            by=core.by(),
            receipt_digest=receipt_digest,
            vault=kept or [],
            undone=undone,
            whole=whole,
        )


def _restored(core: Core, run: Run) -> Mapping[str, list[int]]:
    """What the run took out of vaults, by the run that had put it there."""
    found: dict[str, list[int]] = {}
    plan = core.store.plan(run.plan)
    counts = plans.model_of(core, plan).counts
    if counts.restored or counts.replaced:  # what comes out of a vault may also take another's place
        for effect in _effects(core, plan, skipping.rest_of(core, run)):
            source = inverse.kept_source(effect)
            if source is not None:
                found.setdefault(source[0], []).append(source[1])
    return found


def _undone(core: Core, run: Run) -> tuple[list[str], bool]:
    """Which effects of the run that this one undoes are gone by it, and whether those are all."""
    path = core.state / "receipts" / f"{run.plan}.undoes"
    undone = msgspec.json.decode(path.read_bytes(), type=list[str]) if path.exists() else []
    target = run.undo_of or ""
    before = set(core.store.undone_effects(target))
    total = receipts.read(core.state / "receipts", target).touched
    return undone, len(before | set(undone)) >= total


def _clean(core: Core, run: Run) -> None:
    """Takes away what an ended run needs no more: its areas, an empty vault, and last its journal."""
    _remove_areas(core, run)
    shutil.rmtree(core.run_directory(run.id), ignore_errors=True)
    with contextlib.suppress(OSError), closing(open_root(str(core.state / "runs"))) as folder:
        fsync(folder)


def _remove_areas(core: Core, run: Run) -> None:
    for volume in {"", *map(core.workspace.volume, run.cases)}:
        shutil.rmtree(core.workspace.area(volume) / "runs" / run.id, ignore_errors=True)
        kept = core.workspace.vault(volume, run.id)
        if not (kept / "manifest.json").exists():
            for folder in (kept / "entries", kept):
                with contextlib.suppress(OSError):
                    folder.rmdir()  # only if nothing is in it


# Recovery


def settle(core: Core, cases: tuple[str, ...] | list[str]) -> None:
    """Brings every unfinished run on these cases to an end; the caller holds their locks."""
    for run in core.store.unfinished(cases):
        _recover(core, run, None)
    for run in _uncleaned(core):
        if set(run.cases) <= set(cases):
            _clean(core, run)


def _uncleaned(core: Core) -> list[Run]:
    """Runs that ended, and crashed before they had cleaned up."""
    left = set(os.listdir(core.state / "runs"))
    return [run for run in core.store.runs(ENDED) if run.id in left] if left else []


def recover_all(core: Core, prefix: str = "", back: bool | None = None) -> list[Applied]:
    """Brings unfinished runs to an end: forward if the tree lets them, or back."""
    core.actor.require(Action.RECOVER)
    runs = [core.store.find_run(prefix)] if prefix else core.store.unfinished()
    done, stuck = [], None
    for run in runs:
        try:
            done += [answer(core, run)] if run.state in ENDED else _recovered(core, run, back)
        except TreegateError as error:  # the others are no worse for it
            stuck = stuck or error
    for run in _uncleaned(core):
        with core.locked(run.cases):
            _clean(core, run)
    if stuck is not None:
        raise stuck
    return done


def _recovered(core: Core, run: Run, back: bool | None) -> list[Applied]:
    """The run brought to an end; nothing, if another process did that while this one waited."""
    with core.locked(run.cases):
        unfinished = [now for now in core.store.unfinished(run.cases) if now.id == run.id]
        return [_recover(core, now, back) for now in unfinished]


def _recover(core: Core, run: Run, back: bool | None) -> Applied:
    plan = core.store.plan(run.plan)
    directory = core.run_directory(run.id)
    path = directory / tablefile.NAME
    if not path.exists():
        _give_back(core, run)
        return Applied(id=plan.id, run=run.id, state=core.store.plan(plan.id).state.value, seconds=0, receipt=None)
    table = tablefile.read(path, run.table_digest)
    context = context_of(core, run, table)
    ended = journal.read(directory, run.id).outcome
    result = recover.recover(context, back)
    if ended == "" and result.outcome == NOTHING:
        _give_back(core, run)
        return Applied(id=plan.id, run=run.id, state=core.store.plan(plan.id).state.value, seconds=0, receipt=None)
    try:
        return conclude(core, plan, run, context, result)
    except RolledBack:
        return answer(core, core.store.run(run.id))


def refuse_unfinished(core: Core) -> None:
    """Raises Busy while any run is unfinished: for work on the whole workspace."""
    for run in core.store.unfinished():
        raise Busy(f"run {run.id} is unfinished", code="run-unfinished", next="treegate recover")
