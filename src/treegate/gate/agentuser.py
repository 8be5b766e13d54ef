"""The agent's OS user: who it may be, and what it could change behind the gate's back.

Nothing of the workspace is mended here: its files are people's own. What is open is said, and how to mend it.
"""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Iterator
from pathlib import Path

from treegate.engine import access
from treegate.engine.access import Opening, User, Way
from treegate.engine.probe import Finding
from treegate.engine.workspace import AREA, DATABASE
from treegate.errors import Denied, NotFound
from treegate.gate.core import Core
from treegate.model.names import visible

_SECRETS = {"key": "the signing key", DATABASE: "the database"}
_LISTED = 3  # paths that one command names; above that it takes their common folder with all below it


def chosen(name: str) -> User:
    """The OS user to keep out; raises NotFound, or Denied for one that nothing keeps out."""
    try:
        user = access.user_named(name)
    except (KeyError, ValueError):
        text = f"there is no OS user {name!r}"
        raise NotFound(text, code="user-missing", hint="make it first: useradd --system NAME") from None
    if reason := _beyond(user, os.geteuid()):
        hint = "give agents a user of their own: useradd --system NAME"
        raise Denied(reason, code="agent-user-unfit", hint=hint, next="treegate init --help")
    return user


def _beyond(user: User, reviewer: int) -> str:
    """Why no permission keeps this user out, if so."""
    if user.uid == 0:
        return f"{user.name} is root, whom no permission keeps out"
    if user.uid == reviewer:
        return f"{user.name} is the user that treegate itself runs as: an agent could approve its own plans"
    return ""


def refuse_within_reach(user: User, root: Path, state: Path) -> None:
    """Raises Denied where the agent's user could put a state directory, or `.treegate/`, of its own in place."""
    for path in (state, root / AREA):
        found = access.replaces(user, path)
        if found is None and os.path.lexists(path) and path.lstat().st_uid == user.uid:
            found = Opening(path, Way.OWNER)
        if found:
            raise Denied(
                f"{user.name} may write {found.path} {found.way}, and so put something else in place of {path}",
                code="agent-within-reach",
                hint=_mend(user, [found], found.path),
                next="treegate init --help",
                path=str(found.path),
            )


def findings(core: Core, *, deep: bool = False) -> list[Finding]:
    """What the agent's user could do without a plan; `deep` looks at every entry of every case."""
    name = core.config.agent.user
    if not name:
        return _unnamed(core)
    try:
        user = access.user_named(name)
    except KeyError:
        return [Finding("error", f"there is no OS user {visible(name)} any more", "set agent.user in treegate.toml")]
    if reason := _beyond(user, core.state.stat().st_uid):
        return [Finding("error", reason, "give agents a user of their own, and set agent.user in treegate.toml")]
    return [*_state(core, user), *_area(core, user), *_cases(core, user, deep)]


def _unnamed(core: Core) -> list[Finding]:
    if core.config.policy.approval.own:
        return []
    text = "no OS user is named for agents: one that runs as you could approve its own plans"
    return [Finding("note", text, "give agents a user of their own, and set agent.user in treegate.toml")]


def _state(core: Core, user: User) -> Iterator[Finding]:
    yield from _replaced(user, core.state, "the state directory")
    if access.may(user, core.state, access.SEARCH):
        yield Finding("error", f"{user.name} may enter the state directory", f"chmod 700 {_quoted(core.state)}")
    for name, what in _SECRETS.items():
        if access.may(user, core.state / name, access.READ):
            yield Finding("error", f"{user.name} may read {what}", f"chmod 600 {_quoted(core.state / name)}")


def _area(core: Core, user: User) -> Iterator[Finding]:
    volumes = {"", *(core.workspace.volume(case) for case in core.workspace.cases())}
    for area in map(core.workspace.area, sorted(volumes)):
        if not area.exists():
            continue
        yield from _replaced(user, area, str(area))
        if access.reaches(user, area) and access.changes(user, area):
            yield Finding("error", f"{user.name} may write {visible(str(area))}", f"chmod 700 {_quoted(area)}")


def _replaced(user: User, path: Path, what: str) -> Iterator[Finding]:
    if found := access.replaces(user, path):
        text = (
            f"{user.name} may put something else in place of {visible(what)}: it may write {visible(str(found.path))}"
        )
        yield Finding("error", f"{text} {found.way}", _mend(user, [found], found.path))


def _cases(core: Core, user: User, deep: bool) -> Iterator[Finding]:
    projects = core.workspace.projects
    if not access.reaches(user, projects):
        return
    by_way: dict[Way, list[Opening]] = {}
    for one in _open(core, user, deep):
        by_way.setdefault(one.way, []).append(one)
    for way, found in by_way.items():
        shown = ", ".join(visible(str(one.path.relative_to(core.workspace.root))) for one in found[:_LISTED])
        more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        yield Finding("error", f"{user.name} may write {shown}{more} {way}", _mend(user, found, projects))


def _open(core: Core, user: User, deep: bool) -> Iterator[Opening]:
    """What the user may change: the folder of the cases, each case's own folder, and, `deep`, all that is in them."""
    workspace = core.workspace
    if workspace.single is None and (way := access.changes(user, workspace.projects)):
        yield Opening(workspace.projects, way)
    for case in sorted(workspace.cases()):
        folder = workspace.case_path(case)
        if not access.reaches(user, folder):
            continue
        if deep:
            yield from access.openings(user, folder, frozenset({AREA}))
        elif way := access.changes(user, folder):
            yield Opening(folder, way)


def _mend(user: User, found: list[Opening], top: Path) -> str:
    """The command that closes what is open in one way: for the entries themselves, or for all under a folder."""
    way, few = found[0].way, len(found) <= _LISTED
    where = " ".join(_quoted(one.path) for one in found) if few else _quoted(top)
    if way is Way.OWNER:
        me = shlex.quote(_login(os.geteuid()))
        return f"chown {me} {where}" if few else f"find {where} -user {user.name} -exec chown -h {me} {{}} +"
    recursive = "" if few else "-R "
    acl = f"setfacl {recursive}-m u:{user.name}:rX {where}"
    letter = {Way.GROUP: "g", Way.OTHER: "o"}.get(way)
    return f"{acl}    (or: chmod {recursive}{letter}-w {where})" if letter else acl


def _login(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
