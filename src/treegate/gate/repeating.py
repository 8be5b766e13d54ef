"""Requests that may come twice: the same key and the same request are done once, and answered twice.

A request that was cut off by a crash may have been done or not. It is done anew when it comes again, and nothing is
lost by that: an approval is used once, asking for a run gives the same run, a digest that moved on is refused. At
worst a plan stands there twice, and waits for a person like any other; a key that stays blocked helps nobody.
"""

from __future__ import annotations

import msgspec

from treegate.engine import answers
from treegate.engine.answers import Answer
from treegate.errors import Busy, UsageError
from treegate.gate.core import Core
from treegate.model.measures import HOUR

LONGEST = HOUR  # ms that a request may be under way, as far as another process can tell


class KeyReused(UsageError):
    """One key stands for one request."""

    code, http_status = "idempotency-key-reused", 422


class UnderWay(Busy):
    """The same request came before, and is not answered yet."""

    code, retry_after = "request-under-way", 1


class NotKept(Busy):
    """The same request was answered, and its answer was too large to be kept."""

    code = "answer-not-kept"


def begin(core: Core, key: str, request: str, started: int) -> Answer | None:
    """What was answered to a request before; None where it is to be done now, which is noted.

    `request` is the hash of all that is asked; `started` is when this service began (ms): what was under way before
    that was cut off. Raises KeyReused, UnderWay.
    """
    with core.store.write() as transaction:
        known = answers.find(transaction, _name(core), key)
        now = core.clock()
        if known is None or known.at <= now - answers.LASTS:
            answers.begin(transaction, _name(core), key, request, now)
            return None
        if known.request != request:
            text = "this key came with another request before"
            raise KeyReused(text, hint="a new request needs a new Idempotency-Key")
        if known.answer is None and (known.at < started or known.at <= now - LONGEST):
            answers.begin(transaction, _name(core), key, request, now)
            return None
    if known.answer is None:
        raise UnderWay("the same request is being done now", hint="ask again in a moment; nothing is done twice")
    return known.answer


def end(core: Core, key: str, answer: Answer) -> None:
    """Keeps the answer of a request."""
    with core.store.write() as transaction:
        answers.end(transaction, _name(core), key, answer)


def give_up(core: Core, key: str) -> None:
    """A request came to nothing that would hold tomorrow: it may come again under the same key."""
    with core.store.write() as transaction:
        answers.forget(transaction, _name(core), key)


def _name(core: Core) -> str:
    """Whose keys these are: somebody whose role or cases were changed since is somebody else."""
    return msgspec.json.encode(core.actor).decode()
