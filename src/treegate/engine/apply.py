"""Carrying out a step table, stages 2 to 5 of the durability contract; what stops midway is taken back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace

from treegate.engine import handles, journal, posix, tablefile
from treegate.engine.context import APPLIED, NOTHING, ROLLED_BACK, Result, RunContext
from treegate.engine.course import Course, Numbered, batches
from treegate.engine.durable import SyncFailed
from treegate.engine.halting import halted, stuck
from treegate.engine.journal import Begin, Built, Entry, Journal
from treegate.engine.places import Places
from treegate.engine.prepass import PrePass, raise_found
from treegate.engine.staging import stage
from treegate.errors import NeedsRecovery, TreegateError

__all__ = ["Result", "RunContext", "run"]

_ENTRIES = 10_000  # staged entries told in one frame


def run(ctx: RunContext) -> Result:
    """Apply the table; "applied", or "rolled-back" with the reason, or "nothing-happened" (no room to begin).

    Raises Stale, Denied or NotVerified where the pre-pass or the building of new contents finds that nothing may
    be done (the journal has then ended as rolled back), and NeedsRecovery where the run had to stop midway.
    """
    start = time.monotonic()
    try:
        with ctx.places() as places:
            return _run(ctx, places, start)
    except SyncFailed as failed:
        raise halted(ctx.directory, failed) from failed


def _run(ctx: RunContext, places: Places, start: float) -> Result:
    try:
        path = tablefile.adopt(ctx.table.path, ctx.directory)
        log = Journal.create(ctx.directory, _begin(ctx, places), _reserve(ctx))
    except OSError as error:
        _forget_journal(ctx)
        return Result(NOTHING, error, {}, time.monotonic() - start, 0)
    ctx = replace(ctx, table=ctx.table.at(path))
    course = Course(ctx, places, log, {})
    try:
        reason = _prepared(course) or _forward(course)
    finally:
        course.log.close()
    seconds = time.monotonic() - start
    return Result(ROLLED_BACK if reason else APPLIED, reason, course.built, seconds, 0 if reason else course.made)


def _begin(ctx: RunContext, places: Places) -> Begin:
    mounts = {key: posix.mount_id(places.handle(root)) for root, key in places.roots().items()}
    return Begin(journal.FORMAT, ctx.run, ctx.table.digest, posix.boot_id(), mounts)


def _reserve(ctx: RunContext) -> int:
    """Bytes that the journal may come to take: a frame a batch, the staged entries, and some."""
    header = ctx.table.header
    return 4096 + 100 * (header.steps // ctx.stride + len(header.cases)) + 160 * header.staged


def _forget_journal(ctx: RunContext) -> None:
    """Remove a journal that could not be begun. If that fails too: it holds no whole frame, and is ignored."""
    with contextlib.suppress(OSError), handles.closing(handles.open_root(str(ctx.directory))) as folder:
        posix.unlink(folder, "journal.1")


def _prepared(course: Course) -> Exception | None:
    """Build what is new, then look at everything once more; the OSError that forbade it, after a durable end."""
    ctx, places = course.ctx, course.places
    try:
        if ctx.table.staged:
            course.built.update(stage(ctx, places))
            _tell_built(course)
        raise_found(PrePass(ctx, places).all())
    except SyncFailed:
        raise
    except Exception as error:
        with _or_stuck():
            course.end(ROLLED_BACK)
        if isinstance(error, TreegateError):
            raise
        return error
    return None


def _tell_built(course: Course) -> None:
    entries: list[Entry] = list(course.built.values())
    for low in range(0, len(entries), _ENTRIES):
        course.append(Built(entries[low : low + _ENTRIES], low + _ENTRIES >= len(entries)))


def _forward(course: Course) -> Exception | None:
    """All steps and settings, or none; the reason if none."""
    was_set = False
    try:
        course.forward(_numbered(course.ctx), course.ctx.table.header.steps)
        was_set = True
        course.set()
    except SyncFailed:
        raise
    except Exception as error:
        with _or_stuck():
            course.turn(error)
            course.back(course.ctx.table.chunks_back(course.made), course.made, was_set=was_set)
            course.end(ROLLED_BACK)
        return error
    course.end(APPLIED)
    return None


def _numbered(ctx: RunContext) -> Iterator[Numbered]:
    upto = 0
    for steps in batches(ctx.table.chunks(), ctx.stride):
        upto += len(steps)
        yield upto, steps


@contextlib.contextmanager
def _or_stuck() -> Iterator[None]:
    """Whatever stops the way back leaves it to a recovery."""
    try:
        yield
    except (SyncFailed, NeedsRecovery):
        raise
    except Exception as error:
        raise stuck(error) from error
