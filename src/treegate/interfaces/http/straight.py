"""The straight way: what is asked most, by agents that wait and by pages, is answered before the framework sees it.

Finding a route and filling its parameters costs more than these answers do. Only what is plain and goes well is
answered here, by the functions of the routes themselves; whatever is asked in another way, or is to be refused, goes
on to the routes, which say why.
"""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from fastapi import Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from treegate.errors import TreegateError
from treegate.interfaces.http import identity
from treegate.interfaces.http.api import plans
from treegate.interfaces.http.rates import bearer
from treegate.model.effects import EffectKind

_NUMBERS, _DIGITS = frozenset({"cursor", "limit"}), re.compile(r"[0-9]{1,16}")
_ASKED = re.compile(r"/plans/(pl_[a-z0-9]{1,60})(/effects)?")


class _Route(NamedTuple):
    path: str  # as the log and the numbers know it


_PLAN, _EFFECTS = _Route("/plans/{id}"), _Route("/plans/{id}/effects")


class _Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be asked of effects, within the bounds that their route has."""

    cursor: Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    q: Annotated[str, msgspec.Meta(max_length=200)] = ""
    kind: EffectKind | None = None


class Straight:
    """Answers GET /plans/{id} and GET /plans/{id}/effects."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await _answer(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        await (self._app if answer is None else answer)(scope, receive, send)


async def _answer(scope: Scope) -> Response | None:
    """The answer; None where it is the routes' to give."""
    asked = _ASKED.fullmatch(scope["path"])
    if asked is None:
        return None
    request, service = Request(scope), scope["app"].state.service
    try:
        who = identity.known(request, service, bearer(request.headers))
        if asked[2] is None:
            scope["route"] = _PLAN
            return plans.standing(request, service.gate.acting_as(who), asked[1])
        scope["route"] = _EFFECTS
        page = msgspec.convert(_query(scope), _Page)
        return await plans.page_of(service, who, asked[1], page.cursor, page.limit, page.q, page.kind)
    except (TreegateError, OSError, msgspec.ValidationError):
        return None


def _query(scope: Scope) -> dict[str, str | int]:
    """What a query names; the last of several counts."""
    given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return {name: int(text) if name in _NUMBERS and _DIGITS.fullmatch(text) else text for name, text in given}
