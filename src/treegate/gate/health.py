"""Health: what the mounts promise, and whether store, journals, vaults and tree tell one story."""

from __future__ import annotations

import os
import stat as st
from collections.abc import Iterator
from pathlib import Path

from treegate.engine import checkpoints, probe, receipts
from treegate.engine.mounts import mount_of
from treegate.engine.probe import Finding
from treegate.engine.workspace import generation
from treegate.errors import NotVerified, TreegateError
from treegate.gate import auditing, intact
from treegate.gate.core import Core
from treegate.gate.undoing import note_rolled_back
from treegate.model.lifecycle import State
from treegate.model.names import visible


def doctor(core: Core) -> list[Finding]:
    """What may go wrong here, in plain words with advice; mounts are tried anew."""
    found = list(probe.state_findings(str(core.state)))
    mode = st.S_IMODE(core.state.stat().st_mode)
    if mode & 0o077:
        text = f"the state directory may be entered by others (mode {mode:04o})"
        found.append(Finding("error", text, f"chmod 700 {core.state}"))
    seen: set[str] = set()
    for case in sorted(core.workspace.cases()):
        volume = core.workspace.volume(case)
        if volume not in seen:
            seen.add(volume)
            path = str(core.workspace.case_path(volume) if volume else core.workspace.projects)
            found += probe.findings(core.workspace.capabilities(case, anew=True), mount_of(path))
    for run in core.store.unfinished():
        text = f"run {run.id} on {', '.join(map(visible, run.cases))} is unfinished"
        found.append(Finding("error", text, "treegate recover"))
    found += _age(core)
    return found


def _age(core: Core) -> Iterator[Finding]:
    if generation(core.workspace.root) > core.store.meta().generation:
        yield Finding(
            "error",
            "the database is older than the tree",
            "restore the newest backup of the state directory; until then nothing is applied",
        )


def fsck(core: Core) -> list[Finding]:
    """Holds the store against itself, journals, receipts, vaults and the tree; changes nothing but what `rollback.sh`
    left to be noted."""
    found = [Finding("error", f"the database: {text}", "restore a backup") for text in core.store.integrity()]
    found += _age(core)
    found += _audit(core)
    known = set()
    for run in core.store.runs(limit=1_000_000):
        known.add(run.id)
        found += _run(core, run.id)
    found += _strays(core, known)
    return found


def _audit(core: Core) -> Iterator[Finding]:
    for fault in auditing.verify(core).faults:
        yield Finding("error", f"the audit log: {fault}", "treegate audit verify")


def _run(core: Core, id: str) -> Iterator[Finding]:
    run = core.store.run(id)
    if run.state in {State.APPLYING, State.NEEDS_RECOVERY}:
        yield Finding("error", f"run {id} is unfinished", "treegate recover")
        return
    try:
        note_rolled_back(core, run)
    except (TreegateError, OSError) as error:
        yield Finding("error", f"what rollback.sh did to {id} cannot be noted: {error}", "restore a backup")
    receipt = None
    if run.receipt_digest:
        try:
            receipt = _receipt(core, id, run.receipt_digest)
        except TreegateError as error:
            yield Finding("error", f"the receipt of {id}: {error.message}", error.hint or "restore it from a backup")
    try:
        for fault in intact.faults(core, run, receipt):
            yield Finding("error", fault.text, fault.advice)
    except TreegateError as error:
        yield Finding("error", f"the step table of {id}: {error.message}", error.hint or "restore it from a backup")


def _receipt(core: Core, id: str, digest: str) -> receipts.Receipt:
    """The receipt of a run, if it is the right one; raises NotFound or NotVerified."""
    folder = core.state / "receipts"
    receipt = receipts.read(folder, id)
    if receipts.digest_of(receipt) != digest:
        raise NotVerified("it is not the one the store knows", hint="restore it from a backup")
    receipts.verify(folder, receipt, checkpoints.public_keys(core.store) or [core.key().public])
    return receipt


def _strays(core: Core, known: set[str]) -> Iterator[Finding]:
    """Folders of runs that the store knows nothing of."""
    for volume in sorted({"", *(core.workspace.volume(case) for case in core.workspace.cases())}):
        area = core.workspace.area(volume)
        for folder in (area / "vault", area / "runs"):
            for name in sorted(_listed(folder) - known):
                text = f"{folder.relative_to(core.workspace.root)}/{visible(name)} is of no run that the store knows"
                yield Finding(
                    "warning", text, "was the database restored from a backup? leave it until that is clear"
                )
    for name in sorted(_listed(core.state / "runs") - known):
        yield Finding("warning", f"a journal of {visible(name)}, which the store does not know", "leave it as it is")


def _listed(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except FileNotFoundError:
        return set()
