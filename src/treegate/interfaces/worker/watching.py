"""Watching the queue: what changed there, as the system tells it, and whatever it does not tell by a slow look."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from watchfiles import awatch

DEBOUNCE = 30  # ms: what changes within it is told together
_log = logging.getLogger("treegate.worker")


class Watching:
    """Which paths below a folder changed; safe to lose, for everything is looked through now and then."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
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

    async def _watch(self) -> None:
        try:
            # The default filter hides names that begin with a dot, and the default pause is 1.6 s.
            async for changes in awatch(self._folder, watch_filter=None, debounce=DEBOUNCE, rust_timeout=60_000):
                self._changed |= {Path(path).relative_to(self._folder) for _, path in changes}
                self.stirred.set()
        except Exception as error:  # no more watches to be had, or the folder went away with its mount
            _log.warning("the queue is not watched any more, only looked through: %s", type(error).__name__)
