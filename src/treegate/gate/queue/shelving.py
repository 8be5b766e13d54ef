"""Shelving: a plan that was dropped lies where its state says, with what there is to say of it.

Written after each transaction, whatever door it came from: so every door shows the same state. The one file that
people write to is `status`. What they wrote is never written over before it was heeded, or answered in `status.log`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from treegate.engine import projections
from treegate.engine.dropbox import DONE, FAILED, PENDING, Dropbox, aside_of
from treegate.engine.projections import Found, Projection, Where
from treegate.engine.store.records import StoredPlan, Verdict
from treegate.errors import TreegateError, UsageError
from treegate.gate import jobs, plans, standing
from treegate.gate.core import Core
from treegate.gate.queue import scripts
from treegate.gate.queue.folder import dropbox
from treegate.model import statusfile
from treegate.model.lifecycle import State
from treegate.model.statusfile import Status
from treegate.render import markdown

STATUS, LOG = "status", "status.log"
VERDICTS = {
    "approved": Verdict.APPROVE,
    "rejected": Verdict.REJECT,
    "changes-requested": Verdict.REQUEST_CHANGES,
}
_ENDED = {State.APPLIED: DONE, State.UNDONE: DONE}
_FAILED = frozenset({State.INVALID, State.REJECTED, State.EXPIRED, State.WITHDRAWN, State.ROLLED_BACK})
_ASKS = "to decide: change the first word to approved, rejected or changes-requested, fill in `by`, and save"


def shelf_for(state: State) -> str:
    """The shelf that a plan belongs on: `pending` as long as something can come of it by itself."""
    return _ENDED.get(state, FAILED if state in _FAILED else PENDING)


def place_of(core: Core, id: str) -> Where | None:
    """Where the files of a plan are now; None for one that was not dropped."""
    box = dropbox(core)
    shelf = box.shelf_of(id)
    return None if shelf is None else box.place(shelf, id)


def home(core: Core, plan: StoredPlan) -> Where:
    """Where the files of a dropped plan are, or belong, if its folder is gone."""
    return place_of(core, plan.id) or dropbox(core).place(shelf_for(plan.state), plan.id)


def restore(core: Core, plan: StoredPlan, *, dry: bool) -> Iterator[Found]:
    """What beside its document and preview is missing of a dropped plan, made anew unless `dry`."""
    box, where = dropbox(core), home(core, plan)
    for projection in _of(core, plan, where):
        yield from projections.bring(core.workspace.root, projection, dry=dry)
    try:
        if box.read_file(where[-2], plan.id, STATUS, 1) is not None:
            return
        if not dry:
            box.replace(where[-2], plan.id, STATUS, expected(core, plan), 0o664)
        yield Found((*where, STATUS), "it was missing")
    except OSError as error:
        yield Found((*where, STATUS), error.strerror or str(error), error)


def bring(core: Core, plan: StoredPlan) -> None:
    """Puts a dropped plan where it belongs, once its document and preview are; nothing for a plan of another door.

    All is said before it is moved: what lies in `done/` is whole, whatever a crash cut off.
    """
    box = dropbox(core)
    found, wanted = box.shelf_of(plan.id), shelf_for(plan.state)
    if found is None:
        return
    for projection in _of(core, plan, box.place(found, plan.id)):
        for _ in projections.bring(core.workspace.root, projection):
            pass
    _bring_status(core, box, found, plan)
    if found != wanted:
        box.move(plan.id, found, wanted)


def _of(core: Core, plan: StoredPlan, where: Where) -> Iterator[Projection]:
    run = core.store.run_of(plan.preview) if plan.preview is not None else None
    if run is not None and run.receipt_digest is not None:
        path = core.state / "receipts" / f"{run.id}.json"
        yield Projection([(*where, "receipt.json")], lambda: [path.read_bytes()])
    yield from scripts.of(core, plan.id, where)
    failed = shelf_for(plan.state) == FAILED
    yield Projection([(*where, "reasons.md")], (lambda: [_reasons(core, plan)]) if failed else None)


def _reasons(core: Core, plan: StoredPlan) -> bytes:
    """Why a plan is among what failed."""
    lines = [f"# {plan.id} is {plan.state.value}", ""]
    if plan.state is State.INVALID and plan.preview is not None:
        lines.append(markdown.problems(plans.model_of(core, plan).problems))
    for decision in core.store.decisions(plan.id, plan.digest):
        comment = " ".join(decision.comment.split())
        said = f": {markdown.said(comment, 500)}" if comment else ""
        lines.append(f"- {markdown.said(decision.reviewer, 200)} said {decision.verdict.value}{said}")
    failure = jobs.failure(core, plan)
    if failure is not None:
        lines.append(f"- {markdown.said(failure.message, 500)} (`{failure.code}`)")
        lines += [f"- {markdown.said(failure.hint, 500)}"] if failure.hint else []
    return ("\n".join(lines).rstrip("\n") + "\n").encode("utf-8", "replace")


# -- the status file


def expected(core: Core, plan: StoredPlan) -> bytes:
    """The status file of a plan as it stands, with nothing filled in; who decided what is a note."""
    notes = [_ASKS] if plan.state in {State.PENDING, State.APPROVED} else []
    with suppress(TreegateError):
        notes.append(standing.of(core, plan).replace("\n", " "))
    return statusfile.write(plan.state.value, plan.digest or "", notes)


def wish(data: bytes) -> Status | None:
    """What a person wrote into the file of a plan, to be heeded; None as long as it is as we wrote it, or half done.

    Raises UsageError for what cannot be read, or is no word for a decision.
    """
    if statusfile.untouched(data):
        return None
    status = statusfile.read(data)
    if status.word == State.PENDING.value:
        return None
    return statusfile.checked(status)


def recorded(core: Core, plan: StoredPlan, status: Status) -> bool:
    """Whether what a status file says was decided, of this very digest, and noted already."""
    said = core.store.decisions(plan.id, plan.digest) if names(status, plan) else []
    verdict = VERDICTS.get(status.word)
    last = [one for one in said if one.reviewer == status.by]
    return bool(last) and last[-1].verdict is verdict


def names(status: Status, plan: StoredPlan) -> bool:
    """Whether a status file names the current digest of a plan."""
    given = status.digest.strip().lower().removeprefix("sha256:")
    return plan.digest is not None and len(given) >= 12 and plan.digest.startswith(given)


def _bring_status(core: Core, box: Dropbox, shelf: str, plan: StoredPlan) -> None:
    """Writes the status file anew, unless somebody has written into it what is still to be heeded."""
    there = _left_aside(core, box, shelf, plan) or box.read_file(shelf, plan.id, STATUS, statusfile.MOST)
    wanted = expected(core, plan)
    for _ in range(3):  # whoever saves the file in between is not written over either
        if there == wanted or (there is not None and _open(core, box, shelf, plan, there)):
            return
        old = box.replace(shelf, plan.id, STATUS, wanted, 0o664)
        if old is None or old == there:
            return
        if _open(core, box, shelf, plan, old):
            box.replace(shelf, plan.id, STATUS, old, 0o664)
            return
        there = wanted


def _left_aside(core: Core, box: Dropbox, shelf: str, plan: StoredPlan) -> bytes | None:
    """What somebody had saved in the instant in which the file was written anew, and a crash left aside: put back."""
    left = box.read_file(shelf, plan.id, aside_of(STATUS), statusfile.MOST)
    if left is None:
        return None
    there = box.read_file(shelf, plan.id, STATUS, statusfile.MOST)
    if (there is None or statusfile.untouched(there)) and _says(left) and _open(core, box, shelf, plan, left):
        box.replace(shelf, plan.id, STATUS, left, 0o664)
        return left
    box.discard(shelf, plan.id, aside_of(STATUS))
    return None


def _says(data: bytes) -> bool:
    """Whether somebody decides something there; what was only half written by ourselves says nothing."""
    with suppress(UsageError):
        return wish(data) is not None
    return False


def _open(core: Core, box: Dropbox, shelf: str, plan: StoredPlan, data: bytes) -> bool:
    """Whether a status file says something that is still to be heeded; what comes too late is answered."""
    try:
        status = wish(data)
    except UsageError:
        return shelf_for(plan.state) == PENDING  # it was answered, or will be; whoever wrote it corrects it
    if status is None or recorded(core, plan, status):
        return False
    if shelf_for(plan.state) == PENDING and names(status, plan):
        return True
    now = f"it is {plan.state.value} now"
    if shelf_for(plan.state) == PENDING:
        now = f"that was of digest {status.digest[:12] or 'none'}, and is of {(plan.digest or 'none')[:12]} now"
    answer(box, core, shelf, plan.id, f"{status.by} said {status.word} too late: {now}")
    return False


def answer(box: Dropbox, core: Core, shelf: str, id: str, text: str) -> None:
    """Answers whoever wrote into a status file, in `status.log` beside it; the same is not said twice in a row."""
    line = " ".join(text.split())
    before = box.read_file(shelf, id, LOG, 1 << 20) or b""
    last = before.rstrip(b"\n").rpartition(b"\n")[2].decode("utf-8", "replace")
    if last.partition("  ")[2] != line:
        at = datetime.fromtimestamp(core.clock() / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        box.append(shelf, id, LOG, f"{at}  {line}\n".encode("utf-8", "replace"))
