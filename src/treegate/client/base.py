"""What every part of the client stands on: the wire to one service, and who is told of progress."""

from __future__ import annotations

from collections.abc import Callable

from treegate.client.wire import Wire
from treegate.model.plan import Plan


class Far:
    """Part of a `Client`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._progress: Callable[[int, int], None] = lambda done, total: None
        self._cancelled: Callable[[], bool] = lambda: False


def as_document(plan: Plan | bytes | str) -> bytes:
    """The bytes of a plan in whatever form it was given."""
    if isinstance(plan, Plan):
        return plan.document
    return plan.encode("utf-8", "surrogatepass") if isinstance(plan, str) else plan
