"""Where the effects of a plan wait between the seal and the store: there may be very many."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from typing import IO

from treegate.engine import footprints
from treegate.gate.core import Core
from treegate.model.footprint import Prints

_IN_MEMORY = 1 << 20  # bytes


class Spool:
    """Chunks of effects on their way from the seal to the store, on disk: there may be very many."""

    def __init__(self, file: IO[bytes]) -> None:
        self.prints = Prints()
        self._file = file
        self._sizes: list[int] = []

    def keep(self, chunk: list[bytes]) -> None:
        """Takes one chunk of encoded effects."""
        data = b"[" + b",".join(chunk) + b"]"
        footprints.add(self.prints, data)
        self._file.write(data)
        self._sizes.append(len(data))

    def chunks(self) -> Iterator[bytes]:
        """All chunks, each a JSON array."""
        self._file.seek(0)
        for size in self._sizes:
            yield self._file.read(size)


@contextlib.contextmanager
def spooled(core: Core) -> Iterator[Spool]:
    """A spool in the state directory, gone afterwards; a small one stays in memory."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(core.state)) as file:
        yield Spool(file)
