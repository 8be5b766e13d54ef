"""Making, adopting and opening a workspace."""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from treegate.engine import configfile, configpages, keys, tokens
from treegate.engine.caselist import unreadable
from treegate.engine.store import Store
from treegate.engine.store.records import By
from treegate.engine.workspace import (
    AREA,
    DATABASE,
    MARKER,
    Workspace,
    new_marker,
    read_marker,
    refuse_remote_state,
    replace_file,
    state_directory,
    write_marker,
)
from treegate.errors import NotFound, NotVerified, UsageError
from treegate.gate import agentuser, projections
from treegate.gate.core import Core, milliseconds
from treegate.gate.policies import note_policy, note_sandbox, note_trust
from treegate.model.actors import Actor, os_user

OURS = ("Reports", "Database", "Tools")  # folders of treegate's own, unless somebody has such a one already
FOLDERS = ("locks", "blobs", "runs", "previews", "receipts")


def init(
    root: Path, environ: Mapping[str, str], *, single: bool = False, solo: bool = False, agent_user: str = ""
) -> Core:
    """Makes a folder a workspace, or adopts it; touches no file that is in it.

    `single`: the folder itself is the one case, in which treegate's own folders lie out of every plan's sight.
    `solo`: authors may approve their own plans. `agent_user`: the OS user of agents, who is kept out of the state
    directory and of `.treegate/`. A folder without `projects/` that holds folders is taken as one whose cases lie
    directly in it.
    """
    root = _existing(root)
    if (root / AREA / MARKER).exists():
        found = read_marker(root)
        text = f"{root} is a workspace already ({found.workspace})"
        raise UsageError(text, code="already-a-workspace", next="treegate doctor")
    marker = new_marker()
    state = state_directory(marker.workspace, environ)
    refuse_remote_state(state)
    if (state / DATABASE).exists():
        hint = "name an empty one with --state DIR"
        next = f"treegate init {shlex.quote(str(root))} --state {shlex.quote(f'{state}-{marker.workspace[:8]}')}"
        raise UsageError(f"{state} belongs to another workspace", code="state-taken", hint=hint, next=next)
    changes = _changes(root, single, solo)
    if agent_user:
        agent = agentuser.chosen(agent_user)
        agentuser.refuse_within_reach(agent, root, state)
        changes["agent.user"] = agent.name
    _make_state(state, changes)
    configfile.load(state, environ)
    store = Store.open(state / DATABASE, create=True)
    key = keys.create(state)
    user = shell_user()
    by = By(user.name, user.channel, milliseconds(), user.role.value)
    with store.write() as transaction:
        transaction.adopt(marker.workspace, marker.state, by, key.public)
    store.close()
    write_marker(root, marker)
    _close_area(root)
    return open_workspace(root, environ)


def _close_area(root: Path) -> None:
    """A folder that was there before may be open to others; where modes cannot be set, doctor says what is open."""
    with contextlib.suppress(OSError):
        (root / AREA).chmod(0o700)


def _existing(root: Path) -> Path:
    if not root.exists():
        raise NotFound(f"{root} is not there", code="workspace-missing", hint="make the folder first")
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder", code="not-a-folder")
    if not os.access(root, os.W_OK | os.X_OK):
        hint = "is it mounted read-only?"
        raise UsageError(f"{root} may not be written to", code="workspace-read-only", hint=hint)
    return root.resolve()


def _changes(root: Path, single: bool, solo: bool) -> dict[str, object]:
    """The settings of a new workspace that differ from the defaults."""
    changes: dict[str, object] = {}
    if single:
        changes |= {"workspace.single": True, "workspace.projects": "."}
        changes |= {f"workspace.{name.lower()}": f"treegate/{name}" for name in OURS if (root / name).exists()}
    elif not (root / "projects").is_dir():
        changes["workspace.projects"] = "."
    if solo:
        changes["policy.approval.own"] = True
    return changes


def _make_state(state: Path, changes: Mapping[str, object]) -> None:
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.chmod(0o700)
        for name in FOLDERS:
            (state / name).mkdir(mode=0o700, exist_ok=True)
        if not (state / configfile.FILE).exists():
            replace_file(state / configfile.FILE, configpages.default_toml(changes).encode())
    except OSError as error:
        hint = "name another with --state DIR or TREEGATE_STATE"
        raise UsageError(f"{state}: {error.strerror}", code="state-unwritable", hint=hint) from None


def open_workspace(root: Path, environ: Mapping[str, str]) -> Core:
    """Opens a workspace as whoever TREEGATE_TOKEN names, or as the OS user."""
    root = root.absolute()
    if not _is_folder(root):
        hint = "is the bucket mounted?"
        raise NotFound(f"the workspace {root} is not there", code="workspace-missing", hint=hint)
    marker = read_marker(root)
    state = state_directory(marker.workspace, environ)
    refuse_remote_state(state)
    if not (state / DATABASE).exists():
        text = f"the state directory {state} has no database"
        hint = "was it moved? name it with --state DIR or TREEGATE_STATE"
        raise NotFound(text, code="state-missing", hint=hint)
    config = configfile.load(state, environ)
    store = Store.open(state / DATABASE)
    meta = store.meta()
    if (meta.workspace, meta.state) != (marker.workspace, marker.state):
        raise NotVerified(
            f"{root} belongs to state {marker.state}, and {state} is {meta.state}",
            code="state-mismatch",
            hint="name the state directory that made this workspace with --state DIR",
        )
    core = Core(Workspace(root, marker, state, config), store, acting(store, environ))
    note_policy(core, meta)
    note_trust(core, meta)
    note_sandbox(core, meta)
    store.told = partial(projections.note, core)
    return core


def _is_folder(root: Path) -> bool:
    try:
        return root.is_dir()
    except OSError as error:
        raise unreadable(root, error) from None


def acting(store: Store, environ: Mapping[str, str]) -> Actor:
    """Who acts: the name of the token in TREEGATE_TOKEN, or the OS user."""
    text = environ.get("TREEGATE_TOKEN")
    return tokens.authenticate(store, text, at=milliseconds()) if text else shell_user()


def shell_user() -> Actor:
    """The OS user at the shell."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = f"uid-{os.geteuid()}"
    return os_user(name)
