"""Building a run's new entries before its first step, and clearing away those of a run that went back."""

from __future__ import annotations

import contextlib
import os
import stat as st
from collections.abc import Iterator

from treegate.engine import posix
from treegate.engine.attributes import finish_folder
from treegate.engine.contents import Stager
from treegate.engine.context import RunContext
from treegate.engine.durable import sync_volume
from treegate.engine.journal import Entry
from treegate.engine.places import Places
from treegate.errors import RolledBack, Stale
from treegate.model.table import Staged
from treegate.model.tree import Facts, Kind, Level, pack, same, unpack


class Cancelled(RolledBack):
    """Someone asked for the run to stop; it was taken back."""

    code = "cancelled"


def stop_if_cancelled(ctx: RunContext) -> None:
    """Raise Cancelled if the run was asked to stop."""
    if ctx.cancelled():
        raise Cancelled("the run was stopped on request", hint="nothing stays changed; submit the plan again")


def stage(ctx: RunContext, places: Places) -> dict[int, Entry]:
    """Build every staged entry, verify it by hash and make all durable.

    Raises what Stager.build raises, RolledBack ("disk-full") where it would not fit, SyncFailed.
    """
    rows = _by_area(ctx.table.staged, places)
    stagers = {area: Stager(places.handle, ctx.blob, ctx.caps(places.roots()[area])) for area in rows}
    for area, stager in stagers.items():
        _check_room(stager, rows[area], places.handle(area))
    built: dict[int, Entry] = {}
    for row in ctx.table.staged:
        stop_if_cancelled(ctx)
        facts, digest = _built(stagers[places.root(row.parent)], row, places.handle(row.parent))
        built[row.number] = Entry(row.number, pack(facts), digest)
        places.expect(row.number, built[row.number].facts)
    for area in stagers:
        sync_volume(places.handle(area))
    return built


def _built(stager: Stager, row: Staged, folder: int) -> tuple[Facts, str]:
    """One entry, built in `folder`; raises Stale where the file it is made from, or takes the place of, is gone."""
    try:
        return stager.build(row)
    except FileNotFoundError as error:
        slot = row.like or row.source
        name = os.fsdecode(slot[1] if slot else row.name)
        raise Stale(f"{name!r} is not there any more", hint="preview the plan again", path=name) from error
    except OSError as error:
        slot = row.source or row.like
        what = f"a copy of {os.fsdecode(slot[1])!r}" if slot else f"a new {row.kind}"
        where = f"{os.readlink(f'/proc/self/fd/{folder}')} ({what})"
        raise OSError(error.errno, os.strerror(error.errno or 0), where) from error


def _by_area(staged: list[Staged], places: Places) -> dict[int, list[Staged]]:
    found: dict[int, list[Staged]] = {}
    for row in staged:
        found.setdefault(places.root(row.parent), []).append(row)
    return found


def _check_room(stager: Stager, rows: list[Staged], area: int) -> None:
    need, free = stager.space_needed(rows), os.fstatvfs(area)
    # Where a filesystem does not count inodes it says that none is free (rclone) or that there are none at all.
    if need.size > free.f_bavail * free.f_frsize or need.inodes > free.f_favail > 0:
        where = os.readlink(f"/proc/self/fd/{area}")
        raise RolledBack(
            f"the disk is too full: {need.size:,} bytes and {need.inodes:,} entries are to be made at {where}",
            code="disk-full",
            hint="nothing was changed; make room, and hand the plan in again",
        )


def finish(ctx: RunContext, places: Places) -> None:
    """Give the folders that the run made their exact mode and mtime, now that everything is in them."""
    for row in _with_exact_folders(ctx):
        finish_folder(places.handle(row.number), row)


def has_exact_folders(ctx: RunContext) -> bool:
    """Whether any folder that the run makes is to have an exact mode or mtime."""
    return next(_with_exact_folders(ctx), None) is not None


def unfinish(ctx: RunContext, places: Places) -> None:
    """Make those folders writable again, so that what was put into them can be taken out."""
    for row in _with_exact_folders(ctx):
        with contextlib.suppress(FileNotFoundError):  # then nothing is in it any more
            folder = places.handle(row.number)
            posix.set_mode(folder, st.S_IMODE(os.fstat(folder).st_mode) | 0o700)


def _with_exact_folders(ctx: RunContext) -> Iterator[Staged]:
    rows = (row for row in ctx.table.staged if row.kind == "dir" and (row.mode, row.mtime) != (None, None))
    return iter(list(rows)[::-1])  # children first: finishing a folder may take the right to enter it


def clear(ctx: RunContext, places: Places, built: dict[int, Entry]) -> None:
    """Remove what was built and is not needed: only entries of the table, at their slots in the new-area.

    Called when all steps are taken back and that is durable. Whatever is in the way is left where it is, and so is
    what someone wrote to, or put into a folder, while it stood in the tree. What an error or a signal left is gone
    through once more: for a folder it may have been only what was in it.
    """
    for _ in range(2):
        for row in reversed(ctx.table.staged):
            with contextlib.suppress(OSError):
                _remove(places, row, built.get(row.number))


def _remove(places: Places, row: Staged, entry: Entry | None) -> None:
    """Remove one entry that was built, as long as it is as it was built; raises OSError."""
    folder = places.handle(row.parent)
    now = posix.facts(folder, row.name)
    if entry is not None and not _as_built(entry, now, places.root(row.parent) not in places.unstable):
        return
    if row.kind == "dir":
        posix.rmdir(folder, row.name)
    else:
        posix.unlink(folder, row.name)


def _as_built(entry: Entry, now: Facts, stable: bool) -> bool:
    """Whether nobody has written to a new entry; a folder goes only if it is empty, whatever its times say."""
    was = unpack(entry.facts)
    if not stable:
        was = was._replace(ino=now.ino, btime=now.btime, mtime=now.mtime)
    return same(pack(was), now, Level.IDENTITY if was.kind is Kind.DIR else Level.CONTENT)
