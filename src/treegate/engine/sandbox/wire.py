"""The wire between treegate and the runner of a command: one message after the other, its length before each."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Any

import msgspec

from treegate.engine.sandbox.order import EngineName, Frame, Limits, Order

_LENGTH = struct.Struct("=I")
_MOST = 64 << 20  # bytes of one message


class Prepare(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Do beforehand what does not depend on the command."""

    engine: EngineName
    scratch: str
    limits: Limits = Limits()
    elsewhere: bool = False  # views are made by the Docker daemon, for what is mounted here it does not see


class Run(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Run this command."""

    order: Order


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """End the command now; what it did is captured all the same."""


class Release(msgspec.Struct, frozen=True, tag=True):
    """What was captured is safe elsewhere: let the view go, and end."""


Word = Prepare | Run | Cancel | Release

_encode = msgspec.msgpack.Encoder().encode
_frame = msgspec.msgpack.Decoder(Frame)
_word = msgspec.msgpack.Decoder(Word)


class Line:
    """One end of the wire, blocking; whoever has the other end gone meets EOFError or OSError."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._come = bytearray()

    def fileno(self) -> int:
        return self._end.fileno()

    def send(self, message: Frame | Word) -> None:
        """Sends one message."""
        data = _encode(message)
        self._end.sendall(_LENGTH.pack(len(data)) + data)

    def frame(self) -> Frame:
        """The next that a runner tells."""
        found: Frame = self._next(_frame)
        return found

    def word(self) -> Word:
        """The next that a runner is told."""
        found: Word = self._next(_word)
        return found

    def _next(self, decoder: msgspec.msgpack.Decoder[Any]) -> Any:
        (length,) = _LENGTH.unpack(self._take(_LENGTH.size))
        if length > _MOST:
            raise EOFError("what comes is no message")
        return decoder.decode(self._take(length))

    def _take(self, count: int) -> bytes:
        while len(self._come) < count:
            data = self._end.recv(1 << 16)
            if not data:
                raise EOFError
            self._come += data
        taken = bytes(self._come[:count])
        del self._come[:count]
        return taken

    def hang_up(self) -> None:
        """Lets the other end, and whoever waits here, meet the end of it; `close` is still to come."""
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hangs up."""
        self._end.close()
