"""The end of a run: what there is to say of it is written, then the store is told, then its journal goes."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from treegate.engine import checkpoints, jobs, receipts, touched, vault
from treegate.engine.context import APPLIED, NOTHING, Result, RunContext
from treegate.engine.jobs import JobState
from treegate.engine.store.records import Run, StoredPlan
from treegate.engine.tablefile import Table
from treegate.errors import FULL, NeedsRecovery, NotVerified, RolledBack, TreegateError
from treegate.gate import affected, chronicle
from treegate.gate.accounts import Account
from treegate.gate.core import Core
from treegate.model.document import UNREADABLE
from treegate.model.lifecycle import State


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What `apply` and `recover` answer. `seconds` goes from the lock to the durable end.

    `reason` is why a recovery took the run back; who asks later is not told.
    """

    id: str
    run: str
    state: str
    seconds: float
    receipt: receipts.Receipt | None
    kept: int = 0  # entries of its vault that are still there
    reason: str = ""


def answer(core: Core, run: Run) -> Applied:
    """What is to be said of a run that ended."""
    receipt = receipts.read(core.state / "receipts", run.id) if run.receipt_digest else None
    return _answer(run, run.state, receipt, len(core.store.vault(run=run.id)))


def _answer(run: Run, state: State, receipt: receipts.Receipt | None, kept: int) -> Applied:
    seconds = receipt.seconds if receipt is not None else 0.0
    return Applied(id=run.plan, run=run.id, state=state.value, seconds=seconds, receipt=receipt, kept=kept)


def order(core: Core, plan: StoredPlan, run: Run, context: RunContext) -> None:
    """Has the aide of a run, if it has one, write what there will be to say of it, as far as that is known before."""
    with contextlib.suppress(TreegateError):  # what cannot be read is told of when it has to be
        Account(core, plan, run, context.table).order_lines(context.aide)
        vault.order_data(core.workspace, run.id, context.table, context.aide)


def conclude(core: Core, plan: StoredPlan, run: Run, context: RunContext, result: Result) -> Applied:
    """Writes what there is to say of a run that ended, then tells the store, then clears the journal away.

    Raises RolledBack for a run that went back, NeedsRecovery where what there is to say cannot be written.
    """
    if result.outcome == NOTHING:
        give_back(core, run)
        raise not_begun(result.reason or OSError("no room for the journal"))
    applied = result.outcome == APPLIED
    with _recording(run, "is carried out" if applied else "was taken back"):
        if applied:
            return _applied(core, plan, run, context, result)
        end(core, run, State.ROLLED_BACK)
        clean(core, run)
    raise rolled_back(run, result.reason)


@contextlib.contextmanager
def _recording(run: Run, what: str) -> Iterator[None]:
    """Whatever stops the record of a run, also a store that cannot be told, leaves it to a recovery."""
    try:
        yield
    except NotVerified:
        raise
    except (OSError, TreegateError) as error:  # among them that the workspace was unmounted just now
        text = f"run {run.id} {what}, and its record could not be written: {error}"
        hint = "put right what the message names, then recover: nothing else of the tree is touched"
        raise NeedsRecovery(text, code="record-unwritten", hint=hint, next="treegate recover") from error


def _applied(core: Core, plan: StoredPlan, run: Run, context: RunContext, result: Result) -> Applied:
    account = Account(core, plan, run, context.table)
    count, digest = account.write_lines(result, context.aide)
    sums = vault.write(core.workspace, run.id, context.table, result, account.kept, core.clock(), context.aide)
    receipt = receipts.signed(account.receipt(result.seconds, count, digest, sums), core.key())
    _keep_table(core, run, context.table)
    receipt_digest = receipts.write(core.state / "receipts", receipt)
    _end_applied(core, run, account, receipt_digest, chronicle.speaking(core, run.id, count))
    clean(core, run)
    return _answer(run, State.APPLIED, receipt, len(account.kept))


def give_back(core: Core, run: Run) -> None:
    """Nothing happened: the approval is given back, as if the run had never been asked for.

    The store forgets the run last: what a crash leaves on disk until then is cleared by the next recovery.
    """
    _remove_areas(core, run)
    shutil.rmtree(core.run_directory(run.id), ignore_errors=True)
    with core.store.write() as transaction:
        transaction.give_back(run.id, core.by())


def not_begun(error: Exception) -> Exception:
    """What to say of a run that could not begin."""
    if isinstance(error, TreegateError):
        return error
    text = f"the run could not begin: {error}"
    hint = "nothing was done, and the approval stands; see to the cause and apply again"
    return RolledBack(text, code="not-begun", hint=hint)


def rolled_back(run: Run, reason: Exception | None) -> RolledBack:
    """What to say of a run that was taken back."""
    return RolledBack(
        f"run {run.id} failed ({why(reason)}) and everything it had done was taken back",
        code=reason.code if isinstance(reason, RolledBack) else "disk-full" if _is_full(reason) else None,
        hint="see to the cause, then refresh the plan: its approval is used up",
        next=f"treegate refresh {run.plan}",
    )


def why(reason: Exception | None) -> str:
    """Why a run was taken back, in words."""
    if not isinstance(reason, OSError):
        return str(reason or "it was asked to stop")
    where = f"{os.fsdecode(reason.filename)}: " if isinstance(reason.filename, str | bytes) else ""
    return f"{where}{reason.strerror or reason}"


def _is_full(reason: Exception | None) -> bool:
    return isinstance(reason, OSError) and reason.errno in FULL


def _keep_table(core: Core, run: Run, table: Table) -> None:
    """The step table stays beside the receipt: undo reads from it what each entry was."""
    target = core.state / "receipts" / f"{run.id}.table"
    if not target.exists():
        with contextlib.suppress(FileExistsError):
            target.hardlink_to(table.path)


def end(core: Core, run: Run, outcome: State) -> None:
    """Tells the store that a run ended, otherwise than well."""
    with core.store.write() as transaction:
        transaction.end_run(run.id, outcome, by=core.by())
        checkpoints.make_if_due(transaction, core.key, core.by())


def _end_applied(
    core: Core, run: Run, account: Account, receipt_digest: str, speaking: list[touched.Speaks] | None
) -> None:
    """The end of an applied run in the store, and of the job that asked for it: one transaction."""
    undone, whole = _undone(core, run) if run.undo_of is not None else ([], False)
    restored, upset = account.restored(), affected.upset(core, run)
    with core.store.write() as transaction:
        for source, entries in restored.items():
            transaction.mark_vault(source, entries, vault.RESTORED, core.by(), by_run=run.id)
        transaction.end_run(
            run.id,
            State.APPLIED,
            by=core.by(),
            receipt_digest=receipt_digest,
            vault=account.kept,
            taken=account.taken(),
            undone=undone,
            whole=whole,
        )
        affected.note(core, transaction, upset)
        jobs.change(transaction, run.id, JobState.DONE, core.clock())
        if speaking is not None:
            with contextlib.suppress(TreegateError):  # the next question makes up for it
                touched.add(transaction, run.seq, speaking)
        checkpoints.make_if_due(transaction, core.key, core.by())


def _undone(core: Core, run: Run) -> tuple[list[str], bool]:
    """Which effects of the run that this one undoes are gone by it, and whether those are all."""
    path = core.state / "receipts" / f"{run.plan}.undoes"
    try:
        undone = msgspec.json.decode(path.read_bytes(), type=list[str]) if path.exists() else []
    except UNREADABLE as error:
        hint = "put the file back from a backup of the state directory"
        raise NotVerified(f"{path.name} is damaged: {error}", code="receipt-damaged", hint=hint) from None
    target = run.undo_of or ""
    before = set(core.store.undone_effects(target))
    total = receipts.read(core.state / "receipts", target).touched
    return undone, len(before | set(undone)) >= total


def clean(core: Core, run: Run) -> None:
    """Takes away what an ended run needs no more: its areas, an empty vault, and last its journal.

    The journal stays where an area could not go, or the workspace is not there now: by it the next recovery knows
    what is still to be cleared.
    """
    with contextlib.suppress(TreegateError):
        core.workspace.check_marker()
        if _remove_areas(core, run):
            # Should a power cut bring it back, it goes again.
            shutil.rmtree(core.run_directory(run.id), ignore_errors=True)


def _remove_areas(core: Core, run: Run) -> bool:
    """Takes away the areas of a run, and its vault, where they are empty; whether that went well.

    What someone put there meanwhile stays, and fsck tells of it.
    """
    settled = True
    for volume in _volumes(core, run):
        area, kept = core.workspace.area(volume) / "runs" / run.id, core.workspace.vault(volume, run.id)
        for folder in (area / "new", area / "park", area):
            settled &= _removed_if_empty(folder)
        with contextlib.suppress(OSError):
            if not (kept / "manifest.json").exists():
                for folder in (kept / "entries", kept):
                    _removed_if_empty(folder)
    return settled


def _removed_if_empty(folder: Path) -> bool:
    """Removes a folder with nothing in it; False if that could not be done."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        return error.errno == errno.ENOTEMPTY
    return True


def _volumes(core: Core, run: Run) -> set[str]:
    return {"", *map(core.workspace.volume, run.cases)}
