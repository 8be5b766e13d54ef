"""Answers that are recalled as long as the database has not changed, whoever might have changed it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from treegate.engine.schema import Engine, Watch

T = TypeVar("T")

MOST = 10_000  # answers; then all are forgotten


class Recall:
    """What was answered, and at which state of the database; safe to use from several threads, not across a fork.

    An answer is kept under the state that was seen *before* it was read: one that was read while somebody wrote is
    never taken for what is true afterwards.
    """

    def __init__(self, engine: Engine) -> None:
        self._watch = Watch(engine)
        self._held: dict[Hashable, tuple[int, Any]] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` answered last, or answers now; what it raises is not kept."""
        now = self._watch.number()
        held = self._held.get(key)
        if held is not None and held[0] == now:
            found: T = held[1]
            return found
        made = make()
        if now is not None:
            if len(self._held) >= MOST:
                self._held.clear()
            self._held[key] = (now, made)
        return made

    def stamp(self) -> int | None:
        """Another number after each change of the database; None if it does not tell."""
        return self._watch.number()

    def close(self) -> None:
        """Stops looking."""
        self._watch.close()
