"""Leftovers: what nothing needs any more, cleared with the vault: bare vault folders, old step tables, old blobs.

Also entries that an earlier prune noted as gone and did not come to remove.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from treegate.engine import vault
from treegate.engine.locks import workspace_lock
from treegate.engine.store.records import Run, StoredPlan, VaultState
from treegate.gate import plans
from treegate.gate.core import Core
from treegate.model.lifecycle import AS_PREVIEWED, LIVE, UNFINISHED, State
from treegate.model.measures import DAY

FRESH = DAY  # a blob may be sent before the plan that names it


class Leftovers(NamedTuple):
    """What nothing needs any more: vault folders (volume, run), and files of the state directory."""

    folders: list[tuple[str, str]]
    files: list[Path]

    @property
    def runs(self) -> list[str]:
        """The runs whose vault folders these are."""
        return sorted({run for _, run in self.folders})


def clear(core: Core, *, dry: bool = False) -> Leftovers:
    """Clears what nothing needs, noted in the store first; returns what was (or, `dry`, would be) cleared.

    Nobody else works meanwhile, so that nothing is taken from under a plan that is just being stored. Raises Busy.
    """
    with _alone(core):
        noted = dict(_noted(core))
        found = Leftovers(sorted({*_folders(core), *noted}), [*_tables(core), *_blobs(core)])
        if not dry and (found.folders or found.files):
            size = sum(path.stat().st_size for path in found.files)
            with core.store.write() as transaction:
                transaction.note_cleared(found.runs, len(found.files), size, core.by())
            for volume, run in found.folders:
                vault.remove(core.workspace, volume, run, noted.get((volume, run), ()))
            for path in found.files:
                path.unlink()
    return found


@contextmanager
def _alone(core: Core) -> Iterator[None]:
    with workspace_lock(core.state / "locks", shared=False, wait=core.config.lock_wait / 1000):
        core.workspace.check_marker()
        yield


def _folders(core: Core) -> Iterator[tuple[str, str]]:
    """Vault folders of runs that keep nothing, as old as what is kept may become: until then rollback.sh is there."""
    keep = core.config.vault.keep
    if keep is None:
        return
    oldest = core.clock() - keep
    busy = {kept.run for kept in core.store.vault()} | {plan.undo_of for plan in _plans(core, LIVE)}
    done = {run.id for run in core.store.runs() if run.id not in busy and _ended(run, oldest)}
    for volume in _volumes(core):
        for run in vault.runs(core.workspace, volume):
            if run in done and vault.bare(core.workspace, volume, run):
                yield volume, run


def _noted(core: Core) -> Iterator[tuple[tuple[str, str], list[int]]]:
    """Entries that are still there though the store has them as pruned, by volume and run."""
    for volume in _volumes(core):
        for run in vault.runs(core.workspace, volume):
            there = vault.entries(core.workspace, volume, run)
            gone = core.store.vault(run=run, state=VaultState.PRUNED) if there else ()
            if left := [one.entry for one in gone if str(one.entry) in there]:
                yield (volume, run), left


def _volumes(core: Core) -> list[str]:
    return sorted({"", *core.workspace.cases().values()})


def _ended(run: Run, oldest: int) -> bool:
    return run.state not in UNFINISHED and run.ended_at is not None and run.ended_at <= oldest


def _tables(core: Core) -> Iterator[Path]:
    """Step tables, and what was left out of them, of previews that can no longer be carried out as they are."""
    named = {run.table_digest for run in core.store.unfinished()}
    for plan in _plans(core, AS_PREVIEWED):
        stored = core.store.preview(plan.id)
        if stored is not None:
            named.add(stored.table_digest)
    return (path for path in sorted((core.state / "previews").iterdir()) if path.stem not in named)


def _blobs(core: Core) -> Iterator[Path]:
    """Contents that no live plan brings."""
    old = [path for path in core.blobs.kept() if path.stat().st_mtime * 1000 <= core.clock() - FRESH]
    named = {sha256 for plan in _plans(core, LIVE) for sha256 in _brought(core, plan)} if old else set()
    return (path for path in sorted(old) if path.name not in named)


def _brought(core: Core, plan: StoredPlan) -> Iterator[str]:
    return plans.decode(core.store.document(plan.id, plan.revision)).blobs()


def _plans(core: Core, states: frozenset[State]) -> list[StoredPlan]:
    return core.store.list_plans(states, limit=1 << 30)[0]
