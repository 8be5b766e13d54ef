"""Standby: a runner that a process keeps ready, so that the next command begins at once.

What takes its time (the runner's own start, the filesystem that a command writes to, its control group) is done
before anybody asks. It takes disk space meanwhile, as much as a command may write.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from treegate.engine import handles
from treegate.engine.clearing import clear_tree
from treegate.engine.locks import passing_lock
from treegate.engine.sandbox import session
from treegate.engine.sandbox.order import EngineName, Limits
from treegate.engine.sandbox.session import Ready
from treegate.errors import Busy

PREFIX, _SCRATCH = "ready-", "scratch"


class Standby:
    """One place for a runner that is ready; `folder` is where commands are kept, `locks` where whoever has one is."""

    def __init__(self, folder: Path, locks: Path) -> None:
        self._folder, self._locks = folder, locks
        self._ready: Ready | None = None
        self._held = contextlib.ExitStack()

    @contextlib.contextmanager
    def lent(self) -> Iterator[Ready | None]:
        """The runner, for one command, which closes it; what is left of it afterwards is cleared away."""
        ready, self._ready = self._ready, None
        try:
            yield ready
        finally:
            if ready is not None:
                ready.close()
                self._let_go(Path(ready.scratch).parent)

    def fill(self, engine: EngineName, limits: Limits, *, elsewhere: bool = False) -> None:
        """Has a runner ready for such commands; where none can be had, the next command has to begin without."""
        if self._ready is not None:
            return
        place = self._folder / f"{PREFIX}{secrets.token_hex(8)}"
        with contextlib.suppress(OSError, Busy):
            self._held.enter_context(passing_lock(self._locks, place.name))
            place.mkdir(mode=0o700, parents=True)
            self._ready = session.make_ready(engine, str(place / _SCRATCH), limits, elsewhere=elsewhere)

    def _let_go(self, place: Path) -> None:
        with contextlib.suppress(OSError):
            place.rmdir()
        self._held.close()


def sweep(folder: Path, locks: Path) -> None:
    """Clears away what is left of runners whose process is gone; those end by themselves."""
    with contextlib.suppress(FileNotFoundError), handles.closing(handles.open_root(str(folder))) as above:
        for name in sorted(os.listdir(above)):
            if name.startswith(PREFIX):
                with contextlib.suppress(Busy, OSError), passing_lock(locks, name):
                    clear_tree(above, os.fsencode(name))
