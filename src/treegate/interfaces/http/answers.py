"""Values of ours as JSON responses; FastAPI's own encoder stumbles over names that are not UTF-8."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from treegate.render import jsons


def json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as a JSON response."""
    return Response(jsons.dumps(value), status, headers, "application/json")
