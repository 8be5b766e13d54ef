"""What is said between a runner and its helper inside a container, over the helper's own input and output.

The helper looks at views that only the daemon's machine can see: it tells what it found in rows, and sends contents.
Names may be no text, so they travel as bytes.
"""

from __future__ import annotations

import os
import select
import struct
from collections.abc import Iterable, Iterator
from typing import Any, get_type_hints

import msgspec

from treegate.engine.sandbox.difference import Changed, Difference
from treegate.engine.sandbox.order import Finding, Limits
from treegate.model.capture import Entry, Gone, Still
from treegate.model.tree import Kind

_LENGTH = struct.Struct("=I")
_MOST = 64 << 20  # bytes of one message
_KINDS: tuple[type[Any], ...] = (Entry, Gone, Still, Finding, Changed)


class Look(msgspec.Struct, frozen=True, tag=True):
    """Make ready to look: the names of cases, and of what is hidden in each; as overlays, or as copies to be made."""

    cases: tuple[tuple[bytes, tuple[bytes, ...]], ...]
    copies: bool
    limits: Limits


class Seen(msgspec.Struct, frozen=True, tag=True):
    """All is ready: who the command has to be, what each case is (device, inode), and what is to be known of them."""

    user: tuple[int, int]
    roots: tuple[tuple[int, int], ...]
    warnings: tuple[bytes, ...]


class Wrong(msgspec.Struct, frozen=True, tag=True):
    """It cannot be done: in the words of an error; with `unfit`, perhaps as copies."""

    code: str
    message: bytes
    hint: bytes = b""
    unfit: bool = False


class Full(msgspec.Struct, frozen=True, tag=True):
    """More was written to the views than may be."""


class Take(msgspec.Struct, frozen=True, tag=True):
    """Tell what became of the cases."""

    since: int
    reads: bool


class Content(msgspec.Struct, frozen=True, tag=True):
    """A content comes, in `Piece`s."""

    sha256: str
    size: int


class Piece(msgspec.Struct, frozen=True, tag=True):
    """Some bytes of it."""

    data: bytes


class Told(msgspec.Struct, frozen=True, tag=True):
    """Differences, as rows."""

    rows: list[list[Any]]


class Over(msgspec.Struct, frozen=True, tag=True):
    """That was all."""


Message = Look | Seen | Wrong | Full | Take | Content | Piece | Told | Over
_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Message)


class Stream:
    """Messages by two handles; EOFError once nobody is at the other end."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write

    def put(self, message: Message) -> None:
        """Says something."""
        data = _encode(message)
        data = _LENGTH.pack(len(data)) + data
        while data:
            data = data[os.write(self._write, data) :]

    def get(self) -> Message:
        """What is said next."""
        (length,) = _LENGTH.unpack(self._take(_LENGTH.size))
        if length > _MOST:
            raise EOFError("what comes is no message")
        found: Message = _decoder.decode(self._take(length))
        return found

    def waits(self) -> bool:
        """Whether something was said that nobody has taken."""
        return bool(select.select([self._read], [], [], 0)[0])

    def fileno(self) -> int:
        return self._read

    def _take(self, count: int) -> bytes:
        parts = []
        while count:
            select.select([self._read], [], [])
            data = os.read(self._read, min(count, 1 << 20))
            if not data:
                raise EOFError
            parts.append(data)
            count -= len(data)
        return b"".join(parts)


def rows(differences: Iterable[Difference]) -> Iterator[list[Any]]:
    """Differences as plain values."""
    for one in differences:
        fields = one if isinstance(one, tuple) else msgspec.structs.astuple(one)
        yield [
            _KINDS.index(type(one)),
            *(os.fsencode(value) if isinstance(value, str) else value for value in fields),
        ]


def difference(row: list[Any]) -> Difference:
    """A difference again; raises ValueError, TypeError for what is none."""
    number, *values = row
    kind = _KINDS[number]
    types = _TYPES[kind]
    made: Difference = kind(*(_value(wanted, value) for wanted, value in zip(types, values, strict=True)))
    return made


def _value(wanted: type[Any], value: Any) -> Any:
    if wanted is Kind:
        return Kind(value.decode())
    if wanted is str:
        return os.fsdecode(value)
    if not isinstance(value, int):
        raise TypeError("a number is expected")
    return wanted(value)


_TYPES = {kind: tuple(get_type_hints(kind).values()) for kind in _KINDS}
