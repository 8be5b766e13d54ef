"""Pace: no more than so many in a minute."""

from __future__ import annotations

from collections import deque


class Pace:
    """Lets so many through in any minute; 0 is as many as come."""

    def __init__(self, a_minute: int) -> None:
        self._most = a_minute
        self._times: deque[float] = deque()

    def take(self, now: float) -> bool:
        """Whether one more may go through at a time, in seconds; if so, it counts."""
        while self._times and self._times[0] <= now - 60:
            self._times.popleft()
        if self._most and len(self._times) >= self._most:
            return False
        if self._most:
            self._times.append(now)
        return True
