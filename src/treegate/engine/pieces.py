"""Files that are made of many small pieces, written in few calls."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from treegate.engine import posix

_BLOCK = 1 << 20  # bytes written at once


def blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Many small pieces as few large ones."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    yield b"".join(waiting)


def put(fd: int, pieces: Iterable[bytes]) -> tuple[int, str]:
    """Write pieces to an open file, which is not synced; how many lines they are, and their SHA-256 (hex)."""
    digest, lines = hashlib.sha256(), 0
    for block in blocks(pieces):
        posix.write(fd, block)
        digest.update(block)
        lines += block.count(b"\n")
    return lines, digest.hexdigest()
