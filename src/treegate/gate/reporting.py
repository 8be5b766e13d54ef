"""Reporting: who writes what people read, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from treegate.engine.locks import file_lock
from treegate.gate.core import Core

WAIT = 10  # seconds for another process that is writing reports


@contextmanager
def alone(core: Core) -> Iterator[None]:
    """Held while the store is read and the files are written: so what is written last is what was read last."""
    with file_lock(core.state / "locks" / "projections", wait=WAIT):
        core.workspace.check_marker()  # nothing is written where the workspace is not mounted
        yield
