"""Seats by the token that is shown: who shows none, or one that is not an author's, has no seat."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from pathlib import Path

import msgspec

from treegate.client import Client
from treegate.engine import tokens
from treegate.errors import Denied
from treegate.gate import Gate
from treegate.interfaces.mcp.seat import CHANNEL, Ending, Seat
from treegate.model.actors import Actor, require_author

MOST = 64  # agents that are remembered
_ASKED_AGAIN = 30.0  # seconds after which a service is asked anew whether a token holds


class Seats:
    """A seat for each token, over a workspace of this machine or behind a service; the least used give way."""

    def __init__(self, door: Gate | str, ending: Ending, *, plans: Path | str | None = None) -> None:
        self._door, self._ending, self._plans = door, ending, plans
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()
        self._lasting: list[Seat] = []

    def of(self, token: str) -> Seat:
        """The seat of a token; raises Denied where the token does not hold, or can do more than propose."""
        if not token:
            text, hint = "this needs a token", "send `Authorization: Bearer TOKEN`, an author's"
            raise Denied(text, code="token-needed", hint=hint, next="treegate token create --name NAME --role author")
        key = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        with self._lock:
            before = self._known.get(key)
        known = self._looked_at(before, token)  # outside of the lock: it may take a service's time
        with self._lock:
            self._known[key] = known = _merged(self._known.get(key), known)
            self._known.move_to_end(key)
            while len(self._known) > MOST:
                self._lasting = [one for one in self._lasting if one.threads.under_way]
                self._lasting.append(self._known.popitem(last=False)[1].seat)
        return known.seat

    def finish(self) -> None:
        """Waits for what changes files."""
        for seat in [*(known.seat for known in self._known.values()), *self._lasting]:
            seat.threads.finish()

    def _looked_at(self, known: _Known | None, token: str) -> _Known:
        return self._local(known, token) if isinstance(self._door, Gate) else self._remote(known, token)

    def _local(self, known: _Known | None, token: str) -> _Known:
        assert isinstance(self._door, Gate)
        core = self._door.core
        actor = require_author(tokens.authenticate(core.store, token, at=core.clock(), channel=CHANNEL))
        if known is not None and known.actor == actor:
            return known
        return _Known(actor, self._seat(self._door.acting_as(actor)), 0.0)

    def _remote(self, known: _Known | None, token: str) -> _Known:
        assert isinstance(self._door, str)
        now = time.monotonic()
        if known is not None and now < known.until:
            return known
        with Client(self._door, token) as asking:
            actor = require_author(asking.actor)
        if known is not None and known.actor == actor:
            return msgspec.structs.replace(known, until=now + _ASKED_AGAIN)
        return _Known(actor, self._seat(Client(self._door, token)), now + _ASKED_AGAIN)

    def _seat(self, door: Gate | Client) -> Seat:
        return Seat(door, self._ending, plans=self._plans)


class _Known(msgspec.Struct, frozen=True):
    """A token's actor and seat, and until when (monotonic, seconds) a service is not asked about it again."""

    actor: Actor
    seat: Seat
    until: float


def _merged(there: _Known | None, found: _Known) -> _Known:
    """What is known of a token; somebody else may have made it a seat meanwhile, and works there."""
    if there is None or there.actor != found.actor:
        return found
    return msgspec.structs.replace(found, seat=there.seat)
