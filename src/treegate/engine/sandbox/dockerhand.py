"""The process that holds one container: `python -m treegate.engine.sandbox.dockerhand STATUS`.

It says on the descriptor STATUS what becomes of the command, a line of JSON each (docker.Told), and hands through
what that writes. Its standard input begins with what to run, the length of that before it (`Hand.go`); when that
input ends, or on SIGTERM, it ends the container. Its own exit status is the command's; 125 where there was none.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from typing import Any

import msgspec

from treegate.engine.sandbox import daemon as sdk
from treegate.engine.sandbox.docker import LENGTH, Cleared, Done, Spec, Started, Told, Undone
from treegate.errors import TreegateError, UsageError

_HEAD, _STDERR = 8, 2  # a frame of the daemon: one byte that says which stream, three empty ones, its length
_PIECE = 1 << 16
_KILLED = 137  # the status of what was ended before it began, as of what was ended in the midst
_AGAIN = 0.05  # seconds between two tries to end a container that may not have begun


class Holder:
    """One container from its making to its removal."""

    def __init__(self, spec: Spec, docker: sdk.Daemon, status: int, over: int) -> None:
        """`over` becomes readable once the container is to be ended; so does standard input when it ends."""
        self._spec, self._docker, self._status, self._over = spec, docker, status, over
        self._called_off, self._finished = threading.Event(), threading.Event()

    def run(self) -> int:
        """The command's status, once all of it has ended and been removed."""
        watch = threading.Thread(target=self._watch, daemon=True)
        try:
            image = self._docker.image(self._spec.image)
            name = self._docker.create(self._spec, image)
            held = self._docker.attach(name, asked=self._spec.asked)
            self._input = held if self._spec.asked else None
            watch.start()
            if self._called_off.is_set():
                done = Done(_KILLED)
            else:
                self._docker.start(name)
                tell(self._status, Started(image))
                _pass_on(held)
                done = self._done(name)
            tell(self._status, done)
            return done.status
        finally:
            self._finished.set()
            with contextlib.suppress(TreegateError):  # what stays is for a sweep, and what happened is told
                self._docker.remove(self._spec.name)
                tell(self._status, Cleared())

    def _done(self, name: str) -> Done:
        try:
            status = self._docker.wait(name)
        except TreegateError as error:
            text = f"Docker went away while the command ran: {error.message}"
            raise UsageError(text, code="docker-lost", hint="run the command again once Docker is back") from None
        return Done(status, status != 0 and self._docker.out_of_memory(name))

    def _watch(self) -> None:
        """Ends the container once nobody wants it any more; one that is about to begin is ended right after."""
        while not select.select([0, self._over], [], [], None)[0] or self._forwarded():
            pass
        self._called_off.set()
        with sdk.connect() as docker:
            while not self._finished.wait(_AGAIN):
                docker.kill(self._spec.name)

    def _forwarded(self) -> bool:
        """Whether there was something for a helper to read; False at the end of it all."""
        if select.select([self._over], [], [], 0)[0]:
            return False
        got = os.read(0, _PIECE)
        if got and self._input is not None:
            self._input.sendall(got)
        return bool(got)


def _pass_on(held: Any) -> None:
    """What the container writes, to the stream of ours that it is meant for, until it writes no more.

    A frame is handed through piece by piece: it may be longer than anybody wants to hold.
    """
    gone: set[int] = set()  # streams that nobody reads any more
    head = b""
    while got := held.recv(_HEAD - len(head)):
        head += got
        if len(head) < _HEAD:
            continue
        left = int.from_bytes(head[4:])
        stream = _STDERR if head[0] == _STDERR else 1
        while left and (piece := held.recv(min(left, _PIECE))):
            left -= len(piece)
            _write(stream, piece, gone)
        head = b""


def _write(stream: int, piece: bytes, gone: set[int]) -> None:
    try:
        while piece and stream not in gone:
            piece = piece[os.write(stream, piece) :]
    except BrokenPipeError:
        gone.add(stream)


def tell(status: int, told: Told) -> None:
    """Says something to whoever started this; fine if nobody is there any more."""
    try:
        os.write(status, msgspec.json.encode(told) + b"\n")
    except BrokenPipeError:
        return


def _wakened_by_sigterm() -> int:
    """A descriptor that becomes readable on SIGTERM; Ctrl-C is for whoever started this."""
    over, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return over


def _order(over: int) -> bytes:
    """The order; b"" where there will be none. Not a byte beyond it is read."""
    head = _exactly(over, LENGTH)
    return _exactly(over, int.from_bytes(head)) if head else b""


def _exactly(over: int, count: int) -> bytes:
    read = b""
    while len(read) < count:
        if over in select.select([0, over], [], [])[0] or not (got := os.read(0, count - len(read))):
            return b""
        read += got
    return read


def main() -> int:
    """Holds one container; the exit status of this process."""
    status, over = int(sys.argv[1]), _wakened_by_sigterm()
    try:
        with sdk.connect() as docker:
            order = _order(over)
            if not order:
                return 0
            return Holder(msgspec.json.decode(order, type=Spec), docker, status, over).run()
    except TreegateError as error:
        tell(status, Undone(error.code, error.message, error.hint, error.next))
    except OSError as error:
        tell(status, Undone("docker-lost", f"the way to Docker broke: {error}", "run the command again"))
    return 125


if __name__ == "__main__":
    os._exit(main())  # whoever waits for this end need not wait until all modules are taken apart
