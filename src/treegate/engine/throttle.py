"""Throttle: no more than so many steps in a second, by all processes of a state directory together.

What each may do next is agreed on in a small file; the time is the machine's own since it was started, which no clock
change moves.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from treegate.engine import posix
from treegate.engine.locks import file_lock

SLICE = 0.1  # seconds after which whoever waits asks whether to stop
_PATIENCE = 10  # seconds that the file is waited for; it is held for an instant

Stop = Callable[[], None]  # raises, if what waits is to stop


class Throttle:
    """Lets steps through at a pace; a run waits before each batch, and holds nothing but its own locks then."""

    def __init__(
        self,
        path: Path,
        a_second: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path, self._pace, self._clock, self._sleep = path, a_second, clock, sleep

    def wait(self, steps: int, stop: Stop) -> None:
        """Returns once so many steps may be made; `stop` is asked meanwhile."""
        until = self._booked(steps)
        while (left := until - self._clock()) > 0:
            stop()
            self._sleep(min(left, SLICE))
        stop()

    def batch(self, most: int) -> int:
        """How many steps are made together, so that no second has many more than there should be."""
        return max(1, min(most, self._pace // 10))

    def _booked(self, steps: int) -> float:
        """Takes the next free time for these steps; when it is over."""
        with file_lock(self._path.with_name(f"{self._path.name}.lock"), wait=_PATIENCE):
            until = max(self._clock(), self._free()) + steps / self._pace
            self._path.write_text(f"{posix.boot_id()} {until!r}\n")
        return until

    def _free(self) -> float:
        """From when on nobody has taken the time; since the machine was started."""
        with suppress(OSError, ValueError):
            boot, until = self._path.read_text().split()
            if boot == posix.boot_id():
                return float(until)
        return 0.0
