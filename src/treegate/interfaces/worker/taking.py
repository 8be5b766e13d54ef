"""Taking: drops that are whole are made plans of, some at a time, in worker processes."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from treegate.engine.dropbox import Drop
from treegate.errors import TreegateError
from treegate.gate import Gate
from treegate.gate.queue.intake import Taken, Took
from treegate.gate.queue.settling import Settling
from treegate.interfaces.crew.crew import Crew
from treegate.interfaces.worker.pace import Pace

AT_ONCE = 4  # drops that are handed to the crew: whoever is free finds one
SOON = 0.05  # seconds until one looks again at what is not whole yet
LATER = 1.0  # seconds until what could not be taken is tried again
_log = logging.getLogger("treegate.worker")


class Taking:
    """What was dropped, on its way to be plans; `then` is called after each that is one."""

    def __init__(self, gate: Gate, crew: Crew, then: Callable[[], None]) -> None:
        config = gate.core.config.queue
        self._gate, self._crew, self._then = gate, crew, then
        self._settling = Settling(config.settle / 1000)
        self._pace = Pace(config.plans_per_minute)
        self._backlog: deque[Drop] = deque()
        self._claims: deque[str] = deque()
        self._waits: dict[str, float] = {}  # claims that could not be taken: until when
        self._full: dict[int, float] = {}  # owners of whom no more can be taken: until when
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by name, or id of a claim
        self._stopped = False

    @property
    def busy(self) -> bool:
        """Whether something is on its way; what cannot be taken now, whatever it waits for, is not."""
        return bool(self._tasks) or self._settling.waits

    async def look(self, stirred: bool, *, everything: bool) -> float:
        """Looks for what was dropped, and begins with it; the seconds after which one should look again."""
        if everything:
            self._claims = deque(id for id in await asyncio.to_thread(self._gate.claims) if id not in self._tasks)
        if not self._backlog and (stirred or self._settling.waits):
            self._backlog = deque(await asyncio.to_thread(self._ripe))
        self._feed()
        if self._settling.waits:
            return SOON
        return LATER if self._backlog or self._claims else math.inf

    async def stop(self) -> None:
        """Begins nothing more, and waits for what is under way."""
        self._stopped = True
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _ripe(self) -> list[Drop]:
        drops = [drop for drop in self._gate.drops() if drop.name not in self._tasks]
        return self._settling.ripe(drops, time.monotonic(), self._gate.read_drop)

    def _feed(self) -> None:
        """Hands over as much as is taken at once; what is claimed already goes first."""
        now = time.monotonic()
        for _ in range(len(self._claims)):
            id = self._claims.popleft()
            if self._waits.get(id, 0) > now or len(self._tasks) >= AT_ONCE:
                self._claims.append(id)
            else:
                self._begin(id, "take_claim", id)
        put_off = deque[Drop]()
        while self._backlog and len(self._tasks) < AT_ONCE and not self._stopped:
            drop = self._backlog.popleft()
            if self._full.get(drop.owner, 0) > now:
                put_off.append(drop)
            elif not self._pace.take(now):
                self._backlog.appendleft(drop)
                break
            else:
                self._begin(drop.name, "take_drop", drop, owner=drop.owner)
        self._backlog.extend(put_off)

    def _begin(self, name: str, method: str, given: Any, owner: int | None = None) -> None:
        if not self._stopped:
            self._tasks[name] = asyncio.create_task(self._do(name, method, given, owner))

    async def _do(self, name: str, method: str, given: Any, owner: int | None) -> None:
        try:
            taken: Taken = await self._crew.call(self._gate.actor, method, given)
        except TreegateError as error:
            _log.warning("what was dropped could not be taken: %s", error.code)
        except OSError as error:
            _log.warning("what was dropped could not be taken: %s", error.strerror)
        else:
            self._note(taken, owner)
        finally:
            del self._tasks[name]
            self._feed()

    def _note(self, taken: Taken, owner: int | None) -> None:
        self._waits.pop(taken.id, None)
        if taken.how is Took.PLAN:
            self._then()
        elif taken.how is Took.LATER:
            self._waits[taken.id] = time.monotonic() + LATER
            self._claims.append(taken.id)
            if taken.code == "too-many-open-plans" and owner is not None:
                self._full[owner] = self._waits[taken.id]
