"""What the vault keeps: listed, put back, let go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from msgspec import structs

from treegate.engine import pauses, vault
from treegate.engine.store.records import Kept, Run, VaultState
from treegate.errors import Busy, Denied, NotFound, TreegateError
from treegate.gate import intact, leftovers, plans
from treegate.gate.chronicle import ANOTHER
from treegate.gate.core import Core
from treegate.gate.leftovers import Leftovers
from treegate.gate.plans import Submitted
from treegate.gate.undoing import note_rolled_back
from treegate.model.actors import Action
from treegate.model.lifecycle import LIVE, UNFINISHED, State
from treegate.model.operations import Restore
from treegate.model.paths import is_utf8, to_raw
from treegate.model.plan import Plan
from treegate.model.retention import BACKUP, Because, Entry, Limits, judge, went_back


class Held(Kept, frozen=True, kw_only=True):
    """A kept entry, with what retention says of it."""

    goes_at: int | None  # ms; None: it stays, as things are
    due: bool  # it goes at the next prune
    because: Because
    named_by: str  # the plan or the unfinished run that needs it, "(another case)" where it is not for the actor


def listing(core: Core, prefix: str = "", case: str | None = None) -> list[Held]:
    """What the vault still keeps, oldest first, and when each goes."""
    run = core.find_run(prefix).id if prefix else None
    found = (held for held in held_by(core) if run in (None, held.run) and case in (None, held.case))
    return _seen(core, found)


def _seen(core: Core, held: Iterable[Held]) -> list[Held]:
    """Those of the actor's cases, which name no plan or run that they may not see."""
    found = [one for one in held if core.actor.sees([one.case])]
    if core.actor.cases is None:
        return found
    own = {one.id for one in core.store.list_plans(LIVE, limit=1 << 30, within=core.actor.cases)[0]}
    own |= {one.id for one in core.store.runs(UNFINISHED, within=core.actor.cases)}
    return [one if one.named_by in own | {""} else structs.replace(one, named_by=ANOTHER) for one in found]


def held_by(core: Core, *, trust_clock: bool = False) -> list[Held]:
    """All that the vault keeps, oldest run first (by their order, for clocks go back), and when each goes."""
    newest_first = [list(of_run) for _, of_run in groupby(core.store.vault(), key=lambda one: one.run)]
    rows = [one for of_run in reversed(newest_first) for one in of_run]
    named, unfinished = core.store.named(), {run.id for run in core.store.unfinished()}
    names = [one.run if one.run in unfinished else named.get((one.run, one.entry), "") for one in rows]
    entries = [Entry(one.case, one.size, one.until, name) for one, name in zip(rows, names, strict=True)]
    limits = Limits(core.config.vault.case_max_size, core.config.vault.max_size)
    now = core.clock()
    back = not trust_clock and went_back(now, core.store.latest())
    verdicts = judge(entries, now, limits, clock_back=back)
    return [
        Held(**structs.asdict(one), **verdict._asdict(), named_by=name)
        for one, verdict, name in zip(rows, verdicts, names, strict=True)
    ]


def restore(core: Core, prefix: str, entries: Iterable[int] = (), to: str = "") -> Submitted:
    """A plan that puts kept entries of a run back, each to where it was, or one of them to `to`.

    Backups only where they are named: what moved is still in the tree.
    """
    run = core.find_run(prefix)
    wanted = set(entries)
    there = listing(core, run.id)
    kept = [one for one in there if (one.entry in wanted if wanted else one.kind != BACKUP)]
    if missing := wanted - {one.entry for one in kept}:
        text = f"the vault of {run.id} has no entry {min(missing)} (any more)"
        raise NotFound(text, code="vault-entry-not-found", next="treegate vault list")
    if not kept:
        what = "only backups of what moved; name those to be restored" if there else "nothing"
        raise NotFound(f"the vault of {run.id} keeps {what}", code="vault-empty", next="treegate vault list")
    if to and len(kept) > 1:
        raise Denied("one place cannot take several entries", code="one-entry-only", hint="name the one entry")
    operations = [_operation(one, to) for one in kept]
    title = f"Restore from the vault of {run.id}"
    return plans.submit(core, Plan.of(operations, title=title, reason=_doubt(core, run, kept)))


def _doubt(core: Core, run: Run, kept: Sequence[Kept]) -> str:
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

    entries: list[Held]
    leftovers: Leftovers


def prune(core: Core, *, dry: bool = False, trust_clock: bool = False) -> Pruned:
    """Lets go what `listing` says is due, then clears what nothing needs any more.

    All is noted in the store before it is removed, so that a crash in between leaves too much, never too little
    said. Returns what was (or, `dry`, would be) let go. Leftovers wait for the next time where somebody is at work,
    or the actor sees only some cases: then nothing of the others goes, either.
    Raises Denied "clock-went-back" where something would go by its age and the clock is earlier than what is on
    record, unless `trust_clock`; Busy "paused" where the workspace is, or a case of which something would go.
    """
    core.actor.require(Action.PRUNE)
    if not dry:
        for run in core.store.runs([State.APPLIED], within=core.actor.cases):
            note_rolled_back(core, run)  # before the mark that says so is let go
    entries = _entries(core, dry, trust_clock)
    if core.actor.cases is not None:
        return Pruned(entries, Leftovers([], []))
    try:
        return Pruned(entries, leftovers.clear(core, dry=dry))
    except Busy:
        return Pruned(entries, Leftovers([], []))


def _entries(core: Core, dry: bool, trust_clock: bool) -> list[Held]:
    held = _seen(core, held_by(core, trust_clock=trust_clock))
    if any(one.because is Because.CLOCK for one in held):
        raise _clock_went_back(core)
    due = [one for one in held if one.due]
    if dry:
        return due
    pauses.refuse(core.store, {one.case for one in due})
    by_run: dict[str, list[Held]] = {}
    for one in due:
        by_run.setdefault(one.run, []).append(one)
    return [one for run, of_run in by_run.items() for one in _prune_run(core, run, of_run)]


def _clock_went_back(core: Core) -> Denied:
    now, latest = vault.timestamp(core.clock()), vault.timestamp(core.store.latest())
    return Denied(
        f"the clock says {now}, and the latest time on record is {latest}: nothing goes by its age",
        code="clock-went-back",
        hint="set the clock right; if it is right now, and was wrong before, say --trust-clock",
        next="treegate vault list",
    )


def _prune_run(core: Core, run: str, held: list[Held]) -> list[Held]:
    """What was let go of one run: not what a plan has come to name meanwhile."""
    cases = sorted({one.case for one in held})
    with core.locked(cases):
        with core.store.write() as transaction:
            named = transaction.named()
            gone = [one for one in held if (run, one.entry) not in named]
            if gone:
                transaction.mark_vault(run, [one.entry for one in gone], VaultState.PRUNED, core.by())
        for volume in sorted({core.workspace.volume(one.case) for one in gone}):
            entries = [one.entry for one in gone if core.workspace.volume(one.case) == volume]
            vault.remove(core.workspace, volume, run, entries)
    return gone
