"""The courier of one sink: what happened is carried there in order, each once, for as long as it takes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time

from treegate.engine.outbox import Post
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
        self._tries = self._refusals = 0  # of the notification that is next
        self._stumbles = 0

    async def run(self) -> None:
        """Carries until cancelled."""
        while True:
            await asyncio.sleep(await self._step())

    async def drain(self, end: float) -> None:
        """Carries what there is, until a time (`time.monotonic`) or a failure; the rest waits for the next one."""
        while time.monotonic() < end and await self._step() == 0.0:
            pass

    async def _step(self) -> float:
        """Carries the next thing, if there is one; the seconds until the next step."""
        try:
            due = await self._next()
            pause = LOOK if due is None else await self._carry(due)
        except Exception as error:
            self._stamp, self._stumbles = None, self._stumbles + 1
            await self._stumbled(error)
            return _pause(self._stumbles)
        self._stumbles = 0
        return pause

    async def _stumbled(self, error: Exception) -> None:
        """Something here failed, and ends nothing: a full disk, a mount that is away; or a fault, which is told."""
        if isinstance(error, TreegateError | OSError):
            if self._stumbles == 1:
                _log.warning("%s is not told now: %s", self.sink.name, getattr(error, "code", error))
            return
        _log.error("%s could not be told", self.sink.name, exc_info=error)
        with contextlib.suppress(TreegateError, OSError):
            await asyncio.to_thread(self._gate.not_told, self.sink.name, f"a fault: {error!r}", known=False)

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
        except (TreegateError, OSError):
            raise
        except Exception as error:  # a fault of ours, perhaps with this one: the others are not to wait for ever
            _log.error("%s could not be told of audit row %s", name, seq, exc_info=error)
            return await self._failed(due, Refused(f"a fault: {error!r}", known=False, after=LONGEST))
        return await self._over(seq, post)

    async def _over(self, seq: int, post: Post | None = None) -> float:
        """It is told, or will never be; the next one is due at once."""
        await asyncio.to_thread(self._gate.told, self.sink.name, seq, post)
        self._tries = self._refusals = 0
        return 0.0

    async def _failed(self, due: Due, error: Undelivered) -> float:
        seq, self._tries = due.notification.seq, self._tries + 1
        known = error.known and not due.doubtful  # what is in doubt stays so until it is looked for, and told
        self._refusals += isinstance(error, Refused)
        if self._refusals >= TRIES:
            _log.error("%s does not take the notification of audit row %s: %s", self.sink.name, seq, error)
            return await self._over(seq)
        if self._tries == 1:
            _log.warning("%s cannot be told what happens, which goes on being tried: %s", self.sink.name, error)
        await asyncio.to_thread(self._gate.not_told, self.sink.name, str(error), known=known)
        return max(_pause(self._tries), error.after or 0.0)


def _pause(times: int) -> float:
    """The seconds after which something is tried again that failed so many times; never none at all."""
    return min(FIRST * 2.0 ** min(times - 1, 10), LONGEST) * random.uniform(0.8, 1.2)
