"""The pump: what a command writes goes on as it comes, until it ends, or comes to a limit, or somebody says stop."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from treegate.engine.sandbox.order import Ended, Limits, Output
from treegate.engine.sandbox.wire import Cancel, Line

_CHUNK = 1 << 16
_LOOK = 0.25  # seconds between two looks at whether memory ran out: what is left then may fight for it without end
_AFTER = 5.0  # seconds in which what was killed has to be gone


class Child(Protocol):
    """A command under way, as either engine has it."""

    stdout: int
    stderr: int

    def fileno(self) -> int:
        """A handle that can be read from once the command has ended."""
        ...

    def kill(self) -> None:
        """Ends the command and all that it started."""
        ...

    def status(self) -> int:
        """Waits for its end; its exit status, 128 and the signal where one ended it."""
        ...


class Watched(Protocol):
    """What has something to be taken while a command runs."""

    def fileno(self) -> int:
        """A handle that can be read from when there is."""
        ...

    def take(self) -> None:
        """Takes it."""
        ...


class Pump:
    """One command's output on its way; `ended` says why it came to an end, `cut` whether it would have gone on."""

    def __init__(
        self,
        child: Child,
        line: Line,
        limits: Limits,
        watched: Sequence[Watched] = (),
        starved: Callable[[], bool] = lambda: False,
    ) -> None:
        self.ended = Ended.ITSELF
        self.cut = False
        self._child, self._line, self._limits = child, line, limits
        self._watched = watched
        self._starved = starved
        self._sent = 0
        self._deadline = time.monotonic() + limits.seconds
        self._selector = selectors.DefaultSelector()
        self._open = 0

    def run(self) -> None:
        """Pumps until the command has ended, and all that holds its pipes. Raises EOFError once nobody listens."""
        # Whoever does not take what we send holds us up, and yet the command is not to go on beyond its time.
        signal.signal(signal.SIGALRM, lambda *_: self._child.kill())
        signal.setitimer(signal.ITIMER_REAL, max(self._deadline - time.monotonic(), 0.0) + _LOOK)
        try:
            self._run()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _run(self) -> None:
        for stream, fd in (("stdout", self._child.stdout), ("stderr", self._child.stderr)):
            os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ, stream)
            self._open += 1
        self._selector.register(self._child, selectors.EVENT_READ, "child")
        self._selector.register(self._line, selectors.EVENT_READ, "line")
        for one in self._watched:
            self._selector.register(one, selectors.EVENT_READ, one)
        if self._line.has_come():  # with the order
            self._hear()
        alive = True
        while alive or self._open:
            ready = self._selector.select(max(0.0, min(_LOOK, self._deadline - time.monotonic())))
            if alive and self.ended is Ended.ITSELF and self._starved():
                self._end(Ended.MEMORY)
            if time.monotonic() >= self._deadline:
                if not alive:  # whoever holds a pipe now is none of ours
                    break
                self._end(Ended.TIME)
            for key, _ in ready:
                if key.data == "child":
                    self._selector.unregister(self._child)
                    alive, self._deadline = False, time.monotonic() + _AFTER
                    self._child.kill()  # what it left behind
                elif key.data == "line":
                    self._hear()
                elif key.data in self._watched:
                    key.data.take()
                else:
                    self._forward(key.fd, key.data)
        if self.ended is Ended.ITSELF and self._starved():
            self.ended = Ended.MEMORY
        for one in self._watched:
            one.take()
        self._selector.close()

    def _hear(self) -> None:
        while True:
            if isinstance(self._line.word(), Cancel):
                self._end(Ended.CANCELLED)
            if not self._line.has_come():
                return

    def _end(self, why: Ended) -> None:
        if self.ended is Ended.ITSELF:
            self.ended = why
        self._deadline = time.monotonic() + _AFTER
        self._child.kill()

    def _forward(self, fd: int, stream: Literal["stdout", "stderr"]) -> None:
        data = os.read(fd, _CHUNK)
        if not data:
            self._selector.unregister(fd)
            self._open -= 1
            return
        room = self._limits.output - self._sent
        self._sent += len(data)
        if room > 0:
            self._line.send(Output(stream, data[:room]))
        if len(data) > room and self.ended is Ended.ITSELF:
            self.cut = True
            self._end(Ended.OUTPUT)
