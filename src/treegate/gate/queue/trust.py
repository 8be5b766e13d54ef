"""Whether a status file is to be believed: no author may be able to write it, or an admin has said that it counts."""

from __future__ import annotations

import os
import stat as st
from collections.abc import Iterator
from pathlib import Path

from treegate.engine import access
from treegate.engine.access import User
from treegate.engine.dropbox import PAUSED, PENDING, Dropbox
from treegate.engine.mounts import mount_of
from treegate.engine.store.records import StoredPlan
from treegate.errors import Denied
from treegate.gate import plans
from treegate.gate.core import Core
from treegate.gate.queue.folder import CHANNEL
from treegate.gate.queue.shelving import STATUS
from treegate.model.names import visible

UNVERIFIED = f"{CHANNEL}, identity unverified"


class NotTrusted(Denied):
    """Anybody could have written what stands there."""

    code = "status-not-trusted"


def channel(core: Core, box: Dropbox, plan: StoredPlan) -> str:
    """The channel under which what a status file says counts; raises NotTrusted."""
    if core.config.queue.trust_status:
        return UNVERIFIED
    if core.config.policy.approval.own:
        return CHANNEL  # authors may approve their own plans: there is nobody to keep out
    reason = next(_reasons(core, box.path / PENDING / plan.id, plan), None)
    if reason is not None:
        raise NotTrusted(
            f"this file does not count: {reason}",
            hint="what it said is taken away; decide at another door, or see docs/queue.md for who must not be able "
            "to write here, and for queue.trust_status, and write it again",
            next=f"treegate show {plan.id}",
        )
    return CHANNEL


def lifting(core: Core, box: Dropbox) -> str:
    """Why an author could have taken away the PAUSED that lies in the queue; "" where that is proved of nobody."""
    if core.config.queue.trust_status or core.config.policy.approval.own:
        return ""
    mount, mode = mount_of(str(box.path)), box.path.lstat().st_mode
    if mount.is_fuse or mount.is_network:
        return f"a {mount.type} mount does not prove who may write to it"
    if mode & (st.S_IWGRP | st.S_IWOTH) and not mode & st.S_ISVTX:
        return "others may write the folder, and it is not sticky"
    return _agent_could(core, box.path / PAUSED)


def _agent_could(core: Core, path: Path) -> str:
    try:
        agent = access.user_named(core.config.agent.user)
    except KeyError:
        return "no OS user is named for agents (agent.user), so nobody knows whom to keep out"
    if agent.uid in {0, os.geteuid()}:
        return f"agents run as {visible(agent.name)}, as treegate itself does"
    found = access.replaces(agent, path)
    return f"{visible(agent.name)} may write {visible(str(found.path))}" if found else ""


def _reasons(core: Core, folder: Path, plan: StoredPlan) -> Iterator[str]:
    """Why an author could have written the status file of a plan."""
    mount = mount_of(str(folder))
    if mount.is_fuse or mount.is_network:
        yield f"a {mount.type} mount does not prove who may write to it"
    users = _authors(core, plan)
    if not users:
        yield "no OS user is named for agents (agent.user), so nobody knows whom to keep out"
    for path in (folder / STATUS, folder, folder.parent):
        if path.lstat().st_mode & st.S_IWOTH:
            yield f"everybody may write {visible(str(path))}"
    for user in users:
        yield from _could(user, folder)


def _authors(core: Core, plan: StoredPlan) -> list[User]:
    """The users of the operating system who wrote a plan, and agents'."""
    found = []
    for name in sorted({core.config.agent.user, *plans.authors(core, plan)} - {""}):
        try:
            found.append(access.user_named(name))
        except KeyError:
            continue
    return found


def _could(user: User, folder: Path) -> Iterator[str]:
    """How a user could have written a status file, in words."""
    if user.uid in {0, os.geteuid()}:
        yield f"{visible(user.name)} wrote the plan, and treegate itself runs as that user or is no stronger"
        return
    for path in (folder / STATUS, folder):
        if way := access.changes(user, path):
            yield f"{visible(user.name)} may write {visible(str(path))} {way}"
    if found := access.replaces(user, folder / STATUS):
        yield f"{visible(user.name)} may put another file in its place: it may write {visible(str(found.path))}"
