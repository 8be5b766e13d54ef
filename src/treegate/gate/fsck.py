"""fsck: whether store, journals, receipts, vaults, reports and tree tell one story; only copies are made anew."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from treegate.engine import audit, receipts, sandboxes, tablefile, vault
from treegate.engine import projections as files
from treegate.engine.probe import Finding
from treegate.engine.projections import Found, Projection
from treegate.engine.store.records import Run, VaultState
from treegate.errors import NotVerified, TreegateError
from treegate.gate import auditing, health, intact, projections, reporting, stock, vaultfiles
from treegate.gate.core import Core
from treegate.gate.queue import shelving
from treegate.gate.queue.folder import CHANNEL
from treegate.gate.sandboxing import report
from treegate.gate.undoing import note_rolled_back
from treegate.model.actors import Action, Role
from treegate.model.commands import OVER
from treegate.model.lifecycle import UNFINISHED, State
from treegate.model.names import visible

BACKUP = "restore it from a backup"
MOST = 5  # reports that cannot be written are named, and then counted


def fsck(core: Core, *, dry: bool = False) -> list[Finding]:
    """What does not fit together, in plain words with advice; projections that do not are made anew, unless `dry`.

    Nothing else is changed, but for what `rollback.sh` left to be noted in the store.
    """
    core.actor.require_everywhere(Action.TEND, by=[Role.REVIEWER])
    found = [Finding("error", f"the database: {text}", "restore a backup") for text in core.store.integrity()]
    found += health.age(core)
    audited = auditing.verify(core)
    found += [Finding("error", f"the audit log: {one.title}", one.advice) for one in _errors(audited.findings)]
    trusted = not found
    runs = core.store.runs()
    for run in runs:
        found += _told(f"run {run.id}", partial(_run, core, run, audited.keys, dry))
    found += _told("the plans", partial(stock.checked, core))
    found += _strays(core, {run.id for run in runs})
    return found + (list(_projections(core, dry)) if trusted else [_LEFT])


_LEFT = Finding(
    "note",
    "the reports were not looked at, and are left as they are: the database that they are made from is in doubt",
    "they may tell what it no longer does; put it right first",
)


def _told(what: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What a look finds, up to where the record itself cannot be read."""
    try:
        yield from look()
    except TreegateError as error:
        yield Finding("error", f"{what}: {error.message}", error.hint or BACKUP)


def _errors(found: Iterable[Finding]) -> list[Finding]:
    return [one for one in found if one.severity == "error"]


# -- runs


def _run(core: Core, run: Run, keys: list[str], dry: bool) -> Iterator[Finding]:
    run = core.store.run(run.id)  # noting one run may have changed another
    if run.state in UNFINISHED:
        yield from _unfinished(core, run)
        return
    yield from _rolled_back(core, run, dry)
    yield from _uncleared(core, run)
    yield from _told(f"the step table of {run.id}", partial(_vault, core, run))
    yield from vaultfiles.manifests(core, run, dry=dry)
    yield from _told(f"the receipt of {run.id}", partial(_receipt, core, run, keys, dry))


def _unfinished(core: Core, run: Run) -> Iterator[Finding]:
    """A run that has not ended, held against its journal."""
    folder = core.run_directory(run.id)
    if not (folder / tablefile.NAME).exists():
        if run.state is State.APPLYING:
            text = f"run {run.id} is unfinished, and has no journal: nothing of it happened"
            yield Finding("error", text, "treegate recover")
        else:
            text = f"run {run.id} is unfinished, and its journal is gone"
            yield Finding("error", text, f"put {visible(str(folder))} back from a backup before anything else")
        return
    tablefile.read(folder / tablefile.NAME, run.table_digest)
    yield Finding("error", f"run {run.id} is unfinished", "treegate recover")


def _rolled_back(core: Core, run: Run, dry: bool) -> Iterator[Finding]:
    """What `rollback.sh` did to a run without treegate, noted."""
    try:
        if not dry:
            note_rolled_back(core, run)
        elif run.state is State.APPLIED and any(vault.mark_of(core.workspace, one, run.id) for one in volumes(core)):
            yield Finding(
                "warning", f"rollback.sh took {run.id} back, which the store does not know", "treegate fsck"
            )
    except (TreegateError, OSError) as error:
        yield Finding("error", f"what rollback.sh did to {run.id} cannot be noted: {error}", "restore a backup")


def _uncleared(core: Core, run: Run) -> Iterator[Finding]:
    """What a crash at the very end of a run left behind."""
    if core.run_directory(run.id).exists():
        yield Finding("warning", f"run {run.id} ended, and its journal is still there", "treegate recover")
        return
    for volume in volumes(core):
        area = core.workspace.area(volume) / "runs" / run.id
        if area.exists():
            where = visible(str(area.relative_to(core.workspace.root)))
            yield Finding("warning", f"{where} is left of run {run.id}, which ended", "look what is in it")


def _vault(core: Core, run: Run) -> Iterator[Finding]:
    for kept, text in intact.altered(core, run):
        yield Finding(
            "error",
            f"in the vault of {run.id}, entry {kept.entry} ({visible(kept.path)}) {text}",
            "put it back from a backup of the vault; undo does not bring it back as it is",
        )
    known = {str(kept.entry): kept.state for kept in core.store.vault(run=run.id, state=None)}
    for volume in volumes(core):
        for name in sorted(_listed(core.workspace.vault(volume, run.id) / vault.ENTRIES)):
            state = known.get(name)
            if state is not VaultState.KEPT:
                says = "knows nothing of it" if state is None else f"has it as {state.value}"
                text = f"in the vault of {run.id}, entry {visible(name)} is there, and the store {says}"
                noted = state is VaultState.PRUNED  # by a prune that was interrupted
                advice = "`treegate vault prune` removes it" if noted else "leave it until it is clear whose it is"
                yield Finding("warning", text, advice)


def _receipt(core: Core, run: Run, keys: list[str], dry: bool) -> Iterator[Finding]:
    """The receipt of a run, if it is the right one, and what it vouches for; raises NotFound or NotVerified."""
    if not run.receipt_digest:
        return
    folder = core.state / "receipts"
    receipt = receipts.read(folder, run.id)
    if receipts.digest_of(receipt) != run.receipt_digest:
        raise NotVerified("it is not the one the store knows", hint=BACKUP)
    yield from vaultfiles.scripts(core, run, receipt, dry=dry)
    receipts.verify(folder, receipt, keys or [core.key().public])


# -- what is of no run


def _strays(core: Core, known: set[str]) -> Iterator[Finding]:
    """Folders of runs that the store knows nothing of."""
    for volume in volumes(core):
        area = core.workspace.area(volume)
        for folder in (area / "vault", area / "runs"):
            for name in sorted(_listed(folder) - known):
                text = f"{folder.relative_to(core.workspace.root)}/{visible(name)} is of no run that the store knows"
                yield Finding(
                    "warning", text, "was the database restored from a backup? leave it until that is clear"
                )
    for name in sorted(_listed(core.state / "runs") - known):
        yield Finding("warning", f"a journal of {visible(name)}, which the store does not know", "leave it as it is")


def volumes(core: Core) -> list[str]:
    """The workspace's own volume, and those of cases on filesystems of their own."""
    return sorted({"", *core.workspace.cases().values()})


def _listed(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return set()


# -- reports


def _projections(core: Core, dry: bool) -> Iterator[Finding]:
    """Every report held against the store; each batch alone, so that nobody who acts has to wait for all."""
    stuck: list[Found] = []
    for what, batch in _batches(core, dry):
        try:
            with reporting.alone(core):
                found = list(batch())
        except TreegateError as error:
            yield Finding("error", f"the reports on {what}: {error.message}", error.hint or BACKUP)
            continue
        stuck += [one for one in found if one.error is not None]
        yield from (_report(one, dry) for one in found if one.error is None)
    yield from (_stuck(one) for one in stuck[:MOST])
    if len(stuck) > MOST:
        yield Finding("error", f"{len(stuck) - MOST:,} more reports cannot be written", "as above")


def _batches(core: Core, dry: bool) -> Iterator[tuple[str, Callable[[], Iterable[Found]]]]:
    dropped = audit.plans_from(core.store, CHANNEL)
    for plan in core.store.list_plans(limit=1 << 30)[0]:
        yield f"plan {plan.id}", partial(_plan, core, plan.id, plan.id in dropped, dry)
    for run in core.store.runs():
        yield f"run {run.id}", partial(_brought, core, partial(projections.of_ended, core, run.id), dry)
    for command in sandboxes.listed(core.store, OVER, limit=1 << 30):
        yield f"the command {command.id}", partial(_brought, core, partial(report.due, core, command), dry)
    yield "plans that left a case", partial(_brought, core, partial(projections.strays, core), dry)


def _plan(core: Core, id: str, dropped: bool, dry: bool) -> Iterator[Found]:
    yield from _brought(core, partial(projections.of_known, core, id, dropped=dropped), dry)
    if dropped:
        yield from shelving.restore(core, core.store.plan(id), dry=dry)


def _brought(core: Core, due: Callable[[], Iterable[Projection]], dry: bool) -> Iterator[Found]:
    for projection in due():
        yield from files.bring(core.workspace.root, projection, dry=dry)


def _report(found: Found, dry: bool) -> Finding:
    if dry:
        return Finding("error", f"{projections.shown(found.place)}: {found.how}", "`treegate fsck` writes it anew")
    return Finding("rebuilt", f"{projections.shown(found.place)}: {found.how}", "")


def _stuck(found: Found) -> Finding:
    text = f"{projections.shown(found.place)} is not as it should be, and cannot be written: {found.how}"
    return Finding(
        "error", text, "see to what is in the way, then let fsck write it; no plan or run is the worse for it"
    )
