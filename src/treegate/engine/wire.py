"""How a run and its aide speak: one whole message after the other over a socket, with handles beside it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

import msgspec

from treegate.engine.handles import close

LENGTH = struct.Struct("=I")  # bytes of a chunk, in front of it: where chunks are read from a file
MOST = 200  # handles with one message; the kernel takes 253 (unix(7), SCM_MAX_FD)
LONGEST = 64 << 20  # bytes of a message
_HEAD = struct.Struct("=IB")  # bytes of the message, and handles with it
_TIME = struct.Struct("@ll")  # struct timeval


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The aide can be asked."""


class Look(msgspec.Struct, frozen=True, tag=True):
    """Which of these (name, packed facts) are not as they were, or, `known`, not plainly the known ones? With a
    handle of the folder that they are in."""

    looks: list[tuple[bytes, bytes]]
    known: bool = False


class Others(msgspec.Struct, frozen=True, tag=True):
    """The answer to `Look`: their places in the list."""

    numbers: list[int]


class MakeLines(msgspec.Struct, frozen=True, tag=True):
    """Write the lines of a receipt. With handles of the effects (a chunk behind its length) and the lines' file."""


class MakeData(msgspec.Struct, frozen=True, tag=True):
    """Write rollback.data of each of some volumes, from a step table that builds nothing. With a handle of each file.

    `grounds`: where the folder of each root key is (volume, path in it), as engine.rollback has it.
    """

    run: str
    table: bytes  # the path of the file
    digest: str
    grounds: dict[bytes, tuple[bytes, bytes]]
    volumes: list[tuple[bytes, bool]]  # each with whether its inode numbers can be counted on


class Written(msgspec.Struct, frozen=True):
    """What was written to a file."""

    lines: int
    sha256: str


class Made(msgspec.Struct, frozen=True, tag=True):
    """The answer to `MakeLines` and `MakeData`: of each file what is in it, None where there is nothing to write."""

    files: list[Written | None]


Task = MakeLines | MakeData
Message = Ready | Look | Others | Task | Made

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


class Wire:
    """One end; whoever has the other end gone meets EOFError or OSError."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, message: Message, beside: Sequence[int] = ()) -> None:
        """Send one message, with at most MOST handles, which stay the sender's, too."""
        data = _encode(message)
        socket.send_fds(self._end, [_HEAD.pack(len(data), len(beside))], beside)
        self._end.sendall(data)

    def receive(self) -> tuple[Message, list[int]]:
        """The next message, and the handles with it, the receiver's to close."""
        head, beside, _, _ = socket.recv_fds(self._end, _HEAD.size, MOST, socket.MSG_WAITALL)
        try:
            length, count = _HEAD.unpack(head)
            data = bytearray(min(length, LONGEST))
            if len(beside) != count or self._end.recv_into(data, length, socket.MSG_WAITALL) != length:
                raise EOFError
            return _decode(data), beside
        except (struct.error, msgspec.MsgspecError, EOFError, OSError):
            for handle in beside:
                close(handle)
            raise EOFError("what came is no message") from None

    def has_come(self) -> bool:
        """Whether something came that was not received yet, be it the end."""
        try:
            self._end.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True  # `receive` will tell
        return True

    def wait_at_most(self, seconds: int) -> None:
        """From now on `send` and `receive` raise EOFError or OSError where the other end is silent for so long."""
        limit = _TIME.pack(seconds, 0)
        self._end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def close(self) -> None:
        """Hang up."""
        self._end.close()
