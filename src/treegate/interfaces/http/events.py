"""Streams of what happens to a plan or a run; every event's id is a durable fact, so a stream resumes anywhere.

The id of a plan's event is its row in the audit log, that of a run's the number of steps that its journal says are
made. At every look it is asked anew who looks: a token that was revoked sees no more. WHATWG HTML, section 9.2
(server-sent events): a client sends the last id it saw as Last-Event-ID.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import NamedTuple

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from treegate.errors import Denied
from treegate.gate import Gate
from treegate.interfaces.http.stopping import Streams
from treegate.render import jsons

BETWEEN, QUIET = 0.25, 15.0  # seconds: between two looks, and until a client is told that all is well


class Event(NamedTuple):
    """One event; `data` is JSON."""

    id: int
    name: str
    data: str


async def of_run(gate: Callable[[], Gate], run: str, last: int) -> AsyncIterator[Event | None]:
    """How far a run is, whenever that changes, until it has ended; None where nothing was to be told for a while."""
    seen, quiet = (last, ""), 0.0
    while True:
        now = gate().progress(run)
        if now.ended:
            yield Event(max(now.done, last), "ended", jsons.dumps(now))
            return
        if (now.done, now.state) != seen and now.done >= seen[0]:
            seen, last, quiet = (now.done, now.state), now.done, 0.0
            yield Event(now.done, "progress", jsons.dumps(now))
        elif quiet >= QUIET:
            quiet = 0.0
            yield None
        await asyncio.sleep(BETWEEN)
        quiet += BETWEEN


async def of_plan(gate: Callable[[], Gate], plan: str, last: int) -> AsyncIterator[Event | None]:
    """What is logged of a plan after row `last`, and goes on being; None where nothing was for a while."""
    quiet = 0.0
    while True:
        rows = gate().events_of(plan, last)
        for row in rows:
            last, quiet = row.seq, 0.0
            yield Event(row.seq, row.event, jsons.dumps(row))
        if quiet >= QUIET:
            quiet = 0.0
            yield None
        await asyncio.sleep(BETWEEN)
        quiet += BETWEEN


class EventStream(StreamingResponse):
    """The events as text/event-stream; it has one of its watcher's places as long as it lasts."""

    def __init__(self, streams: Streams, name: str, events: AsyncIterator[Event | None]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(_lines(events), media_type="text/event-stream", headers=headers)
        self._streams, self._name = streams, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.place(self._name):
            await super().__call__(scope, receive, send)


async def _lines(events: AsyncIterator[Event | None]) -> AsyncIterator[bytes]:
    """The events as they are sent, until they end, or whoever watches may not see them any more."""
    with suppress(Denied):
        async for event in events:
            if event is None:
                yield b": all is well\n\n"
            else:
                yield f"id: {event.id}\nevent: {event.name}\ndata: {event.data}\n\n".encode()


def last_seen(header: str | None) -> int:
    """What Last-Event-ID says; 0 for none, or for one that is not ours."""
    text = (header or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
