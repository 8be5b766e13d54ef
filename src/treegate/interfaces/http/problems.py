"""Errors as problem documents (RFC 9457), with the same codes as at every door."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from treegate.errors import Busy, TreegateError
from treegate.interfaces.http.ui import errorpage
from treegate.render import jsons

MEDIA = "application/problem+json"
RETRY = "2"  # seconds after which what is busy now may be asked again


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
    if isinstance(error, Busy):
        headers["Retry-After"] = RETRY
    return Response(jsons.dumps(document(error, error.http_status)), error.http_status, headers, MEDIA)


async def told(request: Request, error: Exception) -> Response:
    """The handler of every TreegateError: a problem document, or, of the pages, a page."""
    assert isinstance(error, TreegateError)
    request.app.state.service.metrics.problems.labels(error.code).inc()
    return errorpage.answer(request, error) if request.url.path.startswith("/ui/") else answer(error)


async def told_otherwise(request: Request, error: Exception) -> Response:
    """The handler of what the framework refuses: no such page, no such method, a parameter that is none."""
    if isinstance(error, HTTPException):
        code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "request-invalid")
        found = TreegateError(str(error.detail), code=code, hint="/openapi.json says what there is")
        found.http_status = error.status_code
    elif not isinstance(error, RequestValidationError):
        found = TreegateError(f"{type(error).__name__}: see the log of the service", hint="report it")
    else:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        found = TreegateError(f"{where}: {first['msg']}", code="request-invalid", hint="/openapi.json says what fits")
        found.http_status = 422
    return await told(request, found)
