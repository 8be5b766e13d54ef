"""Heeding: what somebody wrote into the status file of a plan is decided, or answered in `status.log`."""

from __future__ import annotations

import errno
from enum import StrEnum

from treegate.engine.dropbox import PENDING, Dropbox
from treegate.engine.store.records import StoredPlan
from treegate.errors import Busy, TreegateError, UsageError
from treegate.gate import deciding, jobs, naming, plans, projections
from treegate.gate.core import Core
from treegate.gate.queue import shelving, trust
from treegate.gate.queue.folder import dropbox
from treegate.model import statusfile
from treegate.model.statusfile import Status


class Heeded(StrEnum):
    """What came of a look at a status file."""

    NOTHING = "nothing"  # nobody wrote anything into it, or is still at it
    DECIDED = "decided"
    REFUSED = "refused"  # it is answered in status.log
    LATER = "later"  # ask again: somebody else is writing


def heed(core: Core, id: str, *, bring: bool = True) -> Heeded:
    """Looks at the status file of one plan that waits, and does what it says; `bring`: or sees to all its files."""
    box = dropbox(core)
    data = _read(box, id)
    if not bring and (data is None or statusfile.untouched(data)):
        return Heeded.NOTHING  # it lies there no more, or nobody has written into it
    plan = plans.settled(core, core.store.plan(id))
    try:
        status = None if data is None else shelving.wish(data)
        if status is None or shelving.recorded(core, plan, status):
            if bring:
                projections.bring(core, id)  # a crash, or an hour without a worker, may have left it as it was
            return Heeded.NOTHING
        _decide(core, box, plan, status)
    except Busy:
        return Heeded.LATER
    except TreegateError as error:
        _answer(core, box, id, error)
        if isinstance(error, trust.NotTrusted) and data is not None:
            _take_back(core, box, plan, data)
        return Heeded.REFUSED
    return Heeded.DECIDED


def _answer(core: Core, box: Dropbox, id: str, error: TreegateError) -> None:
    more = [f"; {error.hint}"] if error.hint else []
    more += [f"; at a shell: {error.next}"] if error.next else []
    shelving.answer(box, core, PENDING, id, f"{error.message}{''.join(more)} ({error.code})")


def _take_back(core: Core, box: Dropbox, plan: StoredPlan, data: bytes) -> None:
    """Takes a word away that did not count, for anybody could have written it: it is not to count later on.

    Permissions may be mended, or `queue.trust_status` set; who means it then writes it again.
    """
    old = box.replace(PENDING, plan.id, shelving.STATUS, shelving.expected(core, plan), 0o664)
    if old is not None and old != data:  # somebody saved it in between: that is looked at next
        box.replace(PENDING, plan.id, shelving.STATUS, old, 0o664)


def _read(box: Dropbox, id: str) -> bytes | None:
    """The status file; what is no file says nothing that can be read."""
    try:
        return box.read_file(PENDING, id, shelving.STATUS, statusfile.MOST)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.EINVAL, errno.EACCES):
            return b""
        raise


def _decide(core: Core, box: Dropbox, plan: StoredPlan, status: Status) -> None:
    channel = trust.channel(core, box, plan)
    if not status.digest:
        text = "it names no digest, so nobody knows what was looked at"
        raise UsageError(
            text, code="status-digest-missing", hint="put back the line `digest:` as validation.md has it"
        )
    theirs = core.acting_as(naming.known_as(core, status.by, channel, "file"))
    if status.word == "approved":
        jobs.approve(theirs, plan.id, status.digest, status.comment)
    elif status.word == "rejected":
        deciding.reject(theirs, plan.id, status.digest, status.comment)
    else:
        deciding.request_changes(theirs, plan.id, status.digest, status.comment)
