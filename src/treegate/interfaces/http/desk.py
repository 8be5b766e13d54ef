"""The desk: short writes, done in threads, so that the loop that answers never waits for another writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from treegate.errors import Busy

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = 5.0  # seconds that a request waits for other writers, and for a place at the desk
PLACES = 4  # one of them writes to the database; the others may be writing reports on a slow mount


class Desk:
    """A few threads; who finds none free for long is asked to come again."""

    def __init__(self, places: int = PLACES, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._free = asyncio.Semaphore(places)
        self._threads = ThreadPoolExecutor(places, "desk")

    async def do(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """What `work` answers, or raises; raises Busy "too-busy" where it could not begin."""
        try:
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        except TimeoutError:
            text, hint = "others are writing, and have been for seconds", "nothing was done: ask again"
            raise Busy(text, code="too-busy", hint=hint) from None
        done = asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args, **named))
        done.add_done_callback(lambda _: self._free.release())
        return await asyncio.shield(done)  # a client that goes away takes no decision back, nor its place

    def close(self) -> None:
        """Lets what is being written be written."""
        self._threads.shutdown(wait=True)
