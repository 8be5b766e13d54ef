"""Who may come in: tokens that hold no more, sessions that have ended, and an author at every decision."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest
from fastapi.testclient import TestClient
from test_pages import csrf
from test_plans_over_http import submitted

from treegate.gate import Gate
from treegate.gate.core import milliseconds
from treegate.interfaces.http.app import create_app
from treegate.model.actors import Role

Headers = dict[str, str]
DECISIONS = ("approve", "reject", "request-changes", "revoke")


@pytest.mark.parametrize("kind", ["wrong", "revoked", "expired"])
def test_a_token_that_does_not_hold_says_why(service: TestClient, office: Path, environ: dict[str, str], kind: str):
    """401 with its own code, at the API; the pages let it in as little."""
    with Gate.open(office, environ) as gate:
        until = milliseconds() + 1 if kind == "expired" else None
        text = gate.create_token("ann", Role.REVIEWER, None, until)[1] if kind != "wrong" else "tg_wrong"
        if kind == "revoked":
            gate.revoke_token("ann")
    deadline = time.monotonic() + 5
    while kind == "expired" and milliseconds() <= until:
        assert time.monotonic() < deadline
    answer = service.get("/plans", headers={"Authorization": f"Bearer {text}"})
    code = {"wrong": "token-unknown"}.get(kind, f"token-{kind}")
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert service.post("/ui/login", data={"token": text}).status_code == 401


def test_an_author_decides_nothing_at_any_door(service: TestClient, author: Headers, token: Callable[..., str]):
    """403 at every decision of the API and of the pages, for one's own plan and another's."""
    made = submitted(service, author)
    for verdict in DECISIONS:
        answer = service.post(
            f"/plans/{made['id']}/{verdict}", json={"digest": made["digest"], "comment": "x"}, headers=author
        )
        assert answer.status_code == 403
    service.post("/ui/login", data={"token": token("arthur", "author")})
    mark = csrf(service.get("/ui/").text)
    for verdict in DECISIONS[:3]:
        form = {"csrf": mark, "digest": made["digest"], "comment": "x"}
        assert service.post(f"/ui/plans/{made['id']}/{verdict}", data=form).status_code == 403
    assert service.get(f"/plans/{made['id']}", headers=author).json()["state"] == "pending"


@pytest.fixture
def timed(office: Path, environ: dict[str, str]):
    """A service whose clock can be moved: timed(hours)."""
    with TestClient(create_app(office, environ), "http://127.0.0.1", follow_redirects=False) as client:
        core = client.app.state.service.gate.core

        def later(hours: float) -> int:
            core.clock = lambda: milliseconds() + int(hours * 3_600_000)
            return client.get("/ui/").status_code

        yield client, later


def test_a_session_ends_when_nobody_does_anything(timed, token: Callable[..., str]):
    """Two hours without a page; before that, each page lets it go on."""
    client, later = timed
    client.post("/ui/login", data={"token": token("rita", "reviewer")})
    assert [later(hours) for hours in (1.9, 3.7, 5.6)] == [200, 200, 200]
    assert later(7.7) == 303


def test_a_session_ends_after_a_day_of_work(timed, token: Callable[..., str]):
    """Twelve hours, whatever one does."""
    client, later = timed
    client.post("/ui/login", data={"token": token("rita", "reviewer")})
    assert {later(hours) for hours in range(1, 12)} == {200}
    assert later(12.1) == 303


def test_a_session_is_new_with_each_login_and_the_old_one_ends(timed, token: Callable[..., str]):
    """Whoever planted a session in a browser has nothing of the login that follows."""
    client, _ = timed
    text = token("rita", "reviewer")
    client.cookies.set("treegate_session", "planted", domain="127.0.0.1", path="/ui")
    client.post("/ui/login", data={"token": text})
    first = [one.value for one in client.cookies.jar if one.value != "planted"]
    client.cookies.clear()
    client.post("/ui/login", data={"token": text}, headers={"Cookie": f"treegate_session={first[0]}"})
    client.cookies.clear()
    assert client.get("/ui/", headers={"Cookie": f"treegate_session={first[0]}"}).status_code == 303


def test_logging_out_everywhere_ends_every_session(service: TestClient, token: Callable[..., str]):
    """In whatever browser they were begun."""
    text = token("rita", "reviewer")
    service.post("/ui/login", data={"token": text})
    other = service.cookies["treegate_session"]
    service.cookies.clear()
    service.post("/ui/login", data={"token": text})
    form = {"csrf": csrf(service.get("/ui/").text), "everywhere": "1"}
    service.post("/ui/logout", data=form)
    service.cookies.clear()
    answer = service.get("/ui/", headers={"Cookie": f"treegate_session={other}"}, follow_redirects=False)
    assert answer.status_code == 303


def test_over_https_the_cookie_is_for_this_machine_alone(
    office: Path, environ: dict[str, str], token: Callable[..., str]
):
    """`__Host-`, Secure, for the whole of it, where people come over https."""
    public = {"TREEGATE_SERVICE_PUBLIC_URL": "https://gate.example"}
    with TestClient(create_app(office, {**environ, **public}), "https://gate.example") as client:
        answer = client.post("/ui/login", data={"token": token("rita", "reviewer")}, follow_redirects=False)
        assert "__Host-treegate_session=" in answer.headers["set-cookie"]
        assert {"Secure", "HttpOnly", "Path=/"} <= set(answer.headers["set-cookie"].split("; "))
        assert client.get("/ui/", follow_redirects=False).status_code == 200


def test_a_one_time_address_that_another_site_opens_logs_in_by_a_page(
    service: TestClient, office: Path, environ: dict[str, str]
):
    """A redirect would be followed without the cookie; the page goes on with it. Replayed, it does nothing."""
    with Gate.open(office, environ) as gate:
        once = gate.invite()
    first = service.get(f"/ui/login?once={once}", headers={"Sec-Fetch-Site": "cross-site"})
    assert (first.status_code, first.headers["refresh"]) == (200, "0; url=/ui/")
    service.cookies.clear()
    assert service.get(f"/ui/login?once={once}").status_code == 401


@pytest.mark.parametrize("case", ["M\u00fcller", "\u041f\u0435\u0442\u0440\u043e\u0432", "a b&c"])
def test_a_one_time_address_leads_to_a_page_of_any_name(
    service: TestClient, office: Path, environ: dict[str, str], case: str
):
    """From another site too, where the address of the page stands in a header."""
    with Gate.open(office, environ) as gate:
        once = gate.invite()
    asked = {"once": once, "next": f"/ui/cases/{case}"}
    first = service.get("/ui/login", params=asked, headers={"Sec-Fetch-Site": "cross-site"})
    assert first.status_code == 200
    assert unquote(first.headers["refresh"]) == f"0; url=/ui/cases/{case}"
    assert first.headers["refresh"].isascii()


def test_a_token_that_leaked_is_revoked_by_its_text_which_no_log_has(
    service: TestClient, token: Callable[..., str], caplog: pytest.LogCaptureFixture
):
    """Whoever has its text has no id; one of another workspace is not there, and not repeated in the answer."""
    admin, leaked = {"Authorization": f"Bearer {token('ada', 'admin')}"}, token("leo", "author")
    with caplog.at_level("INFO", "treegate"):
        gone = service.delete(f"/tokens/{leaked}", headers=admin)
        unknown = service.delete(f"/tokens/{leaked[:-4]}", headers=admin)
    assert (gone.status_code, gone.json()["name"]) == (200, "leo")
    assert service.get("/whoami", headers={"Authorization": f"Bearer {leaked}"}).status_code == 401
    assert (unknown.status_code, leaked[:-4] in unknown.text) == (404, False)
    facts = [record.facts for record in caplog.records if hasattr(record, "facts")]
    assert [one["path"] for one in facts][:2] == ["/tokens/tg_...", "/tokens/tg_..."]


def test_a_token_whose_time_is_over_is_not_made(service: TestClient, token: Callable[..., str]):
    """It would never hold."""
    admin = {"Authorization": f"Bearer {token('ada', 'admin')}"}
    made = service.post("/tokens", json={"name": "old", "role": "author", "expires_at": 1}, headers=admin)
    assert (made.status_code, made.json()["code"]) == (400, "expires-too-early")
