"""Stirring: when it is time to look for work: somebody called, or wrote to the database, or it is long ago."""

from __future__ import annotations

import asyncio
import contextlib

from treegate.gate import Gate

LONG = 5.0  # seconds until one looks although nobody wrote anything: the workspace may be back


class Stirring:
    """What wakes whoever looks for work; made in the loop that they work in."""

    def __init__(self, gate: Gate, pause: float) -> None:
        """`pause` is in seconds, between two looks at whether somebody wrote."""
        self._gate, self.pause = gate, pause
        self._wake = asyncio.Event()
        self._stamp: int | None = None  # of the database, when one looked last
        self._looked = 0.0

    def wake(self) -> None:
        """Something was asked for: it is time at once."""
        self._wake.set()

    def later(self) -> None:
        """It is time once more in a while, though nobody tells of it."""
        asyncio.get_running_loop().call_later(LONG, self.wake)

    def due(self) -> bool:
        """Whether something may be there to do that was not when this was asked last."""
        now, stamp = asyncio.get_running_loop().time(), self._gate.core.store.stamp()
        same = stamp is not None and stamp == self._stamp and now - self._looked < max(LONG, self.pause)
        if same and not self._wake.is_set():
            return False
        self._wake.clear()
        self._stamp, self._looked = stamp, now
        return True

    async def rest(self) -> None:
        """Waits until one should ask again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.pause):  # unlike wait_for, it never takes a cancellation for an answer
                await self._wake.wait()
