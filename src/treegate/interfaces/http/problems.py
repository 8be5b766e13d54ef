"""Errors as problem documents (RFC 9457), with the same codes as at every door."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from msgspec import UNSET, UnsetType
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from treegate.errors import NotFound, TreegateError, UsageError, of_system
from treegate.interfaces.http.allowed import methods
from treegate.interfaces.http.ui import errorpage
from treegate.model.effects import Text
from treegate.render import jsons

_log = logging.getLogger("treegate.service")
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
    return Response(jsons.dumps(document(error, error.http_status)), error.http_status, _headers(error), MEDIA)


def _headers(error: TreegateError) -> dict[str, str]:
    """What a client has to know at once: how to say who it is, or when to ask again."""
    headers = {"WWW-Authenticate": "Bearer"} if error.http_status == 401 else {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return headers | getattr(error, "headers", {})


async def told(request: Request, error: Exception) -> Response:
    """The handler of every TreegateError: a problem document, or, of the pages, a page."""
    assert isinstance(error, TreegateError)
    request.app.state.service.metrics.problems.labels(error.code).inc()
    if not request.url.path.startswith("/ui/"):
        return answer(error)
    page = errorpage.answer(request, error)
    page.headers.update({name: value for name, value in _headers(error).items() if name != "WWW-Authenticate"})
    return page


async def refuse(scope: Scope, receive: Receive, send: Send, error: TreegateError) -> None:
    """Answers a request with an error before the application has seen it."""
    await (await told(Request(scope), error))(scope, receive, send)


async def told_of_system(request: Request, error: Exception) -> Response:
    """The handler of what the system refused, a full disk above all; the log says where."""
    assert isinstance(error, OSError)
    _log.error("the system refused: %s", error.strerror or "no reason given", exc_info=error)  # and not which path
    return await told(request, of_system(error))


async def told_otherwise(request: Request, error: Exception) -> Response:
    """The handler of what the framework refuses: no such page, no such method, a parameter that is none."""
    found: TreegateError
    if isinstance(error, HTTPException):
        code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "request-invalid")
        kind = NotFound if error.status_code == 404 else UsageError
        hint = "" if request.url.path.startswith("/ui/") else "/openapi.json says what there is"
        found = kind(str(error.detail), code=code, hint=hint)
        found.http_status, headers = error.status_code, error.headers
    else:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        found = UsageError(f"{where}: {first['msg']}", code="request-invalid", hint="/openapi.json says what fits")
        found.http_status, headers = 422, None
    answer = await told(request, found)
    answer.headers.update(headers or {})
    if answer.status_code == 405 and (known := methods(request.app.openapi(), request.url.path)):
        answer.headers["Allow"] = ", ".join(known)
    return answer
