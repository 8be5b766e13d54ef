"""What the vault keeps: listed, put back, let go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from treegate.engine import vault
from treegate.engine.store.records import Kept, Run, VaultState
from treegate.errors import Busy, Denied, NotFound, TreegateError
from treegate.gate import intact, leftovers, plans
from treegate.gate.core import Core
from treegate.gate.leftovers import Leftovers
from treegate.gate.plans import Submitted
from treegate.gate.undoing import note_rolled_back
from treegate.model.actors import Action
from treegate.model.lifecycle import State
from treegate.model.operations import Restore
from treegate.model.paths import is_utf8, to_raw
from treegate.model.plan import Plan


def listing(core: Core, prefix: str = "", case: str | None = None) -> list[Kept]:
    """What the vault still keeps, oldest first."""
    run = core.store.find_run(prefix).id if prefix else None
    found = [kept for kept in core.store.vault(run=run, case=case) if core.actor.sees([kept.case])]
    return sorted(found, key=lambda kept: (kept.kept_at, kept.run, kept.entry))


def restore(core: Core, prefix: str, entries: Iterable[int] = (), to: str = "") -> Submitted:
    """A plan that puts kept entries of a run back, each to where it was, or one of them to `to`."""
    run = core.store.find_run(prefix)
    wanted = set(entries)
    kept = [one for one in listing(core, run.id) if not wanted or one.entry in wanted]
    if missing := wanted - {one.entry for one in kept}:
        text = f"the vault of {run.id} has no entry {min(missing)} (any more)"
        raise NotFound(text, code="vault-entry-not-found", next="treegate vault list")
    if not kept:
        raise NotFound(f"the vault keeps nothing of {run.id}", code="vault-empty", next="treegate vault list")
    if to and len(kept) > 1:
        raise Denied("one place cannot take several entries", code="one-entry-only", hint="name the one entry")
    operations = [_operation(one, to) for one in kept]
    title = f"Restore from the vault of {run.id}"
    return plans.submit(core, Plan.of(operations, title=title, reason=_doubt(core, run, kept)))


def _doubt(core: Core, run: Run, kept: list[Kept]) -> str:
    """What a reviewer should know of the entries: it may be that they are not what the run put there."""
    try:
        found = intact.altered(core, run, {one.entry for one in kept})
    except TreegateError as error:
        return f"it is not known whether it is as the run kept it: {error.message}"
    return f"not as the run kept it: {intact.named(found)}" if found else ""


def _operation(kept: Kept, to: str) -> Restore:
    path = to or kept.path
    if is_utf8(path):
        return Restore(run=kept.run, entry=kept.entry, to=path)
    return Restore(run=kept.run, entry=kept.entry, to=to_raw(path), raw=True)


class Pruned(NamedTuple):
    """What was let go: kept entries, and besides what nothing needs any more."""

    entries: list[Kept]
    leftovers: Leftovers


def prune(core: Core, *, dry: bool = False) -> Pruned:
    """Lets go what retention no longer keeps, then clears what nothing needs any more; never what a live plan or an
    unfinished run names.

    All is noted in the store before it is removed, so that a crash in between leaves too much, never too little
    said. Returns what was (or, `dry`, would be) let go. Leftovers wait for the next time where somebody is at work.
    """
    core.actor.require(Action.PRUNE)
    if not dry:
        for run in core.store.runs([State.APPLIED]):
            note_rolled_back(core, run)  # before the mark that says so is let go
    entries = _entries(core, dry)
    try:
        return Pruned(entries, leftovers.clear(core, dry=dry))
    except Busy:
        return Pruned(entries, Leftovers([], []))


def _entries(core: Core, dry: bool) -> list[Kept]:
    due = core.store.prunable(core.clock())
    due += _over_size(core, due)
    if dry:
        return due
    by_run: dict[str, list[Kept]] = {}
    for kept in due:
        by_run.setdefault(kept.run, []).append(kept)
    for run, kept_of_run in by_run.items():
        _prune_run(core, run, kept_of_run)
    return due


def _over_size(core: Core, due: list[Kept]) -> list[Kept]:
    """The oldest entries beyond the size that the configuration allows the vault."""
    most = core.config.vault.max_size
    if most is None:
        return []
    gone = {(kept.run, kept.entry) for kept in due}
    free = {(kept.run, kept.entry) for kept in core.store.prunable(1 << 62)}
    left = [kept for kept in listing(core) if (kept.run, kept.entry) not in gone]
    size = sum(kept.size for kept in left)
    found = []
    for kept in left:
        if size <= most:
            break
        if (kept.run, kept.entry) in free:
            found.append(kept)
            size -= kept.size
    return found


def _prune_run(core: Core, run: str, kept: list[Kept]) -> None:
    cases = sorted({one.case for one in kept})
    with core.locked(cases):
        with core.store.write() as transaction:
            transaction.mark_vault(run, [one.entry for one in kept], VaultState.PRUNED, core.by())
        for volume in sorted({core.workspace.volume(case) for case in cases}):
            entries = [one.entry for one in kept if core.workspace.volume(one.case) == volume]
            vault.remove(core.workspace, volume, run, entries)
