"""Values of ours as JSON responses; FastAPI's own encoder stumbles over names that are not UTF-8."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from fastapi import Request, Response

from treegate.errors import PlanError
from treegate.model.document import UNREADABLE
from treegate.render import jsons

T = TypeVar("T")
SAYS = "/openapi.json says what fits"


def json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as a JSON response."""
    return Response(jsons.dumps(value), status, headers, "application/json")


async def taken(request: Request, kind: type[T]) -> T:
    """What a request brings, as a `kind`; one of nothing where it brings nothing. Raises PlanError, which is 422."""
    body = await request.body()
    try:
        return msgspec.json.decode(body if body.strip() else b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise PlanError(f"the request does not fit: {error}", code="request-invalid", hint=SAYS) from None
    except UNREADABLE as error:
        raise PlanError(f"the request is not JSON: {error}", code="not-json") from None
