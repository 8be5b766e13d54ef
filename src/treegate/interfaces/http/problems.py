"""Errors as problem documents (RFC 9457), with the same codes as at every door."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from treegate.errors import TreegateError
from treegate.interfaces.http.ui import errorpage
from treegate.render import jsons

MEDIA = "application/problem+json"


def document(error: TreegateError, status: int) -> dict[str, Any]:
    """The members of a problem document; `code`, `hint`, `next` and `problems` are ours."""
    made: dict[str, Any] = {
        "type": f"urn:treegate:problem:{error.code}",
        "title": error.code.replace("-", " "),
        "status": status,
        "detail": error.message,
        "code": error.code,
        "hint": error.hint,
        "next": error.next,
        "exit_status": error.exit_status,
    }
    if error.path:
        made["path"] = error.path
    problems = getattr(error, "problems", None)
    return made | ({"problems": problems} if problems else {})


def answer(error: TreegateError) -> Response:
    """The response that tells an error."""
    headers = {"WWW-Authenticate": "Bearer"} if error.http_status == 401 else {}
    return Response(jsons.dumps(document(error, error.http_status)), error.http_status, headers, MEDIA)


async def told(request: Request, error: Exception) -> Response:
    """The handler of every TreegateError: a problem document, or, of the pages, a page."""
    assert isinstance(error, TreegateError)
    return errorpage.answer(request, error) if request.url.path.startswith("/ui/") else answer(error)
