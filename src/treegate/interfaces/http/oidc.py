"""OpenID Connect: people log in where the firm's other doors send them, too (Core 1.0, code flow; RFC 7636, PKCE).

What has to be known between the way there and the way back travels in the browser, sealed: a way back without it, or
with another's, is not ours. Who a person is, the issuer says; what they may do, the configuration alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
import msgspec
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import StarletteOAuth2App
from joserfc.errors import JoseError

from treegate.engine import config
from treegate.engine.configfile import OIDC_SECRET
from treegate.engine.telling import secret_of
from treegate.errors import Busy, Denied, UsageError
from treegate.interfaces import logs
from treegate.interfaces.http import hosts

LASTS = 600  # seconds: from the button to the way back
PATIENCE = 10  # seconds, for each answer of the issuer
LEEWAY = 60  # seconds: by how much the issuer's clock and ours may differ
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_WRONG = (AuthlibBaseError, JoseError, ValueError, KeyError, TypeError, RuntimeError)


class Person(NamedTuple):
    """Whom the issuer names."""

    name: str
    groups: tuple[str, ...]


class Pending(msgspec.Struct, frozen=True):
    """A login on its way: what its way back must fit, and where it goes then."""

    state: str
    nonce: str
    verifier: str
    next: str
    until: float


class IssuerAway(Busy):
    """The issuer does not answer, or not as one."""

    code, http_status = "issuer-away", 503


class LoginRefused(Denied):
    """A way back that proves nothing."""

    code = "login-refused"


def of(settings: config.Oidc, environ: Mapping[str, str]) -> Oidc | None:
    """What the configuration names; None where it names nobody. Raises UsageError."""
    if not settings.issuer:
        return None
    parts = urlsplit(settings.issuer)
    if parts.scheme != "https" and parts.hostname not in hosts.ALWAYS:
        raise _unusable("service.oidc.issuer must be https", "anybody on the way could say who people are")
    if not settings.client_id:
        raise _unusable("service.oidc.client_id is missing", "the issuer gives it to whoever registers there")
    return Oidc(settings, _secret(settings, environ))


def _secret(settings: config.Oidc, environ: Mapping[str, str]) -> str:
    """The secret; "" for none, where PKCE alone has to do."""
    try:
        return secret_of(settings.client_secret_file, OIDC_SECRET, environ)
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(f"service.oidc.client_secret_file cannot be read: {error}", "give it to us to read") from None


def _unusable(text: str, hint: str) -> UsageError:
    return UsageError(text, code="oidc-unusable", hint=hint, next="treegate config show")


class Oidc:
    """One issuer."""

    def __init__(self, settings: config.Oidc, secret: str) -> None:
        self._settings, self._secret = settings, secret
        self._key = secrets.token_bytes(32)  # a login that is on its way does not outlive us
        self._app = self._made()

    @property
    def title(self) -> str:
        """What the button says."""
        return self._settings.title or urlsplit(self._settings.issuer).hostname or ""

    def _made(self) -> Any:
        issuer = self._settings.issuer
        return StarletteOAuth2App(
            None,
            "treegate",
            client_id=self._settings.client_id,
            client_secret=self._secret or None,
            server_metadata_url=f"{issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": " ".join(dict.fromkeys(("openid", *self._settings.scopes))),
                "code_challenge_method": "S256",
                "token_endpoint_auth_method": "client_secret_basic" if self._secret else "none",
                "timeout": PATIENCE,
            },
        )

    async def begin(self, back: str, next: str) -> tuple[str, str]:
        """Where to send the browser, and what it has to bring back; raises IssuerAway."""
        with self._asking(), self._as_issuer():
            await self._look_up()
            made = await self._app.create_authorization_url(back)
        until = time.time() + LASTS
        pending = Pending(made["state"], made["nonce"], made["code_verifier"], next, until)
        return str(made["url"]), self._sealed(pending)

    async def finish(self, back: str, query: Mapping[str, str], brought: str) -> tuple[Person, str]:
        """Who came back, and where they wanted to go; raises LoginRefused or IssuerAway."""
        pending = self._opened(brought)
        if pending is None or not hmac.compare_digest(_bytes(query.get("state", "")), _bytes(pending.state)):
            raise LoginRefused(
                "this way back belongs to no login that was begun in this browser",
                code="login-not-begun",
                hint="begin again; it may have taken too long",
            )
        if "code" not in query:
            raise LoginRefused("the issuer did not let you in", code="issuer-refused", hint="ask whoever keeps it")
        try:
            with self._asking():
                claims = await self._claims(back, query["code"], pending)
        except _WRONG as error:
            self._app = self._made()  # the issuer's keys may be others by now
            logs.ERRORS.warning("a login was refused", exc_info=error)
            raise LoginRefused("what the issuer said does not hold", hint="begin again") from None
        return self._person(claims), pending.next

    async def _look_up(self) -> None:
        """The issuer's own description, once; the algorithms in it that leave the secret out of signatures."""
        if "_loaded_at" in self._app.server_metadata:
            return
        found = await self._app.load_server_metadata()
        if str(found["issuer"]).rstrip("/") != self._settings.issuer:
            self._app = self._made()
            raise ValueError("the issuer calls itself otherwise")
        offered = found.get("id_token_signing_alg_values_supported") or ["RS256"]
        found["id_token_signing_alg_values_supported"] = [one for one in offered if one in ALGORITHMS]

    async def _claims(self, back: str, code: str, pending: Pending) -> Mapping[str, Any]:
        await self._look_up()
        token = await self._app.fetch_access_token(back, code=code, code_verifier=pending.verifier)
        wanted = {
            "iss": {"essential": True, "value": self._app.server_metadata["issuer"]},
            "aud": {"essential": True, "value": self._settings.client_id},
        }
        found = await self._app.parse_id_token(token, pending.nonce, wanted, leeway=LEEWAY)
        if found is None:
            raise ValueError("there is no id_token")
        claims: dict[str, Any] = dict(found)
        return claims

    def _person(self, claims: Mapping[str, Any]) -> Person:
        name = claims.get(self._settings.name_claim)
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 200:
            text = f"the issuer does not say your {self._settings.name_claim}"
            raise LoginRefused(text, code="name-missing", hint="whoever keeps this service can ask for another claim")
        if self._settings.name_claim == "email" and claims.get("email_verified") is not True:
            text = f"the issuer has not verified that {name} is yours"
            raise LoginRefused(text, code="email-unverified", hint="verify it there, then begin again")
        groups = claims.get(self._settings.groups_claim)
        listed = groups if isinstance(groups, list) else [groups]
        return Person(name, tuple(one for one in listed if isinstance(one, str)))

    @contextmanager
    def _as_issuer(self) -> Iterator[None]:
        """An answer that is none of an issuer's, before anybody has logged in there, is told as that."""
        try:
            yield
        except _WRONG as error:
            self._app = self._made()
            logs.ERRORS.warning("what answers is no issuer", exc_info=error)
            text, hint = f"{self.title} does not answer as it should", "log in with a token, and tell who keeps this"
            raise IssuerAway(text, code="issuer-odd", hint=hint) from None

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """What the issuer cannot be asked is told as that."""
        try:
            yield
        except httpx2.HTTPError as error:
            self._app = self._made()
            logs.ERRORS.warning("the issuer does not answer", exc_info=error)
            text = f"{self.title} does not answer"
            raise IssuerAway(text, hint="try again later, or log in with a token") from None

    # -- what travels in the browser

    def _sealed(self, pending: Pending) -> str:
        text = base64.urlsafe_b64encode(msgspec.json.encode(pending)).decode()
        return f"{text}.{self._mark(text)}"

    def _opened(self, brought: str) -> Pending | None:
        text, _, mark = brought.rpartition(".")
        if not hmac.compare_digest(_bytes(mark), _bytes(self._mark(text))):
            return None
        pending = msgspec.json.decode(base64.urlsafe_b64decode(text), type=Pending)
        return pending if time.time() < pending.until else None

    def _mark(self, text: str) -> str:
        return hmac.new(self._key, _bytes(text), hashlib.sha256).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
