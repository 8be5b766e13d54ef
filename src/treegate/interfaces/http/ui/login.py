"""/ui/login and /ui/logout: by a token, by an address that does it once, or by OpenID Connect."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from treegate.errors import Denied, NotFound, TreegateError
from treegate.interfaces.http import identity
from treegate.interfaces.http.identity import Person
from treegate.interfaces.http.oidc import LASTS, IssuerAway, Oidc
from treegate.interfaces.http.rates import address_of
from treegate.interfaces.http.service import Service, TheService
from treegate.interfaces.http.ui import pages

router = APIRouter(include_in_schema=False)
PENDING = "treegate_login"  # the cookie of a login that is on its way
BACK = "/ui/login/oidc/back"


@router.get("/ui/login")
async def page(request: Request, service: TheService, once: str = "", next: str = "") -> Response:
    """The form; the one-time address logs in at once."""
    if not once:
        return _form(request, service, _local(next))
    service.rates.log_in(address_of(request.scope))
    try:
        session = await service.desk.do(service.gate.log_in_once, once)
        return await _entered(request, service, session, _local(next))
    except TreegateError as error:
        if service.gate.logged_in(request.cookies.get(identity.cookie(service), "")) is not None:
            return RedirectResponse(_local(next), 303)  # opened again, from the browser's history say
        return _form(request, service, _local(next), error, 401)


@router.post("/ui/login")
async def log_in(
    request: Request, service: TheService, token: Annotated[str, Form()] = "", next: Annotated[str, Form()] = ""
) -> Response:
    """Logs in with a token."""
    identity.refuse_foreign(request)
    service.rates.log_in(address_of(request.scope))
    try:
        session = await service.desk.do(service.gate.log_in, token.strip())
        return await _entered(request, service, session, _local(next))
    except Denied as error:
        told = Denied(error.message, code=error.code, hint="an admin makes new ones")
        return _form(request, service, _local(next), told, 401)
    except TreegateError as error:
        return _form(request, service, _local(next), error, 401)


@router.get("/ui/login/oidc")
async def leave(request: Request, service: TheService, next: str = "") -> Response:
    """Sends the browser to the issuer, with what it has to bring back."""
    service.rates.log_in(address_of(request.scope))
    try:
        where, pending = await _oidc(service).begin(_back(request, service), _local(next))
    except IssuerAway as error:
        return _form(request, service, _local(next), error)
    answer = RedirectResponse(where, 303)
    # Lax, not Strict: the way back is a link from another site, and has to bring it along.
    answer.set_cookie(PENDING, pending, LASTS, path=BACK, httponly=True, samesite="lax", secure=_secure(service))
    return answer


@router.get(BACK)
async def come_back(request: Request, service: TheService) -> Response:
    """The way back from the issuer; whatever comes of it, it can be gone only once."""
    service.rates.log_in(address_of(request.scope))
    brought = request.cookies.get(PENDING, "")
    try:
        person, next = await _oidc(service).finish(_back(request, service), request.query_params, brought)
        session = await service.desk.do(service.gate.log_in_by_oidc, person.name, person.groups)
        answer = await _entered(request, service, session, next)
    except NotFound:
        raise
    except TreegateError as error:
        answer = _form(request, service, "/ui/", error)
    answer.delete_cookie(PENDING, path=BACK)
    return answer


@router.post("/ui/logout")
async def log_out(
    request: Request, who: Person, service: TheService, everywhere: Annotated[str, Form()] = ""
) -> Response:
    """Ends the session; or all that this person has, in whatever browser."""
    name = identity.cookie(service)
    own = service.gate.acting_as(who)
    await service.desk.do(own.log_out, request.cookies.get(name, ""), everywhere=bool(everywhere))
    answer = RedirectResponse("/ui/login", 303)
    answer.delete_cookie(name, path=_path(service), secure=_secure(service), httponly=True, samesite="strict")
    return answer


def _form(
    request: Request, service: Service, next: str, error: TreegateError | None = None, status: int = 0
) -> Response:
    values = {"next": next, "error": error, "title": service.oidc.title if service.oidc is not None else ""}
    return pages.render(
        request, None, "login.html", status or (error.http_status if error is not None else 200), **values
    )


async def _entered(request: Request, service: Service, session: str, next: str) -> Response:
    """Logged in, under a secret that is new. From another site it is a page that goes on, not a redirect: a browser
    would follow that without the cookie, as part of what the other site began."""
    old = request.cookies.get(identity.cookie(service), "")
    answer: Response = RedirectResponse(next, 303)
    if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"} or request.url.path == BACK:
        where = answer.headers["Location"]  # in plain letters, whatever the page is called
        answer = pages.render(request, None, "welcome.html", next=next)
        answer.headers["Refresh"] = f"0; url={where}"
    had = service.gate.logged_in(old) if old else None
    if had is not None:
        await service.desk.do(service.gate.acting_as(had).log_out, old)
    answer.set_cookie(
        identity.cookie(service),
        session,
        path=_path(service),
        httponly=True,
        samesite="strict",
        secure=_secure(service) or request.url.scheme == "https",
    )
    return answer


def _oidc(service: Service) -> Oidc:
    if service.oidc is None:
        raise NotFound("nobody is configured to log people in", hint="log in with a token")
    return service.oidc


def _back(request: Request, service: Service) -> str:
    return (service.config.public_url or str(request.base_url).rstrip("/")) + BACK


def _secure(service: Service) -> bool:
    return identity.secure(service)


def _path(service: Service) -> str:
    """Where the session's cookie is sent to; one that no other machine can set has to be for all."""
    return "/" if _secure(service) else "/ui"


def _local(next: str) -> str:
    """Where to go afterwards: a page of ours, whatever the address says."""
    try:
        parts = urlsplit(next)
    except ValueError:  # "//[", say
        return "/ui/"
    ours = next.startswith("/ui/") and not parts.scheme and not parts.netloc and "\\" not in next
    return next if ours and next.isprintable() else "/ui/"
