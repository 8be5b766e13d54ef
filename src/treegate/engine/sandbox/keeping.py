"""Keeping what a command wrote, up to what it may write: a file with holes says that it is larger than it is."""

from __future__ import annotations

import os

from treegate.engine.blobs import Blobs
from treegate.engine.sandbox import scratch
from treegate.engine.sandbox.order import Limits
from treegate.errors import UsageError
from treegate.model.measures import write_size


class Bounded:
    """Puts contents into the blob store, as many bytes as a command's own filesystem could hold, and no more."""

    def __init__(self, blobs: Blobs, limits: Limits) -> None:
        self._blobs, self._written = blobs, limits.written
        self._left = scratch.room(limits)

    def keep(self, fd: int) -> tuple[str, int]:
        """Keeps all that a handle holds; raises UsageError "sandbox-too-much" before it is too much."""
        self._left -= os.fstat(fd).st_size
        if self._left < 0:
            text = f"the files that the command wrote come to more than {write_size(self._written)}, with their holes"
            hint = "write less, without holes in files; or ask an admin about sandbox.limits.written"
            raise UsageError(text, code="sandbox-too-much", hint=hint)
        return self._blobs.keep(fd)
