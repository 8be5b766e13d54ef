"""Changes of mode and mtime: made after the last step, taken back before the first reverse one.

Each looks first and changes only what is still the value it may replace, so that doing it again does no harm and
an edit made meanwhile keeps its own time.
"""

from __future__ import annotations

import contextlib
import stat as st

from treegate.engine import posix
from treegate.engine.context import RunContext
from treegate.engine.locate import same_looks
from treegate.engine.places import Places
from treegate.engine.staging import finish, has_exact_folders, unfinish
from treegate.model.table import Setting
from treegate.model.tree import Level, same, unpack


def wanted(ctx: RunContext) -> bool:
    """Whether the table changes any mode or mtime at all."""
    return bool(ctx.table.header.settings) or has_exact_folders(ctx)


def make(ctx: RunContext, places: Places) -> None:
    """Set all that the table wants, and finish the folders that the run made; raises OSError."""
    for row in ctx.table.settings():
        if _is_there(places, row):
            _set(places.handle(row.place), row)
    finish(ctx, places)


def _set(folder: int, row: Setting) -> None:
    was, now = unpack(row.facts), posix.facts(folder, row.name)
    if row.mode is not None and now.mode == was.mode:
        posix.chmod(folder, row.name, row.mode)
    if row.mtime is not None and (now.mtime == was.mtime or st.S_ISDIR(now.mode)):
        posix.utime(folder, row.name, row.mtime)


def take_back(ctx: RunContext, places: Places) -> None:
    """Set everything as it was before the run; what is not at its final slot was taken back before."""
    unfinish(ctx, places)
    for row in ctx.table.settings():
        with contextlib.suppress(FileNotFoundError):
            if _is_there(places, row):
                _reset(places.handle(row.place), row)


def _is_there(places: Places, row: Setting) -> bool:
    """Whether the entry is at its final slot, and no other."""
    now = posix.facts(places.handle(row.place), row.name)
    if places.root(row.place) in places.unstable:
        return same_looks(unpack(row.facts), now)
    return same(row.facts, now, Level.IDENTITY)


def _reset(folder: int, row: Setting) -> None:
    was, now = unpack(row.facts), posix.facts(folder, row.name)
    if row.mode is not None and st.S_IMODE(now.mode) == row.mode:
        posix.chmod(folder, row.name, st.S_IMODE(was.mode))
    if row.mtime is not None and now.mtime == row.mtime:
        posix.utime(folder, row.name, was.mtime)
