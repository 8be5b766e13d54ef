"""The wire between treegate and the runner of a command: one message after the other, its length before each."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any

import msgspec

from treegate.engine.sandbox.order import EngineName, Frame, Limits, Order

_LENGTH = struct.Struct("=I?")  # and whether its texts are spelled byte by byte
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
        try:
            data, spelled = _encode(message), False
        except UnicodeEncodeError:  # a name that is not UTF-8
            data, spelled = _encode(_each_text(msgspec.to_builtins(message, builtin_types=(bytes,)), _spelled)), True
        self._end.sendall(_LENGTH.pack(len(data), spelled) + data)

    def frame(self) -> Frame:
        """The next that a runner tells."""
        found: Frame = self._next(_frame, Frame)
        return found

    def word(self) -> Word:
        """The next that a runner is told."""
        found: Word = self._next(_word, Word)
        return found

    def has_come(self) -> bool:
        """Whether a message lies here already, of which the handle says nothing any more."""
        if len(self._come) < _LENGTH.size:
            return False
        return len(self._come) >= _LENGTH.size + int(_LENGTH.unpack_from(self._come)[0])

    def _next(self, decoder: msgspec.msgpack.Decoder[Any], kind: Any) -> Any:
        length, spelled = _LENGTH.unpack(self._take(_LENGTH.size))
        if length > _MOST:
            raise EOFError("what comes is no message")
        data = self._take(length)
        try:
            if not spelled:
                return decoder.decode(data)
            return msgspec.convert(_each_text(msgspec.msgpack.decode(data), _as_meant), kind)
        except (msgspec.MsgspecError, ValueError, RecursionError):  # a helper's wire is anybody's of its group
            raise EOFError("what comes is no message") from None

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


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    """The same with each of its texts changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _each_text(inner, change) for key, inner in value.items()}
    return [_each_text(inner, change) for inner in value] if isinstance(value, list | tuple) else value


def _spelled(text: str) -> str:
    """A text whose bytes need not be UTF-8 as one that is: a character for each byte."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _as_meant(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", "surrogateescape")
