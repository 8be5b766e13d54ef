"""Taking: drops that are whole are made plans of, some at a time, in worker processes."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from treegate.engine.dropbox import Drop
from treegate.errors import TreegateError
from treegate.gate import Gate
from treegate.gate.queue.intake import Taken, Took
from treegate.gate.queue.settling import Settling
from treegate.interfaces.crew.crew import Crew
from treegate.interfaces.worker.pace import Pace

AT_ONCE = 2  # calls that the crew is given: one for each worker
TOGETHER = 10  # drops that are taken by one call, where many wait
AHEAD = 120  # plans whose runs are still to be made, with which nothing more is taken for a moment
SOON = 0.05  # seconds until one looks again at what is not whole yet
LATER = 1.0  # seconds until what could not be taken is tried again
_log = logging.getLogger("treegate.worker")


class Taking:
    """What was dropped, on its way to be plans; `then` is told of each that is one."""

    def __init__(self, gate: Gate, crew: Crew, then: Callable[[Taken], None], ahead: Callable[[], int]) -> None:
        """`ahead`: how many plans were taken whose runs are about to be made."""
        config = gate.core.config.queue
        self._gate, self._crew, self._then, self._ahead = gate, crew, then, ahead
        self._settling = Settling(config.settle / 1000)
        self._pace = Pace(config.plans_per_minute)
        self._backlog: deque[Drop] = deque()
        self._claims: deque[str] = deque()
        self._waits: dict[str, float] = {}  # claims that could not be taken: until when
        self._full: dict[int, float] = {}  # owners of whom no more can be taken: until when
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by name, or id of a claim; some are many names'
        self._stopped = False

    @property
    def busy(self) -> bool:
        """Whether something is on its way; what cannot be taken now, whatever it waits for, is not."""
        return bool(self._tasks) or self._settling.waits

    async def look(self, stirred: bool, *, everything: bool) -> float:
        """Looks for what was dropped, and begins with it; the seconds after which one should look again."""
        if stirred or self._settling.waits:
            claims, ripe = await asyncio.to_thread(self._seen, everything)
            if everything:
                self._claims = deque(id for id in claims if id not in self._tasks)
            self._backlog.extend(ripe)
        self.feed()
        if self._settling.waits and not self._backlog:
            return SOON
        return LATER if self._backlog or self._claims else math.inf

    async def stop(self) -> None:
        """Begins nothing more, and waits for what is under way."""
        self._stopped = True
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _seen(self, everything: bool) -> tuple[list[str], list[Drop]]:
        """What is claimed, if `everything` is asked for; and what may be taken, unless enough is waiting already."""
        claims = self._gate.claims() if everything else []
        if self._backlog:
            return claims, []
        drops = [drop for drop in self._gate.drops() if drop.name not in self._tasks]
        return claims, self._settling.ripe(drops, time.monotonic(), self._gate.read_drop)

    @property
    def _full_up(self) -> bool:
        """Whether nothing more is to be begun now."""
        return self._stopped or len(set(self._tasks.values())) >= AT_ONCE or self._ahead() >= AHEAD

    def feed(self) -> None:
        """Hands over as much as is taken at once; what is claimed already goes first."""
        now = time.monotonic()
        for _ in range(len(self._claims)):
            id = self._claims.popleft()
            if self._waits.get(id, 0) > now or self._full_up:
                self._claims.append(id)
            else:
                self._begin([id], self._take_up(id))
        while self._backlog and not self._full_up and (drops := self._next(now)):
            self._begin([drop.name for drop in drops], self._take(drops))

    def _next(self, now: float) -> list[Drop]:
        """The drops that are taken next, out of the backlog."""
        found, put_off = list[Drop](), deque[Drop]()
        while self._backlog and len(found) < TOGETHER:
            drop = self._backlog.popleft()
            if self._full.get(drop.owner, 0) > now:
                put_off.append(drop)
            elif not self._pace.take(now):
                self._backlog.appendleft(drop)
                break
            else:
                found.append(drop)
        self._backlog.extend(put_off)
        return found

    def _begin(self, names: list[str], doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._do(names, doing))
        self._tasks.update(dict.fromkeys(names, task))

    async def _take(self, drops: list[Drop]) -> None:
        found: list[Taken] = await self._crew.call(self._gate.actor, "take_drops", drops)
        for taken, drop in zip(found, drops, strict=True):
            self._note(taken, drop.owner)

    async def _take_up(self, id: str) -> None:
        self._note(await self._crew.call(self._gate.actor, "take_claim", id), None)

    async def _do(self, names: list[str], doing: Coroutine[Any, Any, None]) -> None:
        try:
            await doing
        except TreegateError as error:
            _log.warning("what was dropped could not be taken: %s", error.code)
        except OSError as error:
            _log.warning("what was dropped could not be taken: %s", error.strerror)
        finally:
            for name in names:
                del self._tasks[name]
            self.feed()

    def _note(self, taken: Taken, owner: int | None) -> None:
        self._waits.pop(taken.id, None)
        if taken.how is Took.PLAN:
            self._then(taken)
        elif taken.how is Took.LATER:
            self._waits[taken.id] = time.monotonic() + LATER
            self._claims.append(taken.id)
            if taken.code == "too-many-open-plans" and owner is not None:
                self._full[owner] = self._waits[taken.id]
