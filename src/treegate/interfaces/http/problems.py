"""Errors as problem documents (RFC 9457), with the same codes as at every door."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from msgspec import UNSET, UnsetType
from starlette.exceptions import HTTPException

from treegate.errors import NotFound, TreegateError, UsageError
from treegate.interfaces.http.ui import errorpage
from treegate.model.effects import Text
from treegate.render import jsons

MEDIA = "application/problem+json"


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong (RFC 9457); `code`, `hint`, `next`, `exit_status`, `path` and `problems` are ours."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    next: str
    exit_status: int
    path: Text | UnsetType = UNSET
    problems: list[Any] | UnsetType = UNSET


def document(error: TreegateError, status: int) -> ProblemDocument:
    """An error as a problem document."""
    return ProblemDocument(
        type=f"urn:treegate:problem:{error.code}",
        title=error.code.replace("-", " "),
        status=status,
        detail=error.message,
        code=error.code,
        hint=error.hint,
        next=error.next,
        exit_status=error.exit_status,
        path=error.path or UNSET,
        problems=getattr(error, "problems", None) or UNSET,
    )


def answer(error: TreegateError) -> Response:
    """The response that tells an error."""
    headers = {"WWW-Authenticate": "Bearer"} if error.http_status == 401 else {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return Response(jsons.dumps(document(error, error.http_status)), error.http_status, headers, MEDIA)


async def told(request: Request, error: Exception) -> Response:
    """The handler of every TreegateError: a problem document, or, of the pages, a page."""
    assert isinstance(error, TreegateError)
    request.app.state.service.metrics.problems.labels(error.code).inc()
    return errorpage.answer(request, error) if request.url.path.startswith("/ui/") else answer(error)


async def told_otherwise(request: Request, error: Exception) -> Response:
    """The handler of what the framework refuses: no such page, no such method, a parameter that is none."""
    found: TreegateError
    if isinstance(error, HTTPException):
        code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "request-invalid")
        kind = NotFound if error.status_code == 404 else UsageError
        found = kind(str(error.detail), code=code, hint="/openapi.json says what there is")
        found.http_status = error.status_code
    elif not isinstance(error, RequestValidationError):
        found = TreegateError(f"{type(error).__name__}: see the log of the service", hint="report it")
    else:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        found = UsageError(f"{where}: {first['msg']}", code="request-invalid", hint="/openapi.json says what fits")
        found.http_status = 422
    return await told(request, found)
