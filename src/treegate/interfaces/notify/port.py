"""The port: whoever is told what happens, whatever way that takes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from treegate.engine.outbox import Post
from treegate.gate.notifying.notices import Due

MOST = 3600.0  # seconds that anybody may have us wait


class Undelivered(Exception):
    """Somebody could not be told. `known`: nothing has arrived; `after`: not before so many seconds."""

    def __init__(self, text: str, *, known: bool, after: float | None = None) -> None:
        super().__init__(text)
        self.known = known
        self.after = after


class Refused(Undelivered):
    """This very notification is not taken, as often as it is sent; the next one may be."""

    def __init__(self, text: str, *, known: bool = True, after: float | None = None) -> None:
        super().__init__(text, known=known, after=after)


def retry_after(header: str | None) -> float | None:
    """How long Retry-After (RFC 9110, section 10.2.3) asks to wait, where it says so in seconds; an hour at most."""
    return min(float(header), MOST) if header and header.isascii() and header.isdigit() else None


class Sink(Protocol):
    """Somebody who is told."""

    name: str
    kinds: Collection[str]  # of what

    async def tell(self, due: Due) -> Post | None:
        """Tells it; the message that speaks of its plan from now on, where there is a new one. Raises Undelivered."""

    async def close(self) -> None:
        """Lets go of connections."""
