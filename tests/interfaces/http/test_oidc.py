"""Logging in by OpenID Connect, against an issuer that signs for real."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import uvicorn
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from browsing import in_browser, log_out
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route
from test_service_killed import Serving

from treegate.engine.configfile import FILE
from treegate.interfaces.http import serving
from treegate.interfaces.http.app import create_app

CLIENT, SECRET = "treegate", "hush"
KEY, OTHER = (RSAKey.generate_key(2048, {"kid": "k"}) for _ in range(2))


class Issuer:
    """An issuer on a loopback port; `claims` and `key` are what a test bends."""

    def __init__(self, address: str) -> None:
        self.address, self.key = address, KEY
        self.people = address.replace("127.0.0.1", "localhost")  # where browsers go: another site than the service
        self.claims: dict[str, Any] = {"email": "rita@example.org", "email_verified": True}
        self.codes: dict[str, dict[str, str]] = {}
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.described),
                Route("/jwks", self.keys),
                Route("/authorization", self.asked),
                Route("/token", self.token, methods=["POST"]),
            ]
        )

    async def described(self, request: Request) -> JSONResponse:
        ends = {"authorization_endpoint": f"{self.people}/authorization", "token_endpoint": f"{self.address}/token"}
        return JSONResponse({"issuer": self.address, "jwks_uri": f"{self.address}/jwks", **ends})

    async def keys(self, request: Request) -> JSONResponse:
        return JSONResponse({"keys": [KEY.as_dict(private=False)]})

    async def asked(self, request: Request) -> RedirectResponse:
        return RedirectResponse(self.consent(str(request.url)))

    async def token(self, request: Request) -> JSONResponse:
        form = await request.form()
        asked = self.codes.pop(str(form.get("code")), None)
        if asked is None or create_s256_code_challenge(str(form.get("code_verifier"))) != asked["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.address,
            "aud": CLIENT,
            "sub": "1",
            "iat": now,
            "exp": now + 60,
            "nonce": asked["nonce"],
        }
        text = jwt.encode({"alg": "RS256", "kid": "k"}, claims | self.claims, self.key)
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "id_token": text})

    def consent(self, where: str) -> str:
        """What a person does there: says yes; the address that they are sent back to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(where).query).items()}
        assert (asked["client_id"], asked["code_challenge_method"]) == (CLIENT, "S256")
        code = secrets.token_hex(8)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?code={code}&state={asked['state']}"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """It answers until the test ends."""
    found = serving.listen("127.0.0.1", 0)
    made = Issuer(serving.address_of(found))
    found.listen()
    server = uvicorn.Server(uvicorn.Config(made.app, log_level="error"))
    thread = threading.Thread(target=server.run, args=([found],))
    thread.start()
    yield made
    server.should_exit = True
    thread.join(30)


@pytest.fixture
def believing(environ: dict[str, str], issuer: Issuer) -> dict[str, str]:
    """What a service that believes that issuer is told; Rita reviews, and whoever is in the office's group writes."""
    (Path(environ["TREEGATE_STATE"]) / FILE).write_text(
        f'[service]\nlogins_per_minute = 1000\n[service.oidc]\nissuer = "{issuer.address}"\nclient_id = "{CLIENT}"\n'
        'title = "the firm"\n[service.oidc.people]\n"rita@example.org" = "reviewer"\n'
        '[service.oidc.groups]\noffice = "author"\nchiefs = "admin"\n'
    )
    return {**environ, "TREEGATE_SERVICE_OIDC_CLIENT_SECRET": SECRET}


@pytest.fixture
def site(office: Path, believing: dict[str, str]) -> Iterator[TestClient]:
    """That service."""
    with TestClient(create_app(office, believing), "http://127.0.0.1", follow_redirects=False) as client:
        yield client


def there(site: TestClient) -> str:
    """Where the button leads."""
    return site.get("/ui/login/oidc?next=/ui/runs").headers["location"]


def test_a_person_logs_in_and_has_the_role_that_the_configuration_gives(site: TestClient, issuer: Issuer):
    """There and back: a page that goes on to where they wanted to go, and a session as a reviewer."""
    assert "Log in with the firm" in site.get("/ui/login").text
    back = site.get(issuer.consent(there(site)))
    assert (back.status_code, back.headers["refresh"]) == (200, "0; url=/ui/runs")
    assert "samesite=strict" in back.headers["set-cookie"].lower()
    page = site.get("/ui/")
    assert (page.status_code, "rita@example.org</bdi> · reviewer" in page.text) == (200, True)


@in_browser
def test_a_browser_that_comes_back_from_the_issuers_site_is_logged_in(
    browser: Any, office: Path, believing: dict[str, str]
):
    """Cookies that no other site may make a browser send hold all the same, on the page that was wanted."""
    served = Serving(office, {**believing, "PATH": os.environ["PATH"]})
    try:
        page = browser.new_page()
        page.goto(f"{served.address}/ui/runs")
        page.get_by_role("link", name="Log in with the firm").click()
        page.wait_for_url(f"{served.address}/ui/runs")
        assert "rita@example.org · reviewer" in page.inner_text("header")
        page.reload()
        assert "rita@example.org · reviewer" in page.inner_text("header")
        log_out(page)
        page.goto(f"{served.address}/ui/runs")
        assert page.url.startswith(f"{served.address}/ui/login")
    finally:
        served.process.terminate()
        served.process.wait(60)


def test_whoever_is_in_several_groups_may_do_the_least_of_theirs(site: TestClient, issuer: Issuer):
    """A chief who is in the office, too, is an author: more takes a line with their name."""
    issuer.claims |= {"email": "ada@example.org", "groups": ["chiefs", "office"]}
    site.get(issuer.consent(there(site)))
    assert "ada@example.org</bdi> · author" in site.get("/ui/").text


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"email": "eve@example.org"}, "has no role here"),
        ({"email_verified": False}, "has not verified"),
        ({"email_verified": "true"}, "has not verified"),
        ({"email": ["rita@example.org"]}, "does not say your email"),
        ({"nonce": "another"}, "does not hold"),
        ({"aud": "another", "azp": CLIENT}, "does not hold"),
        ({"iss": "https://evil.example"}, "does not hold"),
        ({"exp": 1_000_000_000, "iat": 999_999_000}, "does not hold"),
    ],
)
def test_who_proves_nothing_or_has_no_role_is_not_let_in(
    site: TestClient, issuer: Issuer, claims: dict[str, Any], says: str
):
    """403, in words on the login page, and no session."""
    issuer.claims |= claims
    back = site.get(issuer.consent(there(site)))
    assert (back.status_code, says in back.text) == (403, True)
    assert site.get("/ui/").status_code == 303


def test_a_signature_by_another_key_is_none(site: TestClient, issuer: Issuer):
    """The same claims, signed by somebody else."""
    issuer.key = OTHER
    assert site.get(issuer.consent(there(site))).status_code == 403
    assert site.get("/ui/").status_code == 303


def test_a_way_back_that_was_not_begun_here_is_refused(site: TestClient, issuer: Issuer):
    """Without the cookie, with one that was tampered with, or with another state."""
    back = issuer.consent(there(site))
    cookie = site.cookies["treegate_login"]
    for given, where in (
        ("", back),
        (cookie[:-1] + ("0" if cookie[-1] != "0" else "1"), back),
        ("x", back),
        (cookie, re.sub("state=.*", "state=other", back)),
        (cookie, back.partition("&state")[0]),
        (cookie, "/ui/login/oidc/back?error=access_denied"),
    ):
        site.cookies.clear()
        answer = site.get(where, headers={"Cookie": f"treegate_login={given}"})
        assert answer.status_code == 403
    assert site.get("/ui/").status_code == 303


def test_a_code_is_good_once(site: TestClient, issuer: Issuer):
    """The way back replayed, with its cookie: the issuer knows the code no more."""
    back = issuer.consent(there(site))
    cookie = site.cookies["treegate_login"]
    assert site.get(back).status_code == 200
    site.cookies.clear()
    assert site.get(back, headers={"Cookie": f"treegate_login={cookie}"}).status_code == 403


def test_an_issuer_that_is_away_is_told_and_tokens_still_work(office: Path, environ: dict[str, str], token: Any):
    """The login page says so; a restart of the service is not needed."""
    with contextlib.closing(serving.listen("127.0.0.1", 0)) as closed:  # bound, and nobody listens
        away = {"TREEGATE_SERVICE_OIDC_ISSUER": serving.address_of(closed), "TREEGATE_SERVICE_OIDC_CLIENT_ID": CLIENT}
        with TestClient(create_app(office, {**environ, **away}), "http://127.0.0.1") as site:
            answer = site.get("/ui/login/oidc")
            assert (answer.status_code, "does not answer" in answer.text) == (503, True)
            assert site.post("/ui/login", data={"token": token("rita", "reviewer")}).status_code == 200
