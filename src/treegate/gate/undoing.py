"""Undo: the plan that takes a run back, checked against what the run left and what is there now."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

import msgspec

from treegate.engine import receipts, tablefile, vault
from treegate.engine.locate import still
from treegate.engine.receipts import Line
from treegate.engine.store.records import Kept, Run, VaultState
from treegate.engine.workspace import replace_file
from treegate.engine.world import DiskWorld
from treegate.errors import Denied, NeedsRecovery, NotFound, NotVerified, Stale
from treegate.gate import intact, plans
from treegate.gate.core import Core
from treegate.gate.plans import Submitted
from treegate.model import inverse
from treegate.model.actors import Action
from treegate.model.effects import Effect, untagged
from treegate.model.lifecycle import UNFINISHED, State
from treegate.model.operations import Operation
from treegate.model.paths import is_utf8, joined, split
from treegate.model.plan import Plan
from treegate.model.tree import Facts, Kind, Level, pack, same, unpack

MOST_NAMED = 5  # paths that a suggested command names


class Undo(msgspec.Struct, frozen=True, kw_only=True):
    """What `undo` answers: the plan it submitted, and what of the run it takes back."""

    submitted: Submitted
    run: str
    effects: int
    also: list[str]  # paths that were not asked for, and have to go with what was


def undo(core: Core, prefix: str = "", paths: Iterable[str] = ()) -> Undo:
    """Submits the inverse of a run (the last one, if none is named), or of what it did at some paths.

    What others changed since is refused path by path (Stale `undo-conflict`); naming the other paths undoes those.
    """
    core.workspace.check_marker()  # where nothing is mounted, every vault would look altered
    run = _target(core, prefix)
    core.actor.require(Action.PROPOSE, run.cases)
    note_rolled_back(core, run)
    run = core.store.run(run.id)
    if run.state is not State.APPLIED:
        raise _not_undoable(run)
    lines = _still_done(core, run)
    asked = [_from_projects(core, run, path) for path in paths]
    chosen, also = _chosen(lines, asked)
    _refuse_moved_on(core, run, chosen)
    _refuse_altered(core, run, chosen)
    with core.world() as world:
        _refuse_changed(world, chosen, run)
    operations = inverse.plan_of(inverse.undo_of((line.effect for line in chosen), run.id))
    if not operations:
        text = f"run {run.id} left everything as it was"
        raise Denied(text, code="nothing-to-undo", next=f"treegate show {run.plan}")
    submitted = plans.submit(core, _plan(core, run, operations), undo_of=run.id)
    replace_file(
        core.state / "receipts" / f"{submitted.id}.undoes", msgspec.json.encode([line.effect.id for line in chosen])
    )
    return Undo(submitted=submitted, run=run.id, effects=len(chosen), also=also)


def _still_done(core: Core, run: Run) -> list[Line]:
    """What a run did and no other took back yet, with paths as they are by now."""
    gone = set(core.store.undone_effects(run.id))
    every = _lines(core, run.id)
    lines = [line for line in every if line.effect.id not in gone]
    undone = [line.effect for line in every if line.effect.id in gone]
    if undone:
        effects = inverse.as_undone([line.effect for line in lines], undone)
        lines = [msgspec.structs.replace(line, effect=now) for line, now in zip(lines, effects, strict=True)]
    return lines


def _lines(core: Core, run: str) -> list[Line]:
    """What a run did, each line with the facts by which its entry is known."""
    lines = [line for line in receipts.read_lines(core.state / "receipts" / f"{run}.lines") if line.result == "done"]
    if all(line.facts for line in lines):
        return lines
    facts = intact.facts_after(intact.kept_table(core, core.store.run(run)), {})
    return [line if line.facts else line.with_facts(facts.get(line.effect.entry, b"")) for line in lines]


def _target(core: Core, prefix: str) -> Run:
    if prefix.startswith("pl_"):
        plan = core.find_plan(prefix)
        stored = core.store.preview(plan.id)
        found = core.store.run_of(stored.seq) if stored is not None else None
    else:
        found = core.find_run(prefix) if prefix else _last(core)
    if found is None:
        raise NotFound("there is no run to undo", code="no-run", next="treegate list")
    return found


def _last(core: Core) -> Run | None:
    """The newest run that the actor sees and that changed something and was not undone; else the newest.

    Raises NeedsRecovery where one that is not finished is newer: who names none may well mean that one.
    """
    for run in core.store.runs([State.APPLIED, *UNFINISHED], within=core.actor.cases):
        if run.state in UNFINISHED:
            text = f"the last run, {run.id}, is not finished: it is under way, or was interrupted"
            hint = "with --back recover takes it back, without it is finished where the tree lets it be"
            raise NeedsRecovery(text, hint=hint, next=f"treegate recover {run.id} --back")
        if next(receipts.read_lines(core.state / "receipts" / f"{run.id}.lines"), None) is not None:
            return run
    return next(iter(core.store.runs(limit=1, within=core.actor.cases)), None)


def _not_undoable(run: Run) -> Denied:
    words = {State.UNDONE: "was undone already", State.ROLLED_BACK: "was rolled back: there is nothing to undo"}
    text = f"run {run.id} {words.get(run.state, f'is {run.state.value}')}"
    return Denied(text, code="not-undoable", next=f"treegate show {run.plan}")


def _from_projects(core: Core, run: Run, path: str) -> str:
    """A path that a person named, from `projects/`: they may leave the case out where there is only one."""
    path = path.strip("/").removeprefix(f"{core.workspace.folders.projects}/")
    if path.partition("/")[0] in core.workspace.cases() or len(run.cases) != 1:
        return path
    return f"{run.cases[0]}/{path}"


def _chosen(lines: list[Line], asked: list[str]) -> tuple[list[Line], list[str]]:
    """The lines to take back: all, or those at the asked paths with what has to go along."""
    if not asked:
        return lines, []
    effects = [line.effect for line in lines]
    unknown = [path for path in asked if not any(_concerns(effect, path) for effect in effects)]
    if unknown:
        text = f"the run did nothing at {unknown[0]!r}"
        raise NotFound(text, code="no-effect-there", hint="name a path as the receipt has it, before or after")
    wanted = {effect.id for effect in effects if any(_concerns(effect, path) for path in asked)}
    taken = inverse.closure(effects, wanted)
    also = [str(untagged(effect.path)) for effect in effects if effect.id in taken and effect.id not in wanted]
    return [line for line in lines if line.effect.id in taken], also


def _concerns(effect: Effect, path: str) -> bool:
    """Whether an effect is at a path, or under it, before or after the run."""
    places = [untagged(effect.path)]
    if effect.source is not None:
        places.append(untagged(effect.source))
    return any(place == path or place.startswith(path + "/") for place in places)


def _refuse_moved_on(core: Core, run: Run, lines: list[Line]) -> None:
    """What the run kept may be let go by now, be back in the tree, or lie in another vault."""
    entries = {line.effect.vault for line in lines if line.effect.vault is not None}
    gone = {
        kept.entry: kept
        for kept in (core.store.vault(run=run.id, state=None) if entries else ())
        if kept.entry in entries and kept.state is not VaultState.KEPT
    }
    if not gone:
        return
    first = next(iter(gone.values()))
    text = f"the vault of run {run.id} no longer holds {first.path!r}: it was {first.state.value}"
    redo = _redo(core, run, first)
    if redo is not None:
        hint, next_command = "a later run holds it; undo that one", f"treegate undo {redo.id}"
    else:
        lost = [untagged(line.effect.path) for line in lines if line.effect.vault in gone]
        rest = [untagged(line.effect.path) for line in lines if line.effect.vault not in gone]
        hint, next_command = _where(core, first), _undo_of_others(run, rest, lost)
    raise Denied(text, code="not-undoable", hint=hint, next=next_command)


def _redo(core: Core, run: Run, kept: Kept) -> Run | None:
    """The run that did once more what `run` had done, by undoing the undo that took an entry out of its vault."""
    undo = next((one for one in core.store.runs() if one.id == kept.by_run), None)
    if undo is None or undo.undo_of != run.id:
        return None
    return next((one for one in core.store.runs([State.APPLIED]) if one.undo_of == undo.id), None)


def _where(core: Core, gone: Kept) -> str:
    """Where to look for what a vault let go."""
    for kept in core.store.vault(case=gone.case):
        if kept.path == gone.path:
            return f"the vault of {kept.run} holds it as entry {kept.entry}; the other paths can be undone"
    if gone.state is VaultState.RESTORED:
        return "it was put back into the tree; the other paths can be undone by naming them with --path"
    return "it was let go for good; the other paths can be undone by naming them with --path"


def _refuse_altered(core: Core, run: Run, lines: list[Line]) -> None:
    """What was edited in the vault is not what the run took away: it is not put back as if it were."""
    wanted = {line.effect.vault for line in lines if line.effect.vault is not None}
    found = intact.altered(core, run, wanted) if wanted else []
    if found:
        raise NotVerified(
            f"the vault of run {run.id} is not as the run left it: {intact.named(found)}",
            code="vault-altered",
            hint="put it back from a backup of the vault; to have what is there now, restore it as it is",
            next=f"treegate vault restore {run.id} {found[0].kept.entry}",
            path=found[0].kept.path,
        )


def _refuse_changed(world: DiskWorld, lines: list[Line], run: Run) -> None:
    """What somebody changed since is theirs: it stays, and so does what the run kept."""
    changed: list[str] = []
    others: list[str] = []
    for line in lines:
        (others if _as_left(world, line) else changed).append(untagged(line.effect.path))
    if not changed:
        return
    shown = ", ".join(repr(path) for path in changed[:10]) + (f" and {len(changed) - 10} more" * (len(changed) > 10))
    raise Stale(
        f"changed since run {run.id}: {shown}",
        code="undo-conflict",
        hint="both versions are kept as they are; undo the other paths by naming them with --path",
        next=_undo_of_others(run, others, changed),
        path=changed[0],
    )


def _undo_of_others(run: Run, paths: list[str], changed: list[str]) -> str:
    """The command that undoes (the first of) what nobody changed; else the one that shows what is kept."""
    free = [path for path in paths if is_utf8(path) and not any(each.startswith(path + "/") for each in changed)]
    if not free:
        return f"treegate vault list {run.id}"
    return f"treegate undo {run.id}" + "".join(f" --path {shlex.quote(path)}" for path in free[:MOST_NAMED])


def _as_left(world: DiskWorld, line: Line) -> bool:
    effect = line.effect
    if effect.effect == "deleted" or not line.facts:
        return True
    folder, name = split(untagged(effect.path))
    try:
        packed = world.tree.facts(folder, name)
    except (FileNotFoundError, NotADirectoryError):
        return False
    if packed is None:
        return False
    was = unpack(line.packed)
    if effect.mtime is not None:
        was = was._replace(mtime=int(effect.mtime))
    caps = world.cases.get(folder.partition("/")[0])
    if not _same(was, unpack(packed), effect, stable=caps is None or caps.stable_inodes):
        return False
    # Another content in the same inode, size and mtime: for what the run brought, the hash tells.
    return effect.kind != "file" or not line.sha256 or world.tree.sha256(joined(folder, name)) == line.sha256


def _same(was: Facts, now: Facts, effect: Effect, stable: bool) -> bool:
    if not stable:
        return still(was, now, stable)
    level = Level.IDENTITY if effect.kind == Kind.DIR.value else Level.CONTENT
    return same(pack(was), now, level)


def _plan(core: Core, run: Run, operations: list[Operation]) -> Plan:
    title = core.store.plan(run.plan).title
    return Plan.of(
        operations,
        title=f"Undo: {title}" if title else f"Undo {run.id}",
        reason=f"takes back run {run.id}",
    )


def note_rolled_back(core: Core, run: Run) -> None:
    """Takes note where `rollback.sh` took a run back without treegate: on each filesystem its mark says so."""
    if run.state is not State.APPLIED:
        return
    volumes = {core.workspace.volume(case) for case in run.cases}
    marked = {volume for volume in volumes if vault.mark_of(core.workspace, volume, run.id)}
    if not marked or not _all_there(core, run, volumes):
        return
    if marked == volumes:
        kept = _numbers(core.store.vault(run=run.id)).get(run.id, [])
        with core.store.write() as transaction:
            transaction.mark_vault(run.id, kept, VaultState.RESTORED, core.by())
            transaction.take_back_outside(run.id, core.by())
    else:
        _note_in_part(core, run, marked)


def _all_there(core: Core, run: Run, volumes: set[str]) -> bool:
    """Whether every filesystem that a run used is mounted: the cases on one that is not seem to be on another."""
    table = tablefile.read(core.state / "receipts" / f"{run.id}.table", run.table_digest)
    return {volume for volume in table.header.volumes if volume} <= volumes


def _note_in_part(core: Core, run: Run, volumes: set[str]) -> None:
    """Some of the filesystems were rolled back: what the run did there is undone, the rest of it is not."""

    def there(lines: Iterable[Line]) -> list[str]:
        return [line.effect.id for line in lines if core.workspace.volume(_case(line)) in volumes]

    gone = there(_still_done(core, run))
    if not gone:
        return
    held = [kept for kept in core.store.vault(state=None) if core.workspace.volume(kept.case) in volumes]
    put_back = [kept for kept in held if kept.run == run.id and kept.state is VaultState.KEPT]
    taken_back = [kept for kept in held if kept.by_run == run.id]
    again = there(_lines(core, run.undo_of)) if run.undo_of is not None else []
    with core.store.write() as transaction:
        for state, entries in ((VaultState.RESTORED, put_back), (VaultState.KEPT, taken_back)):
            for source, numbers in _numbers(entries).items():
                by_run = run.id if state is VaultState.KEPT else None
                transaction.mark_vault(source, numbers, state, core.by(), by_run)
        transaction.take_back_part_outside(run.id, gone, again, core.by())


def _case(line: Line) -> str:
    return untagged(line.effect.path).partition("/")[0]


def _numbers(kept: Iterable[Kept]) -> dict[str, list[int]]:
    """Entries of vaults by the run that put them there."""
    found: dict[str, list[int]] = {}
    for one in kept:
        found.setdefault(one.run, []).append(one.entry)
    return found
