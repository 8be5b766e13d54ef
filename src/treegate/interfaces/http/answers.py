"""Values of ours as JSON responses; FastAPI's own encoder stumbles over names that are not UTF-8."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Request, Response

from treegate.errors import PlanError
from treegate.render import jsons


def json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as a JSON response."""
    return Response(jsons.dumps(value), status, headers, "application/json")


async def object_in(request: Request) -> dict[str, Any]:
    """The JSON object that a request brings; an empty one where it brings nothing. Raises PlanError, which is 422."""
    body = await request.body()
    try:
        found = msgspec.json.decode(body) if body.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PlanError(f"the request is not JSON: {error}", code="not-json") from None
    if not isinstance(found, dict):
        raise PlanError("the request is not a JSON object", code="request-invalid")
    return found


def text(asked: dict[str, Any], name: str) -> str:
    """A text that a request may bring; "" where it does not. Raises PlanError."""
    found = asked.get(name, "")
    if not isinstance(found, str):
        raise PlanError(f"`{name}` is not a text", code="request-invalid")
    return found


def texts(asked: dict[str, Any], name: str) -> list[str]:
    """Texts that a request may bring; none where it does not. Raises PlanError."""
    found = asked.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise PlanError(f"`{name}` is not a list of texts", code="request-invalid")
    return found
