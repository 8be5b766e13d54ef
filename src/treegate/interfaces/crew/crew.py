"""The crew: worker processes that do what takes long, so that the process that answers never waits for it.

Each has the workspace open and calls one method of `Gate` after another, on behalf of whoever asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from treegate.errors import Busy, TreegateError
from treegate.gate import Gate
from treegate.model.actors import Actor

_TICK = 0.1  # seconds between two looks whether the process that answers is still there
BEHIND = 5  # niceness: on a machine with little to spare, the process that answers goes first
# Not fork, for the process that answers has threads and an open database: workers are forked by a small process of
# their own, which has loaded what they need, has no threads, and never holds a case's lock.
_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload(["__main__", __name__])
_gate: Gate | None = None  # of this worker process
_owed: set[str] = set()  # plans of which this worker has put off what there is to say
_changing = threading.Lock()  # held while this worker changes what a crash would leave midway
_tied = threading.Event()  # set while what it changes ends with the process that answers
CHANGING = frozenset(
    {
        *("apply", "carry_out", "carry_on", "recover", "prune", "fsck", "rekey", "report"),
        *("run_sandbox", "take_drops", "take_claim", "renew", "write_up"),
    }
)
# What no longer goes on once the process that answers is gone: nobody could end it, and what it did so far is lost
# without harm.
TIED = frozenset({"run_sandbox"})


class Stopped(Busy):
    """The service is being stopped."""

    code, http_status = "stopping", 503

    def __init__(self) -> None:
        super().__init__("this process is being stopped", hint="ask again once it is back; nothing was done")


def changes(method: str, named: Mapping[str, Any]) -> bool:
    """Whether a call of `Gate` changes files, so that it is ended and never cut off; what is only tried does not."""
    return method in CHANGING and not named.get("dry")


class Crew:
    """Some worker processes; one that dies is replaced, and only what it was doing fails.

    Where `each` says so, nobody has more calls than that under way; who asks for more waits behind their own calls,
    in the order in which they asked, and not others behind them.
    """

    def __init__(
        self,
        root: Path,
        environ: Mapping[str, str],
        size: int = 2,
        patience: float | None = None,
        each: int = 0,
        owing: Callable[[list[str] | None], None] | None = None,
        first: str = "",
    ) -> None:
        """With `owing`, these workers put off what there is to say of dropped plans, and it is told of which ones.

        It is told None where a worker died, and nobody knows. `first` is the method of `Gate` that each worker calls
        once, when it begins.
        """
        self._first = first
        self._owing = owing
        self._root, self._environ, self._size, self._patience = root, dict(environ), size, patience
        self._each = each or sys.maxsize
        self._places = asyncio.Semaphore(size)
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()  # by the name of who asks
        # One byte that all of them see. It has no lock, for a worker that is killed would keep it.
        self._cancelled = _FORKS.RawValue("b", 0)
        self._line: tuple[Connection, ...] = ()  # nothing is ever sent: workers end when our end of it is closed
        self._dismissed = False
        self.busy = 0  # calls that are not answered yet
        self.timed: Callable[[str, float, str], None] = lambda method, seconds, code: None
        self._pool = self._made()

    def _made(self) -> ProcessPoolExecutor:
        """New workers; what is left of those before, of whom one died, ends."""
        self._hang_up()
        self._line = _FORKS.Pipe(duplex=False)
        shared = (self._cancelled, self._line[0], self._first)
        given = (self._root, self._environ, self._patience, self._owing is not None, *shared)
        return ProcessPoolExecutor(self._size, _FORKS, _begin, given)

    async def call(self, actor: Actor, method: str, *args: Any, **named: Any) -> Any:
        """What `Gate.method` answers; its errors are raised here as they were there.

        Where the caller is cancelled before it began, it is never called.
        """
        self.busy, began, code = self.busy + 1, time.monotonic(), ""
        try:
            # Shielded, for what was handed over is never cancelled: a pool that breaks stumbles over such calls.
            answer = asyncio.wrap_future(await self._begun(actor, method, args, named))
            answer.add_done_callback(_heard)  # by whoever is gone before it is there
            return self._told(await asyncio.shield(answer))
        except TreegateError as error:
            code = error.code
            raise
        except BrokenProcessPool as error:
            if self._dismissed:
                raise Stopped from error
            if self._owing is not None:
                self._owing(None)
            text, hint = "the worker process that did this has died", "ask again; treegate recover mends what it left"
            raise Busy(text, code="worker-died", hint=hint) from error
        finally:
            self.busy -= 1
            self.timed(method, time.monotonic() - began, code)

    def _told(self, done: _Done) -> Any:
        """The answer to a call, once what it left to be written is told."""
        if self._owing is not None and done.owed:
            self._owing(done.owed)
        if done.error is not None:
            raise done.error
        return done.answer

    async def _begun(self, actor: Actor, method: str, args: tuple[Any, ...], named: dict[str, Any]) -> Future[Any]:
        """The call, handed over once it is the caller's turn and a worker is free; both are again when it is over."""
        turn = self._turns.get(actor.name)
        if turn is None:
            turn = self._turns[actor.name] = asyncio.Semaphore(self._each)
        with contextlib.ExitStack() as held:
            for one in (turn, self._places):
                await one.acquire()
                held.callback(one.release)
            future = self._submit(_call, actor, method, args, named)
            over = held.pop_all()
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _soon(loop, over.close))
        return future

    def _submit(self, what: Callable[..., Any], *given: Any) -> Future[Any]:
        """Hands a call to the workers; where one has died, they are replaced."""
        if self._dismissed:
            raise Stopped
        try:
            return self._pool.submit(what, *given)
        except BrokenProcessPool:
            self._pool = self._made()
            return self._pool.submit(what, *given)

    @property
    def size(self) -> int:
        """How many workers there are."""
        return self._size

    def dismiss(self) -> None:
        """Ends the workers, whatever they look at; what they change they end first."""
        self._dismissed = True
        self._line[1].close()

    def cancel(self) -> None:
        """Runs that they are in the middle of are taken back, and so is each that they begin from now on."""
        self._cancelled.value = 1

    def begin(self, actor: Actor, method: str, *args: Any) -> Future[Any]:
        """Has `Gate.method` called some time soon; nobody waits for it."""
        return self._submit(_do, actor, method, args, {})

    def warm(self, method: str = "", most: int = 0) -> list[Future[None]]:
        """Starts the workers, or so many, so that nobody has to wait for that; each then calls `Gate.method`."""
        return [self._pool.submit(_awake, method) for _ in range(most or self._size)]

    def close(self, *, finish: bool = False) -> None:
        """Lets the workers end what they change, or also what they were to `finish`, then lets them go.

        They are dismissed before they are waited for: one that was killed may have left a lock, for which another
        would wait forever.
        """
        if not finish:
            self.dismiss()
        self._pool.shutdown(wait=True, cancel_futures=not finish)
        self._hang_up()

    def _hang_up(self) -> None:
        for end in self._line:
            end.close()


def _heard(answer: asyncio.Future[Any]) -> None:
    """Looks at an answer that perhaps nobody waits for: asyncio would tell of an error in it, in words of its own."""
    if not answer.cancelled():
        answer.exception()


def _soon(loop: asyncio.AbstractEventLoop, do: Callable[[], None]) -> None:
    """Has the loop do it, unless it has ended by now."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(do)


def _begin(
    root: Path,
    environ: dict[str, str],
    patience: float | None,
    put_off: bool,
    cancelled: Any,
    line: Connection,
    first: str,
) -> None:
    """What each worker does first; signals to end are for the process that answers, which tells its workers."""
    global _gate, _owed
    os.nice(BEHIND)
    for number in (signal.SIGINT, signal.SIGTERM):  # the terminal and systemd send them to all of us
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_heed, args=(line,), daemon=True).start()
    _gate = Gate.open(root, environ)
    _gate.core.store.remember()
    _gate.watch(_silent, lambda: bool(cancelled.value))
    if put_off:
        _owed = _gate.put_off_reports()
    if patience is not None:
        _gate.core.store.patience = patience
    if first:
        getattr(_gate, first)()


def _silent(done: int, total: int) -> None:
    """Progress is read from the journal, by whoever wants to know."""


def _awake(method: str) -> None:
    """Keeps a worker for a moment, so that the next one is started, too."""
    assert _gate is not None
    if method:
        getattr(_gate, method)()
    time.sleep(0.05)


def _heed(line: Connection) -> None:
    """Ends this worker when it is dismissed, or once the process that answers is gone, killed perhaps.

    What carries out a run ends it first; what only looks has nobody to tell. A command is ended with whoever could
    have had it ended: its runner, whose wire ends with us, sees to that.
    """
    parent = parent_process()
    assert parent is not None
    connection.wait([line, parent.sentinel])
    while not _changing.acquire(timeout=_TICK):
        if _tied.is_set() and connection.wait([parent.sentinel], 0):
            break
    os._exit(0)


class _Done(NamedTuple):
    """What came of a call."""

    answer: Any
    error: TreegateError | None
    owed: list[str]


def _do(actor: Actor, method: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
    assert _gate is not None
    with _changing if changes(method, named) else contextlib.nullcontext():
        if method in TIED:
            _tied.set()
        try:
            return getattr(_gate.acting_as(actor), method)(*args, **named)
        finally:
            _tied.clear()


def _call(actor: Actor, method: str, args: tuple[Any, ...], named: dict[str, Any]) -> _Done:
    answer = error = None
    try:
        answer = _do(actor, method, args, named)
    except TreegateError as raised:
        error = raised
    owed = sorted(_owed)
    _owed.clear()
    return _Done(answer, error, owed)
