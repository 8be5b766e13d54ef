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

_END = 20.0  # seconds in which a runner lets everything go


class Ready:
    """A runner started beforehand, for a command that is yet to come."""

    def __init__(self, engine: EngineName, scratch: str, limits: Limits, *, elsewhere: bool = False) -> None:
        self.engine, self.scratch, self.limits, self.elsewhere = engine, scratch, limits, elsewhere
        ours, its = socket.socketpair()
        with its:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-m", "treegate.engine.sandbox.runner", str(its.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
                start_new_session=True,
                env={name: os.environ[name] for name in docker.VARIABLES if name in os.environ},
                cwd="/",
            )
        self.line = Line(ours)
        self.line.send(Prepare(engine=engine, scratch=scratch, limits=limits, elsewhere=elsewhere))

    def fits(self, order: Order) -> bool:
        """Whether what was done beforehand is what a command needs; how long it may take matters only later."""
        limits = structs.replace(order.limits, seconds=self.limits.seconds)
        same = (self.engine, self.limits, self.elsewhere) == (order.engine, limits, order.elsewhere)
        return same and self.process.poll() is None

    def close(self) -> None:
        """Lets the runner go, with all that it holds, and clears its folder away."""
        self.line.close()
        try:
            self.process.wait(_END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(OSError):
            leftovers.clear(self.scratch)  # what cannot be cleared away now is for the sweep


class Session:
    """One command under way; iterate it for what it does, until it is captured or has failed. A context manager."""

    def __init__(self, order: Order, ready: Ready) -> None:
        self._ready = ready
        self._sending = threading.Lock()
        self._tell(Run(order=order))

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
        """The number of the process that has the command."""
        return self._ready.process.pid

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


def make_ready(engine: EngineName, scratch: str, limits: Limits, *, elsewhere: bool = False) -> Ready:
    """Starts a runner beforehand; `scratch` is an own folder on a local disk, which is made, and goes with it.

    `elsewhere` as the order's: views are made by the Docker daemon.
    """
    os.makedirs(scratch, mode=0o700, exist_ok=True)
    return Ready(engine, scratch, limits, elsewhere=elsewhere)


def start(order: Order, ready: Ready | None = None) -> Session:
    """Has a command run, by a runner that is ready, if it is one for such a command, or by a new one."""
    if ready is not None and ready.fits(order):
        return Session(structs.replace(order, scratch=ready.scratch), ready)
    if ready is not None:
        ready.close()
    return Session(order, make_ready(order.engine, order.scratch, order.limits, elsewhere=order.elsewhere))
