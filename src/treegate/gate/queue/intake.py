"""Intake: what was dropped becomes a plan, once, or lies among what failed with a message beside it.

A drop is claimed by one rename, under the id that its plan will have. Whatever a crash leaves says itself what is
still to be done: something claimed whose plan is not known is handed in; once its plan is known, the claim goes.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack, suppress
from enum import StrEnum

import msgspec

from treegate.engine import sandboxes
from treegate.engine.dropbox import Drop, Dropbox, owner
from treegate.engine.locks import passing_lock
from treegate.engine.store.records import StoredPlan
from treegate.errors import (
    Busy,
    Denied,
    Expired,
    NeedsRecovery,
    NotFound,
    PlanError,
    Stale,
    TreegateError,
    UsageError,
)
from treegate.gate import jobs, openplans, plans, projections, runs
from treegate.gate.core import Core
from treegate.gate.queue import scripts
from treegate.gate.queue.folder import CHANNEL, dropbox
from treegate.gate.sandboxing import asking
from treegate.gate.sandboxing.asking import Asked
from treegate.model.actors import Actor, Role
from treegate.model.commands import TOOLS
from treegate.model.lifecycle import State
from treegate.model.names import visible

_AWAY = frozenset({503, 507})  # the workspace is away, or a disk is full: no fault of the plan's
_DATABASE = "database-"  # how the codes begin of what is wrong with the database: nor is this
_log = logging.getLogger("treegate.queue")
_LATER = (Busy, NeedsRecovery, openplans.TooMany)  # what may be otherwise in a moment


class Took(StrEnum):
    """What became of a drop."""

    PLAN = "plan"  # a plan, on its shelf
    REFUSED = "refused"  # it lies among what failed
    LATER = "later"  # claimed, and to be tried again
    GONE = "gone"  # somebody else was there first


class Taken(msgspec.Struct, frozen=True):
    """What became of a drop, under which id, and the code of why not."""

    how: Took
    id: str = ""
    code: str = ""
    asked: bool = False  # its run was asked for with it


def take(core: Core, drops: Iterable[Drop]) -> list[Taken]:
    """Takes drops, one after the other; raises OSError where the folder itself cannot be used."""
    box, by_id = dropbox(core), {core.new_id("pl"): drop for drop in drops}
    with ExitStack() as held:
        for id in by_id:
            held.enter_context(_lock(core, id))
        claimed = box.claim(by_id)
        return [_settled(core, box, id) if id in claimed else Taken(Took.GONE) for id in by_id]


def claims(core: Core) -> list[str]:
    """The ids under which something is claimed and not a plan yet."""
    return dropbox(core).claims()


def take_up(core: Core, id: str) -> Taken:
    """Goes on with a claim that was left, by a crash or for later; not with one that somebody is at."""
    try:
        with _lock(core, id):
            return _settled(core, dropbox(core), id)
    except Busy:
        return Taken(Took.LATER, id)


def _lock(core: Core, id: str) -> AbstractContextManager[None]:
    """Held while a claim is worked on; let go of by whoever dies. Raises Busy."""
    return passing_lock(core.state / "locks", id)


def _settled(core: Core, box: Dropbox, id: str) -> Taken:
    drop = box.claimed(id)
    if drop is None:
        box.let_go(id)
        return Taken(Took.GONE, id)
    try:
        known = _known(core, id)  # a crash came after it was handed in
        with core.store.gathering():
            asked = ask(core, id) if known else _hand_in(core, box, id, drop)
            box.shelve(id)  # so that what is said of the plan is written there, too
    except OSError:
        return Taken(Took.LATER, id, "system-error")
    except TreegateError as error:
        return Taken(Took.LATER, id, error.code) if _passes(error) else _refused(core, box, id, drop, error)
    except Exception as error:  # a fault of ours, which is not to keep those that came with it
        _log.exception("a drop could not be taken")
        return _refused(core, box, id, drop, _fault(error))
    if known:
        projections.bring(core, id)
    script = sandboxes.wanted(core.store, id)
    if script is not None:
        scripts.bring(core, script)
    box.let_go(id, drop)
    return Taken(Took.PLAN, id, asked=asked)


def _passes(error: TreegateError) -> bool:
    """Whether it is not the file's fault, and may be otherwise later; what is claimed stays so."""
    return isinstance(error, _LATER) or error.http_status in _AWAY or error.code.startswith(_DATABASE)


def _refused(core: Core, box: Dropbox, id: str, drop: Drop, error: TreegateError) -> Taken:
    """Lays what is claimed among what failed, once it is certain that no plan came of it, or comes after a crash."""
    try:
        core.store.settle()
        known = _known(core, id) or sandboxes.wanted(core.store, id) is not None
    except TreegateError as unsettled:
        return Taken(Took.LATER, id, unsettled.code)
    if known:
        return Taken(Took.LATER, id, error.code)
    box.refuse(id, drop, _message(drop, error))
    return Taken(Took.REFUSED, id, error.code)


def _fault(error: Exception) -> TreegateError:
    """What is said of an error that nobody thought of."""
    text = f"this went wrong here, and not in the file: {type(error).__name__}"
    return TreegateError(text, code="internal", hint="report it; the worker's log says where")


def _known(core: Core, id: str) -> bool:
    try:
        core.store.plan(id)
    except NotFound:
        return False
    return True


def _hand_in(core: Core, box: Dropbox, id: str, drop: Drop) -> bool:
    """Hands in what is claimed, as whoever owns the file; whether its run was asked for with it."""
    if not drop.file:
        text = "this is a folder, a link or something else that is no file"
        raise UsageError(text, code="drop-no-file", hint="drop the plan itself, as a file")
    is_script = drop.name.endswith(".sh")
    if not is_script and not drop.name.endswith(".json"):
        text = "only names that end in .json are taken for plans, and in .sh for scripts"
        raise UsageError(
            text, code="drop-name", hint="name it {timestamp}-{case}.json, or .sh for a script, and drop it again"
        )
    if drop.size > (scripts.MOST_BYTES if is_script else plans.MOST_BYTES):
        raise scripts.too_large() if is_script else plans.too_large()
    try:
        data = box.read_claimed(id, drop)
    except OSError as error:
        raise _unreadable(error) from None
    if data is None:
        raise Busy("it is still being written to", code="drop-changing")
    if is_script:
        _ask_script(core.acting_as(_author(drop)), id, drop, data)
        return False
    author, asked = core.acting_as(_author(drop)), list[bool]()
    plans.submit(
        author,
        plans.decode(data),
        id=id,
        then=lambda transaction: asked.append(jobs.ask_if_enough(author, id, transaction)),
    )
    return asked[0]


def _ask_script(core: Core, id: str, drop: Drop, data: bytes) -> None:
    """Asks for a script, once, which is run as soon as can be; what it did is then the plan of this id."""
    if sandboxes.wanted(core.store, id) is None:
        name = scripts.name_of(drop.name)
        command = ("sh", f"{TOOLS}/{name}")
        case = scripts.case_of(drop.name)
        asking.ask(core, Asked(cases=(case,), command=command, script=(name, data), wanted=id))


def _author(drop: Drop) -> Actor:
    return Actor(name=owner(drop.owner), role=Role.AUTHOR, channel=CHANNEL, via="os")


def ask(core: Core, id: str) -> bool:
    """Asks for the run of a plan that nobody has to look at, as its author would: it was dropped for that."""
    plan = core.store.plan(id)
    if plan.state is not State.APPROVED or not core.config.policy.apply.on_approval:
        return False
    author = as_author(core, plan)
    if runs.may(author, plan):
        with suppress(Denied, Stale, Expired):  # it is approved no more: policy has changed in between
            jobs.enqueue(author, id)
            return True
    return False


def as_author(core: Core, plan: StoredPlan) -> Core:
    """As whoever dropped a plan."""
    return core.acting_as(Actor(name=plan.author, role=Role.AUTHOR, channel=CHANNEL, via="os"))


def _unreadable(error: OSError) -> PlanError:
    why = os.strerror(error.errno) if error.errno else str(error)
    code = {errno.EACCES: "drop-unreadable", errno.EPERM: "drop-unreadable"}.get(error.errno or 0, "drop-failed")
    return PlanError(f"it cannot be read: {why}", code=code, hint="look at it, and drop it again")


def _message(drop: Drop, error: TreegateError) -> bytes:
    """What lies beside a file that did not become a plan."""
    lines = [f"{visible(drop.name)} was not taken: {error.message}", "", f"code: {error.code}"]
    lines += [f"what to do: {error.hint}"] if error.hint else []
    return "".join(f"{line}\n" for line in [*lines, "", "Nothing was changed."]).encode("utf-8", "replace")
