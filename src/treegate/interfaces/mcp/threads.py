"""Threads for calls that block: those that are given up end by themselves, those that change files are waited for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from treegate.errors import Busy

T = TypeVar("T")
MOST = 16  # calls of one agent at a time


class Threads:
    """One agent's calls that are under way; daemons, so that one that waits for a person keeps no process alive."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._room = threading.BoundedSemaphore(most)
        self._lasting: set[threading.Thread] = set()

    async def run(self, act: Callable[[], T], *, lasts: bool = False) -> T:
        """What a call gives. One that `lasts` is waited for by `finish`. Raises Busy where too many are under way."""
        if not self._room.acquire(blocking=False):
            hint = "wait for one of them to answer"
            raise Busy(f"{self._most} calls are under way already", code="too-many-calls", hint=hint)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        thread = threading.Thread(target=self._work, args=(act, loop, done), name="an agent's call", daemon=True)
        if lasts:
            self._lasting.add(thread)
        thread.start()
        return await done

    @property
    def under_way(self) -> bool:
        """Whether there are any that last."""
        return bool(self._lasting)

    def finish(self) -> None:
        """Waits for the calls that last."""
        for thread in list(self._lasting):
            thread.join()

    def _work(self, act: Callable[[], T], loop: asyncio.AbstractEventLoop, done: asyncio.Future[T]) -> None:
        told: Callable[[], None]
        try:
            told = _giving(done, act())
        except Exception as error:
            told = _raising(done, error)
        finally:
            self._lasting.discard(threading.current_thread())
            self._room.release()
        with contextlib.suppress(RuntimeError):  # nobody is there any more
            loop.call_soon_threadsafe(told)


def _giving(done: asyncio.Future[Any], value: Any) -> Callable[[], None]:
    return lambda: None if done.done() else done.set_result(value)


def _raising(done: asyncio.Future[Any], error: Exception) -> Callable[[], None]:
    return lambda: None if done.done() else done.set_exception(error)
