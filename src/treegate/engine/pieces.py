"""Files that are made of many small pieces, written in few calls; some are written before they have a name."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from treegate.engine import handles, posix

_BLOCK = 1 << 20  # bytes written at once


class Nameless(NamedTuple):
    """A file that is written, but not synced, and has no name yet."""

    handle: int
    lines: int
    sha256: str  # hex

    def blocks(self) -> Iterator[bytes]:
        """What is in it."""
        at = 0
        while block := os.pread(self.handle, _BLOCK, at):
            yield block
            at += len(block)


Content = Iterable[bytes] | Nameless  # of a file


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


def lay(folder: int, name: str, content: Content) -> tuple[int, int, str]:
    """Make a file with this content, for its owner alone and not synced; a handle, the caller's to close, and what
    `put` says of it. What a crash left under the name goes."""
    with contextlib.suppress(FileNotFoundError):
        posix.unlink(folder, name)
    if isinstance(content, Nameless):
        with contextlib.suppress(OSError):  # without /proc, or if it was made on another filesystem after all
            posix.give_name(content.handle, folder, name)
            return os.dup(content.handle), content.lines, content.sha256
        content = content.blocks()
    fd = posix.make_file(folder, name, 0o600)
    try:
        return fd, *put(fd, content)
    except BaseException:
        handles.close(fd)
        raise
