"""Who asks: the actor of a request, from its bearer token, or of a page, from its session."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from treegate.engine import tokens
from treegate.errors import Denied
from treegate.gate import Gate
from treegate.interfaces.http.service import Service, TheService
from treegate.model.actors import HTTP, Actor

COOKIE = "treegate_session"
BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="bearer",
    bearerFormat="tg_\u2026",
    description="A token carries a name, a role and, perhaps, cases.",
)
Shown = Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Unknown(Denied):
    """Nobody knows who asks: no token, or none that holds."""

    code, http_status = "token-needed", 401


class LoginNeeded(Unknown):
    """A page for which one has to be logged in."""

    code = "login-needed"


async def who(request: Request, shown: Shown, service: TheService) -> Actor:
    """The actor that the bearer token (RFC 6750) names; raises Unknown."""
    return known(request, service, shown.credentials if shown is not None else "")


def known(request: Request, service: Service, token: str) -> Actor:
    """The actor that a token names, "" for none; raises Unknown."""
    text = token.strip()
    if not text:
        raise Unknown(
            "this needs a token",
            hint="send `Authorization: Bearer TOKEN`",
            next="treegate token create --name NAME --role reviewer",
        )
    return _noted(request, service, text, _named(service, text))


def _named(service: Service, text: str) -> Actor:
    """The actor that a token names now; raises Unknown where it holds no more."""
    core = service.gate.core
    try:
        return tokens.authenticate(core.store, text, at=core.clock(), channel=HTTP)
    except Denied as error:
        raise Unknown(error.message, code=error.code, hint=error.hint, next=error.next) from None


async def person(request: Request, service: TheService) -> Actor:
    """Who looks at a page, or sends one of its forms; raises LoginNeeded, or Denied "cross-site"."""
    text = request.cookies.get(cookie(service), "")
    actor = service.gate.logged_in(text) if text else None
    if actor is None:
        raise LoginNeeded("log in to see this", hint="your session has ended, or there was none")
    request.state.csrf = csrf(text)
    _noted(request, service, text, actor)  # an error that is told as a page is told to them
    if request.method not in SAFE:
        refuse_foreign(request)
        given = (await request.form()).get("csrf") or request.headers.get("x-csrf-token", "")
        if not hmac.compare_digest(str(given).encode("utf-8", "replace"), request.state.csrf.encode()):
            raise _foreign("this form was not made for your session")
    return actor


def _noted(request: Request, service: Service, credential: str, actor: Actor) -> Actor:
    """An actor, noted for the account of the request, and for how often they may ask."""
    request.state.who = actor
    service.rates.learn(credential, actor.name)
    return actor


def secure(service: Service) -> bool:
    """Whether people reach the service over https, by what its configuration says."""
    return service.config.public_url.startswith("https:")


def cookie(service: Service) -> str:
    """The name of the session's cookie: over https, one that no other machine of the domain can set."""
    return f"__Host-{COOKIE}" if secure(service) else COOKIE


def csrf(text: str) -> str:
    """What every form of a session sends back: nobody else can know it."""
    return hmac.new(text.encode(), b"csrf", hashlib.sha256).hexdigest()


def refuse_foreign(request: Request) -> None:
    """Raises Denied "cross-site" for what another site makes a browser send (Fetch Metadata; RFC 6454)."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    ours = {request.headers.get("host"), urlsplit(request.app.state.service.config.public_url).netloc or None}
    if site not in {"same-origin", "none"} or (origin and _host_of(origin) not in ours):
        raise _foreign("this was sent from another site")


def _host_of(origin: str) -> str:
    """The host, with its port, of an origin; "" for what is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:  # "http://[", say
        return ""


def _foreign(text: str) -> Denied:
    return Denied(text, code="cross-site", hint="open the page here and send it again; nothing was done")


Who = Annotated[Actor, Depends(who)]


class Watcher(NamedTuple):
    """Whoever watches a stream; `gate` is theirs as they may act now, and raises Denied once they may not."""

    name: str
    gate: Callable[[], Gate]


async def watcher(who: Who, shown: Shown, service: TheService) -> Watcher:
    """Who asks, to be asked for again as long as the stream goes on."""
    text = shown.credentials.strip() if shown is not None else ""
    return Watcher(who.name, lambda: service.gate.acting_as(_named(service, text)))


Watches = Annotated[Watcher, Depends(watcher)]
Person = Annotated[Actor, Depends(person)]
