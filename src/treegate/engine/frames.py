"""Frames: checksummed, chained pieces of a file, so that a reader knows which of them are whole.

A frame is a magic word, the payload's length (u32, little endian), the mark of the frame before, its own mark and
the payload. A mark is the first 16 bytes of the SHA-256 over the file's key, the mark before, the length and the
payload. Journals and step tables are made of them.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import NamedTuple

MAGIC = b"TGf1"
HEAD = struct.Struct("<4sI16s16s")
START = bytes(16)  # the mark before the first frame


class Frame(NamedTuple):
    """One whole frame as it was read; `end` is the offset just behind it."""

    before: bytes
    mark: bytes
    payload: bytes
    end: int


def mark(key: bytes, before: bytes, payload: bytes) -> bytes:
    """What identifies a frame and vouches for it, and for all frames before it."""
    return hashlib.sha256(b"".join((key, before, len(payload).to_bytes(4, "little"), payload))).digest()[:16]


def seal(key: bytes, before: bytes, payload: bytes) -> tuple[bytes, bytes]:
    """A frame ready to be written, and its mark."""
    own = mark(key, before, payload)
    return HEAD.pack(MAGIC, len(payload), before, own) + payload, own


def at(data: bytes, offset: int, key: bytes) -> Frame | None:
    """The frame that starts here, or None if none does that is whole."""
    start = offset + HEAD.size
    if start > len(data):
        return None
    magic, length, before, own = HEAD.unpack_from(data, offset)
    payload = data[start : start + length]
    if magic != MAGIC or len(payload) != length or mark(key, before, payload) != own:
        return None
    return Frame(before, own, payload, start + length)


def chained(data: bytes, key: bytes) -> tuple[list[Frame], int]:
    """The frames from the start up to the first that is not whole or does not follow, and where they end."""
    found: list[Frame] = []
    end = 0
    while frame := at(data, end, key):
        if found and frame.before != found[-1].mark:
            break
        found.append(frame)
        end = frame.end
    return found, end


def stray(data: bytes, start: int, key: bytes) -> bool:
    """Whether a whole frame stands anywhere from `start` on: then what comes before it was damaged, not torn."""
    return any(at(data, offset, key) for offset in _places(data, start))


def _places(data: bytes, start: int) -> Iterator[int]:
    offset = data.find(MAGIC, start)
    while offset >= 0:
        yield offset
        offset = data.find(MAGIC, offset + 1)
