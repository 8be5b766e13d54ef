"""Writing: what there is to say of dropped plans, some plans at a time, once for all that befell each by then."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable

from treegate.errors import TreegateError
from treegate.gate import Gate
from treegate.interfaces.crew.crew import Crew

TOGETHER = 25  # plans that are written of by one call
PATIENCE = 5.0  # seconds for which a plan that is about to be carried out is not written of
GATHER = 0.1  # seconds after which one writes again, while runs are under way: what ends meanwhile comes along
LATER = 1.0  # seconds until what could not be written is tried again
_log = logging.getLogger("treegate.worker")


class Writing:
    """Plans of which something is owed: each at once, or once its run has ended, if that is soon."""

    def __init__(self, gate: Gate, crew: Crew) -> None:
        self._gate, self._crew = gate, crew
        self._owed: dict[str, None] = {}  # in the order in which they came to be owed
        self._runs: dict[str, float] = {}  # plans whose runs are about to be made: until when they are waited for
        self._stirred = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._writing = False

    @property
    def busy(self) -> bool:
        """Whether something is still to be written."""
        return self._writing or bool(self._owed or self._runs)

    @property
    def expected(self) -> int:
        """How many plans were taken whose runs are waited for."""
        return len(self._runs)

    def start(self) -> None:
        """Begins."""
        self._task = asyncio.create_task(self._work())

    def owe(self, plans: Iterable[str]) -> None:
        """These are to be written of as soon as can be."""
        for id in plans:
            self._runs.pop(id, None)
            self._owed[id] = None
        self._stirred.set()

    def expect(self, plan: str) -> None:
        """This one is about to be carried out, and is written of then; or in a while, should that take long."""
        self._owed.pop(plan, None)
        self._runs[plan] = time.monotonic() + PATIENCE
        self._stirred.set()

    async def stop(self) -> None:
        """Writes what is owed, and ends."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self.owe(list(self._runs))
        while self._owed and await self._write():
            pass

    async def _work(self) -> None:
        while True:
            now = time.monotonic()
            self.owe([id for id, until in self._runs.items() if until <= now])
            self._stirred.clear()
            if self._owed:
                done = await self._write()
                await asyncio.sleep(LATER if not done else GATHER if self._runs else 0)
                continue
            until = min(self._runs.values(), default=None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if until is None else max(0.0, until - now)):
                    await self._stirred.wait()

    async def _write(self) -> bool:
        """Has some of it written; whether that could be done."""
        some = list(self._owed)[:TOGETHER]
        for id in some:
            del self._owed[id]
        self._writing = True
        try:
            await self._crew.call(self._gate.actor, "write_up", some)
        except asyncio.CancelledError:
            self.owe(some)
            raise
        except TreegateError as error:
            _log.warning("what there is to say of %d plans could not be written: %s", len(some), error.code)
            self.owe(some)
            return False
        finally:
            self._writing = False
        return True
