"""Health: what the mounts promise, and what waits to be put right."""

from __future__ import annotations

import stat as st
from collections.abc import Iterator

from treegate.engine import probe
from treegate.engine.mounts import mount_of
from treegate.engine.probe import Finding
from treegate.engine.sandbox import abilities
from treegate.engine.workspace import generation
from treegate.errors import NotVerified
from treegate.gate import agentuser
from treegate.gate.core import Core
from treegate.gate.notifying import lookout
from treegate.gate.queue import folder
from treegate.model.actors import Action, Role
from treegate.model.names import visible


def doctor(core: Core, *, deep: bool = False) -> list[Finding]:
    """What may go wrong here, in plain words with advice; mounts are tried anew. `deep` looks at every entry."""
    core.actor.require_everywhere(Action.TEND, by=() if deep else [Role.REVIEWER])
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
    found += age(core)
    try:
        core.key()
    except NotVerified as error:
        found.append(Finding("error", f"{error.message}: no run can be signed for", error.hint))
    found += agentuser.findings(core, deep=deep)
    found += folder.findings(core)
    found += lookout.findings(core)
    found += sandboxes(core)
    return found


def sandboxes(core: Core) -> Iterator[Finding]:
    """What commands run on here, and why not on something better; said once, however many volumes there are."""
    wanted, seen = core.config.sandbox, set()
    if wanted.helper:
        yield abilities.of_helper(wanted.helper)
        return
    volumes = {core.workspace.volume(case): case for case in sorted(core.workspace.cases(), reverse=True)}
    for case in volumes.values():
        found = abilities.abilities(str(core.workspace.case_path(case)), wanted.image)
        for finding in abilities.findings(found, wanted.engine):
            if finding not in seen:
                seen.add(finding)
                yield finding


def age(core: Core) -> Iterator[Finding]:
    """Whether the database is older than the tree, as after a backup was put back."""
    if generation(core.workspace.root) > core.store.meta().generation:
        yield Finding(
            "error",
            "the database is older than the tree",
            "restore the newest backup of the state directory; until then nothing is applied",
        )
