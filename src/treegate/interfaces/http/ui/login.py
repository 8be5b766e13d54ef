"""/ui/login and /ui/logout."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from treegate.errors import Denied
from treegate.interfaces.http import identity
from treegate.interfaces.http.identity import Person
from treegate.interfaces.http.service import TheService
from treegate.interfaces.http.ui import pages

router = APIRouter(include_in_schema=False)


@router.get("/ui/login")
async def page(request: Request, service: TheService, once: str = "", next: str = "") -> Response:
    """The form; the one-time address logs in at once."""
    if not once:
        return pages.render(request, None, "login.html", next=_local(next), error="")
    try:
        return _entered(request, await service.desk.do(service.gate.log_in_once, once), _local(next))
    except Denied as error:
        return pages.render(request, None, "login.html", 401, next=_local(next), error=error.message)


@router.post("/ui/login")
async def log_in(
    request: Request, service: TheService, token: Annotated[str, Form()] = "", next: Annotated[str, Form()] = ""
) -> Response:
    """Logs in with a token."""
    identity.refuse_foreign(request)
    try:
        return _entered(request, await service.desk.do(service.gate.log_in, token.strip()), _local(next))
    except Denied as error:
        return pages.render(request, None, "login.html", 401, next=_local(next), error=error.message)


@router.post("/ui/logout")
async def log_out(request: Request, who: Person, service: TheService) -> Response:
    """Ends the session."""
    await service.desk.do(service.gate.log_out, request.cookies.get(identity.COOKIE, ""))
    answer = RedirectResponse("/ui/login", 303)
    answer.delete_cookie(identity.COOKIE, path="/ui")
    return answer


def _entered(request: Request, session: str, next: str) -> Response:
    answer = RedirectResponse(next, 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(identity.COOKIE, session, path="/ui", httponly=True, samesite="strict", secure=secure)
    return answer


def _local(next: str) -> str:
    """Where to go afterwards: a page of ours, whatever the address says."""
    parts = urlsplit(next)
    ours = next.startswith("/ui/") and not parts.scheme and not parts.netloc and "\\" not in next
    return next if ours and next.isprintable() else "/ui/"
