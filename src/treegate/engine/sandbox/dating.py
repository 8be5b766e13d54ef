"""Dates of changes: which of two is the earlier, where one was read from a clock and the other from a file.

The kernel dates changes by a clock that moves on with each of its ticks, every few milliseconds, or, since Linux
6.13, to the nanosecond where somebody has looked at the last date. A tick can come late: then a change just before it
is dated after it.
"""

from __future__ import annotations

import time

_COARSE = 5  # CLOCK_REALTIME_COARSE of linux/time.h


def now() -> int:
    """The time by the clock of changes, in nanoseconds."""
    return time.clock_gettime_ns(_COARSE)


def after(moment: int) -> int:
    """A time, in nanoseconds, once the clock of changes has passed a moment of the real-time clock.

    What was changed before that moment is dated before it, and what is changed from now on is dated at it or later.
    """
    while (found := now()) <= moment:
        time.sleep(0.0002)
    return found
