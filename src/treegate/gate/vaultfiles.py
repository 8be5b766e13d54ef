"""The files about a run's vault, its manifest and rollback script: held against the record, and made anew from it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from treegate.engine import receipts, vault
from treegate.engine.journal import Entry
from treegate.engine.probe import Finding
from treegate.engine.store.records import Kept, Run, VaultState
from treegate.engine.tablefile import Table
from treegate.errors import TreegateError
from treegate.gate import intact
from treegate.gate.core import Core
from treegate.model.names import visible

SPARE = "restore it from a backup; `treegate undo` does not need it"


def manifests(core: Core, run: Run, *, dry: bool) -> Iterator[Finding]:
    """What is wrong with the manifests of an ended run, and (unless `dry`) whether it is right now."""
    for volume in sorted({core.workspace.volume(case) for case in run.cases}):
        if core.workspace.vault(volume, run.id).exists():
            yield from _manifest(core, run, volume, dry)


def scripts(core: Core, run: Run, receipt: receipts.Receipt, *, dry: bool) -> Iterator[Finding]:
    """The same of its rollback scripts and their data, whose digests the receipt knows."""
    for shown, sha256 in receipt.vault.sums.items():
        path = core.workspace.root / shown
        how = _unlike(path, sha256)
        if how and path.parent.exists():
            yield _settled(visible(shown), how, dry, partial(_rewritten, core, run, path, sha256))


def _settled(what: str, how: str, dry: bool, mend: Callable[[], bool]) -> Finding:
    """What to say of a file, once it was made anew if it could be."""
    if dry:
        return Finding("error", f"{what} {how}", "`treegate fsck` makes it anew, if the record of its run is whole")
    try:
        if mend():
            return Finding("rebuilt", f"{what} {how}: made anew", "")
        return Finding("error", f"{what} {how}, and what can be made anew is not what its run wrote", SPARE)
    except (TreegateError, OSError, KeyError) as error:
        return Finding("error", f"{what} {how}, and could not be made anew: {error}", SPARE)


def _manifest(core: Core, run: Run, volume: str, dry: bool) -> Iterator[Finding]:
    rows = [kept for kept in core.store.vault(run=run.id, state=None) if core.workspace.volume(kept.case) == volume]
    how = _amiss(core, run, volume, rows)
    if how:
        due = [kept for kept in rows if kept.state is VaultState.KEPT]
        yield _settled(f"the manifest in the vault of {run.id}", how, dry, partial(_listed, core, run, volume, due))


def _amiss(core: Core, run: Run, volume: str, rows: list[Kept]) -> str:
    """How a manifest is not as the store would have it, as the end of a sentence."""
    try:
        found = vault.manifest(core.workspace, volume, run.id)
    except TreegateError as error:
        return f"is damaged ({error.message})"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if found is None:
        return "is gone" if run.receipt_digest else ""
    due = {kept.entry for kept in rows if kept.state is VaultState.KEPT}
    known = {kept.entry: vault.line(kept) for kept in rows}
    listed = {line.entry: line for line in found.entries}
    right = (found.run, found.workspace) == (run.id, core.workspace.id) and due <= listed.keys()
    same = all(known.get(number) == line for number, line in listed.items())
    return "" if right and same else "does not say what the store knows"


def _listed(core: Core, run: Run, volume: str, due: list[Kept]) -> bool:
    vault.rewrite_manifest(core.workspace, volume, run.id, due, run.ended_at or core.clock())
    return True


def _unlike(path: Path, sha256: str) -> str:
    """How a file is not what its run wrote, as the end of a sentence."""
    try:
        with open(path, "rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == sha256
            return "" if same else "is not as the run wrote it"
    except FileNotFoundError:
        return "is gone"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _rewritten(core: Core, run: Run, path: Path, sha256: str) -> bool:
    volume = next(one for one in _volumes(core, run) if core.workspace.vault(one, run.id) == path.parent)
    pieces = partial(_data, core, run, volume) if path.name == vault.DATA else _script
    return vault.rewrite(core.workspace, volume, run.id, path.name, pieces, sha256)


def _script() -> Iterable[bytes]:
    return [vault.script()]


def _data(core: Core, run: Run, volume: str) -> Iterable[bytes]:
    table = intact.kept_table(core, run)
    return vault.rollback_data(core.workspace, volume, run.id, table, _built(core, run, table))


def _volumes(core: Core, run: Run) -> set[str]:
    return {"", *map(core.workspace.volume, run.cases)}


def _built(core: Core, run: Run, table: Table) -> dict[int, Entry]:
    """What the run made, by number, as the lines of its receipt know it."""
    made = {step.entry for step in table.steps() if not step.facts}
    lines = receipts.read_lines(core.state / "receipts" / f"{run.id}.lines")
    return {
        line.effect.entry: Entry(line.effect.entry, line.packed, line.sha256)
        for line in lines
        if line.effect.entry in made
    }
