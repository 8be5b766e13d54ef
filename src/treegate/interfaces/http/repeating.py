"""Idempotency-Key: a request that is sent twice is done once (draft-ietf-httpapi-idempotency-key-header).

A router whose routes are `Repeatable` honours it on those that depend on `REPEATABLE`; `documented(repeats=True)`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute

from treegate.engine.answers import Answer
from treegate.errors import Busy, NeedsRecovery, TreegateError
from treegate.gate import repeating
from treegate.gate.core import Core
from treegate.interfaces.http import identity, problems
from treegate.interfaces.http.service import Service

HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
LONGEST = 255  # characters of a key
MOST = 8 << 20  # bytes of an answer that are kept
PASSES = {429, *range(500, 600)}
KEPT = ("content-type", "location", "etag", "retry-after")
Key = Annotated[
    str | None,
    Header(
        alias=HEADER,
        min_length=1,
        max_length=LONGEST,
        pattern="^[!-~]+$",
        description=(
            "Made up by whoever asks, a UUID say: sent again with the same request within a day, it gives the same "
            f"answer, with `{REPLAYED}: true`, and nothing is done twice."
        ),
    ),
]
_later: set[asyncio.Task[None]] = set()  # else nobody would hold them
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


async def marked(key: Key = None) -> None:
    """Says, and checks, that a route takes a key; what is done with it is done around the route."""


REPEATABLE = Depends(marked)


class Repeatable(APIRoute):
    """A route that answers a repeated request as it did the first time."""

    def get_route_handler(self) -> Handler:
        plain = super().get_route_handler()
        if not any(one.dependency is marked for one in self.dependencies):
            return plain

        async def once(request: Request) -> Response:
            key = request.headers.get(HEADER, "")
            if not _fits(key):
                return await plain(request)
            return await _once(request, key, plain)

        return once


def _fits(key: str) -> bool:
    return 0 < len(key) <= LONGEST and all("!" <= character <= "~" for character in key)


async def _once(request: Request, key: str, plain: Handler) -> Response:
    service: Service = request.app.state.service
    core = service.gate.acting_as(await identity.who(request, await identity.BEARER(request), service)).core
    asked = await asyncio.to_thread(_hash, request, await request.body())
    known = await service.desk.do(repeating.begin, core, key, asked, service.started)
    if known is not None:
        return _again(known)
    try:
        response = await plain(request)
    except Exception as error:
        await _failed(service, core, key, error)
        raise
    await _note(service, partial(repeating.end, core, key, _kept(response)))
    return response


async def _failed(service: Service, core: Core, key: str, error: Exception) -> None:
    """Keeps a refusal that will hold tomorrow; what passes by itself is not held against anyone who asks again."""
    passes = isinstance(error, Busy | NeedsRecovery) or getattr(error, "http_status", 500) in PASSES
    if isinstance(error, TreegateError) and not passes:
        await _note(service, partial(repeating.end, core, key, _kept(problems.answer(error))))
    else:
        await _note(service, partial(repeating.give_up, core, key))


async def _note(service: Service, work: Callable[[], None]) -> None:
    """Has it noted what came of a request; where others write now, later: whoever asked is answered all the same."""
    try:
        await service.desk.do(work)
    except Busy:
        task = asyncio.create_task(_note(service, work))
        _later.add(task)
        task.add_done_callback(_later.discard)


def _hash(request: Request, body: bytes) -> str:
    """One digest of all that is asked."""
    head = [request.method, request.url.path, request.url.query, request.headers.get("if-match", "")]
    made = hashlib.sha256(msgspec.json.encode(head) + b"\n")
    made.update(body)
    return made.hexdigest()


def _kept(response: Response) -> Answer:
    headers = {name: response.headers[name] for name in KEPT if name in response.headers}
    body = bytes(response.body)
    return Answer(status=response.status_code, headers=headers, body=body if len(body) <= MOST else None)


def _again(known: Answer) -> Response:
    if known.body is None:
        where = known.headers.get("location", "")
        text = f"this was done, and answered with {known.status}; the answer was too large to be kept"
        raise repeating.NotKept(text, hint=f"look at {where}" if where else "look at the plan as it stands")
    return Response(known.body, known.status, {**known.headers, REPLAYED: "true"})
