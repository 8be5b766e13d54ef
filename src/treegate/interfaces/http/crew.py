"""The crew: worker processes that do what takes long, so that the process that answers never waits for it.

Each has the workspace open and calls one method of `Gate` after another, on behalf of whoever asked.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from treegate.errors import Busy, TreegateError
from treegate.gate import Gate
from treegate.model.actors import Actor

BEHIND = 5  # niceness: on a machine with little to spare, the process that answers goes first
# Not fork, for the process that answers has threads and an open database: workers are forked by a small process of
# their own, which has loaded what they need, has no threads, and never holds a case's lock.
_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload(["__main__", __name__])
_gate: Gate | None = None  # of this worker process
_busy = threading.Lock()


class Crew:
    """Some worker processes; one that dies is replaced, and only what it was doing fails."""

    def __init__(self, root: Path, environ: Mapping[str, str], size: int = 2, patience: float | None = None) -> None:
        self._root, self._environ, self._size, self._patience = root, dict(environ), size, patience
        # One byte that all of them see. It has no lock, for a worker that is killed would keep it.
        self._cancelled = _FORKS.RawValue("b", 0)
        self.busy = 0  # calls that are not answered yet
        self.timed: Callable[[str, float, str], None] = lambda method, seconds, code: None
        self._pool = self._made()

    def _made(self) -> ProcessPoolExecutor:
        given = (self._root, self._environ, self._patience, self._cancelled)
        return ProcessPoolExecutor(self._size, _FORKS, _begin, given)

    async def call(self, actor: Actor, method: str, *args: Any, **named: Any) -> Any:
        """What `Gate.method` answers; its errors are raised here as they were there."""
        loop, pool = asyncio.get_running_loop(), self._pool
        self.busy, began, code = self.busy + 1, time.monotonic(), ""
        try:
            return await loop.run_in_executor(pool, _call, actor, method, args, named)
        except TreegateError as error:
            code = error.code
            raise
        except BrokenProcessPool as error:
            if pool is self._pool:
                self._pool = self._made()
            text, hint = "the worker process that did this has died", "ask again; treegate recover mends what it left"
            raise Busy(text, code="worker-died", hint=hint) from error
        finally:
            self.busy -= 1
            self.timed(method, time.monotonic() - began, code)

    def cancel(self) -> None:
        """Runs that they are in the middle of are taken back, and so is each that they begin from now on."""
        self._cancelled.value = 1

    def begin(self, actor: Actor, method: str, *args: Any) -> Future[Any]:
        """Has `Gate.method` called some time soon; nobody waits for it."""
        try:
            return self._pool.submit(_call, actor, method, args, {})
        except BrokenProcessPool:
            self._pool = self._made()
            return self._pool.submit(_call, actor, method, args, {})

    def warm(self) -> None:
        """Starts the workers, so that nobody who asks has to wait for that."""
        for _ in range(self._size):
            self._pool.submit(_awake)

    def close(self, *, finish: bool = False) -> None:
        """Lets the workers end what they do, or also what they were to `finish`, then lets them go."""
        self._pool.shutdown(wait=True, cancel_futures=not finish)


def _begin(root: Path, environ: dict[str, str], patience: float | None, cancelled: Any) -> None:
    """What each worker does first; signals to end are for the process that answers, which tells its workers."""
    global _gate
    os.nice(BEHIND)
    for number in (signal.SIGINT, signal.SIGTERM):  # the terminal and systemd send them to all of us
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_outlived, daemon=True).start()
    _gate = Gate.open(root, environ)
    _gate.watch(_silent, lambda: bool(cancelled.value))
    if patience is not None:
        _gate.core.store.patience = patience


def _silent(done: int, total: int) -> None:
    """Progress is read from the journal, by whoever wants to know."""


def _awake() -> None:
    """Keeps a worker for a moment, so that the next one is started, too."""
    time.sleep(0.05)


def _outlived() -> None:
    """Ends this worker once the process that answers is gone, killed perhaps; what is being done is done first."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        with _busy:
            os._exit(0)


def _call(actor: Actor, method: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
    assert _gate is not None
    with _busy:
        return getattr(_gate.acting_as(actor), method)(*args, **named)
