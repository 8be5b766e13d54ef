"""The same as `Gate`, behind a service: each method asks the service for what the gate there answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Self

import msgspec

from treegate.client.browsing import Browsing
from treegate.client.deciding import Deciding
from treegate.client.foreseeing import Foreseeing
from treegate.client.keeping import Keeping
from treegate.client.running import Running
from treegate.client.sandboxing import Sandboxing
from treegate.client.tending import Tending
from treegate.client.wire import Wire
from treegate.model.actors import Actor, Role

__all__ = ["Client"]


class _Myself(msgspec.Struct):
    name: str
    role: Role
    cases: tuple[str, ...] | None


class Client(Browsing, Foreseeing, Deciding, Running, Sandboxing, Keeping, Tending):
    """A workspace behind a service, as whoever the token names; answers and errors are those of `Gate`."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(Wire(url, token))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the connections."""
        self._wire.close()

    @property
    def url(self) -> str:
        """The address of the service."""
        return self._wire.url

    @cached_property
    def actor(self) -> Actor:
        """Whom the token names."""
        found: _Myself = self._wire.get("/whoami", _Myself)
        return Actor(name=found.name, role=found.role, cases=found.cases, channel="http", via="token")

    def watch(self, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> None:
        """Says who is told of a run's progress (steps made, steps there are), and who may stop watching it."""
        self._progress, self._cancelled = progress, cancelled
