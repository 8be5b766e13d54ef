"""Watching the queue: what changed there, as the system tells it, and whatever it does not tell by a slow look."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from watchfiles import Change, awatch

from treegate.engine.dropbox import PENDING

STEP = 80  # ms between two looks at what the system told: each wakes a processor, and a drop may wait two of them
EDITED = 500  # ms likewise, of status files, which people edit
_log = logging.getLogger("treegate.worker")


class Watching:
    """Which paths below a folder changed; safe to lose, for everything is looked through now and then.

    `written` is called when the database was written to, at whatever door: that shows in its write-ahead `log`.
    """

    def __init__(self, folder: Path, log: Path, written: Callable[[], None]) -> None:
        self._folder, self._log, self._written = folder, log, written
        self._changed: set[Path] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self.blind = False  # nothing tells any more what changes
        self.stirred = asyncio.Event()
        self._known: list[tuple[int, int] | None] = []

    def start(self) -> None:
        """Begins to watch: the folder itself, and all in `pending/`; of what is done there may be very much."""
        self.blind = not self._log.exists()
        self._known = self._identities()
        every = (self._watch([self._folder, self._log]), self._watch([self._folder / PENDING], deep=True))
        self._tasks = [asyncio.create_task(one) for one in every]

    async def stop(self) -> None:
        """Watches no more."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def changed(self) -> set[Path]:
        """What changed since it was asked last, relative to the folder."""
        found, self._changed = self._changed, set()
        self.stirred.clear()
        return found

    def look_around(self) -> None:
        """Notices that another folder is in the place of the one that is watched, as after a mount: nothing tells."""
        if self._identities() != self._known:
            self.blind = True

    def _identities(self) -> list[tuple[int, int] | None]:
        return [_identity(path) for path in (self._folder, self._folder / PENDING)]

    def _tell(self, paths: set[Path]) -> None:
        if self._log in paths:
            self._written()
        found = {path.relative_to(self._folder) for path in paths - {self._log}}
        if found:
            self._changed |= found
            self.stirred.set()

    async def _watch(self, paths: list[Path], *, deep: bool = False) -> None:
        try:
            # The default filter hides names that begin with a dot, and the default pause is 1.6 s.
            there, step = [path for path in paths if path.exists()], EDITED if deep else STEP
            async for changes in awatch(
                *there, watch_filter=None, step=step, debounce=step, rust_timeout=60_000, recursive=deep
            ):
                if gone := {str(path) for path in there} & {path for how, path in changes if how is Change.deleted}:
                    raise FileNotFoundError(*gone)  # what comes in its place is another folder, of which nobody tells
                self._tell({Path(path) for _, path in changes})
        except Exception as error:  # no more watches to be had, or the folder went away, with its mount perhaps
            _log.warning("the queue is not watched any more, only looked through: %s", type(error).__name__)
            self.blind = True
            self.stirred.set()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
