"""The stream of a command: what it writes as it writes it, and what came of it.

The id of an event is its number in the file that is kept of the command, so a stream resumes anywhere. At every look
at where the command stands it is asked anew who looks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from itertools import islice

from treegate.gate import Gate
from treegate.gate.sandboxing import events as kept
from treegate.gate.sandboxing import streaming
from treegate.interfaces.http.events import QUIET, Event
from treegate.render import jsons

SHORTEST, LONGEST = 0.004, 0.2  # seconds between two looks for more
LIVELY = 1.0  # seconds after an event, or the beginning, in which more is looked for as often as can be
STANDING = 0.25  # seconds between two looks at where the command stands, and who may see it
BATCH = 50  # events that are read at a time


async def of_command(gate: Callable[[], Gate], id: str, last: int) -> AsyncIterator[Event | None]:
    """What a command does behind event `last`, until all is told; None where nothing was to be told for a while."""
    watched = _Watched(gate, id, last)
    while True:
        over = watched.over()
        async for event in watched.more():
            yield event
            if event.name == "finished":
                return
        if over:
            yield await watched.end()
            return
        if watched.quiet():
            yield None
        await asyncio.sleep(watched.pause)


class _Watched:
    """One command as one stream has it."""

    def __init__(self, gate: Callable[[], Gate], id: str, last: int) -> None:
        self._gate, self._id, self._last = gate, id, last
        self._tail = gate().sandbox_tail(id, last)
        self._over, self._looked, self._told = False, float("-inf"), time.monotonic()
        self.pause = SHORTEST

    def over(self) -> bool:
        """Whether nothing more comes than what is kept by now; raises Denied once the watcher may not see it."""
        now = time.monotonic()
        if now - self._looked >= STANDING:
            self._over, self._looked = self._gate().is_over(self._id), now
        return self._over

    async def more(self) -> AsyncIterator[Event]:
        """What was kept since one looked last."""
        if time.monotonic() - self._told > LIVELY:
            self.pause = min(self.pause * 1.5, LONGEST)
        while self._tail.stirred() and (found := await asyncio.to_thread(list, islice(self._tail.more(), BATCH))):
            for event in found:
                yield self._event(event)
            self.pause = SHORTEST

    def _event(self, event: kept.Event) -> Event:
        told = streaming.told(event)
        self._last, self._told = event.n, time.monotonic()
        return Event(event.n, _name(told), jsons.dumps(told))

    async def end(self) -> Event:
        """The last event of a command of which no end was kept: it never began, or was lost."""
        found = await asyncio.to_thread(self._gate().sandbox_outcome, self._id)
        return self._event(kept.Event(n=self._last + 1, at=self._gate().core.clock(), what=found))

    def quiet(self) -> bool:
        """Whether it is time to say that all is well."""
        if time.monotonic() - self._told < QUIET:
            return False
        self._told = time.monotonic()
        return True


def _name(told: streaming.AnyTold) -> str:
    return str(told.__struct_config__.tag)
