"""Who asks: the actor of a request, from its bearer token."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from treegate.engine import tokens
from treegate.errors import Denied
from treegate.interfaces.http.service import TheService
from treegate.model.actors import Actor


class Unknown(Denied):
    """Nobody knows who asks: no token, or none that holds."""

    code, http_status = "token-needed", 401


async def who(request: Request, service: TheService) -> Actor:
    """The actor that the bearer token (RFC 6750) names; raises Unknown."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text:
        raise Unknown("this needs a token", hint="send `Authorization: Bearer TOKEN`", next="treegate token create")
    core = service.gate.core
    try:
        return tokens.authenticate(core.store, text.strip(), at=core.clock(), channel="http")
    except Denied as error:
        raise Unknown(error.message, code=error.code, hint=error.hint, next=error.next) from None


Who = Annotated[Actor, Depends(who)]


async def person(request: Request, service: TheService) -> Actor:
    """Who looks at a page."""
    return await who(request, service)


Person = Annotated[Actor, Depends(person)]
