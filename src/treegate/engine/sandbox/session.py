"""Sessions: a command in a sandbox as treegate sees it, told frame by frame by the runner that has it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Self

from msgspec import structs

from treegate.engine.sandbox import docker, leftovers
from treegate.engine.sandbox.order import Captured, EngineName, Failed, Frame, Limits, Order
from treegate.engine.sandbox.wire import Cancel, Line, Prepare, Release, Run
from treegate.errors import UsageError

_END = 20.0  # seconds in which a runner lets everything go


class Ready:
    """A runner started beforehand, for a command that is yet to come."""

    process: subprocess.Popen[bytes] | None  # None where a helper has it

    def __init__(
        self, engine: EngineName, scratch: str, limits: Limits, *, elsewhere: bool = False, helper: str = ""
    ) -> None:
        self.engine, self.scratch, self.limits, self.elsewhere = engine, scratch, limits, elsewhere
        self.process, self.line = (None, _called(helper)) if helper else _started()
        self.line.send(Prepare(engine=engine, scratch=scratch, limits=limits, elsewhere=elsewhere))

    def fits(self, order: Order) -> bool:
        """Whether what was done beforehand is what a command needs; how long it may take matters only later."""
        limits = structs.replace(order.limits, seconds=self.limits.seconds)
        same = (self.engine, self.limits, self.elsewhere) == (order.engine, limits, order.elsewhere)
        return same and (self.process is None or self.process.poll() is None)

    def close(self) -> None:
        """Lets the runner go, with all that it holds, and clears its folder away."""
        self.line.close()
        if self.process is not None:
            _ended(self.process)
        with contextlib.suppress(OSError):
            leftovers.clear(self.scratch)  # what cannot be cleared away now is for the sweep


def _started() -> tuple[subprocess.Popen[bytes], Line]:
    """A runner of our own, and the line to it."""
    ours, its = socket.socketpair()
    with its:
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "treegate.engine.sandbox.runner", str(its.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
            start_new_session=True,
            env={name: os.environ[name] for name in docker.VARIABLES if name in os.environ},
            cwd="/",
        )
    return process, Line(ours)


def _ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _called(path: str) -> Line:
    """The line to a helper that has runners; raises UsageError "helper-absent"."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
    except OSError as error:
        connection.close()
        text = f"the helper that has Docker does not answer at {path}: {error.strerror or error}"
        hint = "start the sandbox helper on that socket, as the user of the service"
        raise UsageError(text, code="helper-absent", hint=hint, next="treegate doctor") from None
    return Line(connection)


class Session:
    """One command under way; iterate it for what it does, until it is captured or has failed. A context manager."""

    def __init__(self, order: Order, ready: Ready) -> None:
        self._ready = ready
        self._sending = threading.Lock()
        try:
            self._tell(Run(order=order))
        except BaseException:
            ready.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            try:
                frame = self._ready.line.frame()
            except (EOFError, OSError):
                yield Failed("sandbox-lost", "the process that ran the command is gone", "run it again")
                return
            yield frame
            if isinstance(frame, Captured | Failed):
                return

    @property
    def runner(self) -> int:
        """The number of the process that has the command; 0 where a helper has it."""
        return 0 if self._ready.process is None else self._ready.process.pid

    def cancel(self) -> None:
        """Ends the command now, from any thread; what it did by then is captured."""
        self._tell(Cancel())

    def close(self) -> None:
        """Lets everything go that the command left: what was captured is safe."""
        self._tell(Release())
        self._ready.close()

    def _tell(self, word: Run | Cancel | Release) -> None:
        with self._sending, contextlib.suppress(OSError):  # a runner that is gone is told of by the next frame
            self._ready.line.send(word)


def make_ready(
    engine: EngineName, scratch: str, limits: Limits, *, elsewhere: bool = False, helper: str = ""
) -> Ready:
    """Starts a runner beforehand; `scratch` is an own folder on a local disk, which is made, and goes with it.

    `elsewhere` as the order's: views are made by the Docker daemon. `helper`: the socket of who has runners.
    """
    os.makedirs(scratch, mode=0o700, exist_ok=True)
    return Ready(engine, scratch, limits, elsewhere=elsewhere, helper=helper)


def start(order: Order, ready: Ready | None = None, helper: str = "") -> Session:
    """Has a command run, by a runner that is ready, if it is one for such a command, or by a new one.

    With the socket of a `helper` it is that one's runner, which decides by itself what it takes of the order.
    """
    if ready is not None and ready.fits(order):
        return Session(structs.replace(order, scratch=ready.scratch), ready)
    if ready is not None:
        ready.close()
    made = make_ready(order.engine, order.scratch, order.limits, elsewhere=order.elsewhere, helper=helper)
    return Session(order, made)
