"""Watching the queue: what changed there, as the system tells it, and whatever it does not tell by a slow look."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from watchfiles import awatch

STEP = 70  # ms between two looks at what the system told: each wakes a processor, and a drop may wait two of them
_log = logging.getLogger("treegate.worker")


class Watching:
    """Which paths below a folder changed; safe to lose, for everything is looked through now and then.

    `written` is called when the database was written to, at whatever door: that shows in its write-ahead `log`.
    """

    def __init__(self, folder: Path, log: Path, written: Callable[[], None]) -> None:
        self._folder, self._log, self._written = folder, log, written
        self._changed: set[Path] = set()
        self._task: asyncio.Task[None] | None = None
        self.stirred = asyncio.Event()

    def start(self) -> None:
        """Begins to watch."""
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Watches no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def changed(self) -> set[Path]:
        """What changed since it was asked last, relative to the folder."""
        found, self._changed = self._changed, set()
        self.stirred.clear()
        return found

    def _tell(self, paths: set[Path]) -> None:
        if self._log in paths:
            self._written()
        found = {path.relative_to(self._folder) for path in paths - {self._log}}
        if found:
            self._changed |= found
            self.stirred.set()

    async def _watch(self) -> None:
        try:
            # The default filter hides names that begin with a dot, and the default pause is 1.6 s.
            watched = [path for path in (self._folder, self._log) if path.exists()]
            async for changes in awatch(*watched, watch_filter=None, step=STEP, debounce=STEP, rust_timeout=60_000):
                self._tell({Path(path) for _, path in changes})
        except Exception as error:  # no more watches to be had, or the folder went away with its mount
            _log.warning("the queue is not watched any more, only looked through: %s", type(error).__name__)
