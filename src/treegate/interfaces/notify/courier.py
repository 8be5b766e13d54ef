"""The courier of one sink: what happened is carried there in order, each once, for as long as it takes."""

from __future__ import annotations

import asyncio
import logging
import random

from treegate.errors import TreegateError
from treegate.gate import Gate
from treegate.gate.notifying.notices import Due
from treegate.interfaces.notify.port import Refused, Sink, Undelivered

LOOK = 1.0  # seconds between two looks whether something happened; each costs microseconds
FIRST, LONGEST = 1.0, 120.0  # seconds between two attempts
TRIES = 5  # of what is refused, until it is passed over
_log = logging.getLogger("treegate.notify")


class Courier:
    """Carries what happens to one sink."""

    def __init__(self, gate: Gate, sink: Sink) -> None:
        self._gate, self.sink = gate, sink
        self._stamp: int | None = None
        self._tries = 0

    async def run(self) -> None:
        """Carries until cancelled."""
        while True:
            try:
                due = await self._next()
                pause = LOOK if due is None else await self._carry(due)
            except (TreegateError, OSError) as error:  # a database that is locked or full, a mount that is away
                _log.warning("%s is not told now: %s", self.sink.name, getattr(error, "code", error))
                pause, self._stamp = FIRST, None
            except Exception:  # a fault of ours is told where somebody may see it, and ends nothing
                _log.exception("%s could not be told", self.sink.name)
                pause, self._stamp = LONGEST, None
            await asyncio.sleep(pause)

    async def drain(self) -> None:
        """Carries what there is, each once tried; what could not be told waits for the next time."""
        while (due := await self._next()) is not None:
            await self._carry(due)
            if self._tries:
                return

    async def _next(self) -> Due | None:
        """What is to be told; nothing is asked where nobody has written anything since the last look."""
        stamp = self._gate.core.store.stamp()
        if stamp is not None and stamp == self._stamp:
            return None
        due = await asyncio.to_thread(self._gate.next_for, self.sink.name, self.sink.kinds)
        self._stamp = stamp if due is None else None
        return due

    async def _carry(self, due: Due) -> float:
        """One attempt; the seconds until the next."""
        name, seq = self.sink.name, due.notification.seq
        if not due.doubtful:
            await asyncio.to_thread(self._gate.trying, name, seq)
        try:
            post = await self.sink.tell(due)
        except Undelivered as error:
            return await self._failed(due, error)
        await asyncio.to_thread(self._gate.told, name, seq, post)
        self._tries = 0
        return 0.0

    async def _failed(self, due: Due, error: Undelivered) -> float:
        seq, self._tries = due.notification.seq, self._tries + 1
        known = error.known and not due.doubtful  # what is in doubt stays so until it is looked for, and told
        if isinstance(error, Refused) and self._tries >= TRIES:
            _log.error("%s does not take the notification of audit row %s: %s", self.sink.name, seq, error)
            await asyncio.to_thread(self._gate.told, self.sink.name, seq)
            self._tries = 0
            return 0.0
        if self._tries == 1:
            _log.warning("%s cannot be told what happens, which goes on being tried: %s", self.sink.name, error)
        await asyncio.to_thread(self._gate.not_told, self.sink.name, str(error), known=known)
        pause = min(FIRST * 2.0 ** min(self._tries - 1, 10), LONGEST) * random.uniform(0.8, 1.2)
        return pause if error.after is None else max(error.after, 0.0)
