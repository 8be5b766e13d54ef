"""Settling: whoever drops a file may still be writing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from treegate.engine.dropbox import Drop
from treegate.model.document import UNREADABLE

LARGE = 1 << 20  # bytes from which on a file is read only once it has stopped growing


class Settling:
    """Which drops are whole: a plan is once its JSON is; anything else, once it has not changed for a while."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._seen: dict[str, tuple[tuple[int, ...], float]] = {}  # state, and since when

    def ripe(self, drops: Iterable[Drop], now: float, read: Callable[[Drop], bytes | None]) -> list[Drop]:
        """The drops that can be taken at a time (monotonic, in seconds); `read` gives a content, or None."""
        found, seen = [], {}
        for drop in drops:
            state, since = self._seen.get(drop.name, ((), now))
            still = state == drop.state
            seen[drop.name] = (drop.state, since if still else now)
            if (still and now - since >= self._settle) or ((still or drop.size <= LARGE) and self._whole(drop, read)):
                found.append(drop)
        self._seen = seen
        return found

    @property
    def waits(self) -> bool:
        """Whether some are not whole yet, so that one should look again soon."""
        return bool(self._seen)

    def _whole(self, drop: Drop, read: Callable[[Drop], bytes | None]) -> bool:
        if not (drop.file and drop.name.endswith(".json") and drop.size):
            return False
        try:
            data = read(drop)
        except OSError:
            return False
        return data is not None and complete(data)


def complete(data: bytes) -> bool:
    """Whether these bytes are a whole JSON document: one that is half written never is."""
    if not data.rstrip().endswith(b"}"):
        return False
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except UNREADABLE:
        return False
    return True
