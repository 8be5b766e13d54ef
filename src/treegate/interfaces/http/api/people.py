"""/whoami and /tokens: who one is, and who may propose, decide, carry out."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Request, Response
from msgspec import Meta

from treegate.engine.tokens import Token
from treegate.interfaces.http import answers
from treegate.interfaces.http.api.shapes import Myself, Taken, TokenList
from treegate.interfaces.http.identity import Who
from treegate.interfaces.http.openapi import documented
from treegate.interfaces.http.service import TheService
from treegate.model.actors import Action, Role

router = APIRouter(tags=["people"])
TokenName = Annotated[str, Path(description="A token's id, or its name.", max_length=255)]


class NewToken(Taken, frozen=True, kw_only=True):
    """Who a token stands for and what they may do: in all cases, unless some are named; for good, or until a time."""

    name: Annotated[str, Meta(max_length=255)]
    role: Role
    cases: list[Annotated[str, Meta(max_length=255)]] | None = None
    expires_at: Annotated[int, Meta(ge=0, lt=1 << 53, description="Milliseconds since 1970, UTC.")] | None = None


class MadeToken(msgspec.Struct, frozen=True):
    """A new token, and its text, which is never shown again."""

    token: Token
    text: str


@router.get("/whoami", **documented(gives=Myself))
async def whoami(who: Who) -> Response:
    """Whom the token names, and what they may do."""
    may = sorted(action.value for action in Action if who.may(action))
    return answers.json(Myself(name=who.name, role=who.role, cases=who.cases, may=may))


@router.get("/tokens", **documented(gives=TokenList))
async def tokens(who: Who, service: TheService) -> Response:
    """All tokens, without their texts."""
    return answers.json(TokenList(service.gate.acting_as(who).list_tokens()))


@router.post("/tokens", **documented(takes=NewToken, gives=MadeToken, status=201, refuses=(400,)))
async def create_token(request: Request, who: Who, service: TheService) -> Response:
    """A new token. Its text is given this once."""
    asked = await answers.taken(request, NewToken)
    made = await service.crew.call(who, "create_token", asked.name, asked.role, asked.cases, asked.expires_at)
    return answers.json(MadeToken(*made), 201)


@router.delete("/tokens/{token}", **documented(gives=Token, refuses=(404,)))
async def revoke_token(token: TokenName, who: Who, service: TheService) -> Response:
    """Makes a token invalid from now on."""
    return answers.json(await service.crew.call(who, "revoke_token", token))
