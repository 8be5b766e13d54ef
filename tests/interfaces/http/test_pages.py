"""The pages: who gets in, what a form from elsewhere gets, deciding without script."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from test_plans_over_http import plan, submitted

from treegate.gate import Gate

Headers = dict[str, str]


@pytest.fixture
def page(service: TestClient, token: Callable[..., str]) -> TestClient:
    """The service, with a reviewer logged in."""
    answer = service.post("/ui/login", data={"token": token("rita", "reviewer")})
    assert answer.status_code == 200
    return service


def csrf(text: str) -> str:
    return re.findall(r'name="csrf" value="([0-9a-f]{64})"', text)[0]


def test_whoever_is_not_logged_in_is_sent_to_the_form_and_back(service: TestClient, token: Callable[..., str]):
    """303 to the login, with the page in `next`; a `next` that leads elsewhere does not."""
    answer = service.get("/ui/plans/pl_x", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/login?next=/ui/plans/pl_x")
    text = token("rita", "reviewer")
    for next, goes in (("/ui/runs", "/ui/runs"), ("//evil.example/ui/", "/ui/"), ("https://evil.example", "/ui/")):
        answer = service.post("/ui/login", data={"token": text, "next": next}, follow_redirects=False)
        assert answer.headers["location"] == goes


def test_a_wrong_token_does_not_get_in(service: TestClient):
    """401, the form again, no cookie; and nothing of what one would do at a shell."""
    answer = service.post("/ui/login", data={"token": "tg_wrong"})
    assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
    assert ("is not known" in answer.text, "TREEGATE_TOKEN" in answer.text) == (True, False)


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(service: TestClient, token: Callable[..., str]):
    """HttpOnly, SameSite=Strict, and only for the pages."""
    answer = service.post("/ui/login", data={"token": token("rita", "reviewer")}, follow_redirects=False)
    cookie = answer.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/ui"))


def test_a_session_ends_with_its_token(page: TestClient, office: Path, environ: dict[str, str]):
    """Revoked at the shell, gone in the browser."""
    assert page.get("/ui/", follow_redirects=False).status_code == 200
    with Gate.open(office, environ) as gate:
        gate.revoke_token("rita")
    assert page.get("/ui/", follow_redirects=False).status_code == 303


def test_the_address_that_logs_in_does_so_once(service: TestClient, office: Path, environ: dict[str, str]):
    """The second time it is refused, and says why; whoever is logged in by it goes on."""
    with Gate.open(office, environ) as gate:
        once = gate.invite()
    assert service.get(f"/ui/login?once={once}", follow_redirects=False).status_code == 303
    again = service.get(f"/ui/login?once={once}", follow_redirects=False)
    assert (again.status_code, again.headers["location"], "set-cookie" in again.headers) == (303, "/ui/", False)
    service.cookies.clear()
    again = service.get(f"/ui/login?once={once}", follow_redirects=False)
    assert again.status_code == 401
    assert "logged somebody in already" in again.text


def test_a_plan_is_approved_without_script_and_its_run_shown(page: TestClient, author: Headers, office: Path):
    """The form of the review page carries the digest; the answer is the run's page."""
    made = submitted(page, author)
    text = page.get(f"/ui/plans/{made['id']}").text
    assert "Approve 5 moves" in text
    form = {"csrf": csrf(text), "digest": made["digest"]}
    answer = page.post(f"/ui/plans/{made['id']}/approve", data=form, follow_redirects=False)
    assert re.fullmatch(r"/ui/runs/run_\w+", answer.headers["location"])


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}]
)
def test_a_form_from_another_site_decides_nothing(page: TestClient, author: Headers, headers: Headers):
    """41: 403, even with the right token in it; the plan still waits."""
    made = submitted(page, author)
    form = {"csrf": csrf(page.get(f"/ui/plans/{made['id']}").text), "digest": made["digest"]}
    answer = page.post(f"/ui/plans/{made['id']}/approve", data=form, headers=headers)
    assert answer.status_code == 403
    assert page.get(f"/plans/{made['id']}", headers=author).json()["state"] == "pending"


@pytest.mark.parametrize("given", ["", "0" * 64, "\xe9"])
def test_a_form_without_the_sessions_mark_decides_nothing(page: TestClient, author: Headers, given: str):
    """403, as for a page of another site."""
    made = submitted(page, author)
    answer = page.post(f"/ui/plans/{made['id']}/approve", data={"csrf": given, "digest": made["digest"]})
    assert answer.status_code == 403
    assert page.get(f"/plans/{made['id']}", headers=author).json()["state"] == "pending"


def test_a_plan_that_moved_on_is_not_approved_and_the_page_says_so(page: TestClient, author: Headers):
    """What the page showed was revised meanwhile: 409, in words."""
    made = submitted(page, author)
    form = {"csrf": csrf(page.get(f"/ui/plans/{made['id']}").text), "digest": made["digest"]}
    page.put(f"/plans/{made['id']}", content=plan({"op": "mkdir", "path": "New"}), headers=author)
    answer = page.post(f"/ui/plans/{made['id']}/approve", data=form)
    assert answer.status_code == 409
    assert "moved on" in answer.text
    assert page.get(f"/plans/{made['id']}", headers=author).json()["state"] == "pending"


def test_a_pattern_is_left_out(page: TestClient, author: Headers):
    """Ticked, looked at, confirmed: a new revision without it, which the same person may still approve."""
    document = plan({"op": "move", "match": "scan[0-3].pdf", "to": "Scans/"}, {"op": "mkdir", "path": "New"})
    made = submitted(page, author, document)
    text = page.get(f"/ui/plans/{made['id']}").text
    leave = re.findall(r'name="leave" value="(p\d+)"[^>]*><span><span class="count">4<', text)
    form = {"csrf": csrf(text), "digest": made["digest"], "leave": leave}
    look = page.post(f"/ui/plans/{made['id']}/leave-out", data=form)
    assert "Leave this out?" in look.text
    page.post(f"/ui/plans/{made['id']}/reduce", data=form)
    now = page.get(f"/plans/{made['id']}/preview", headers=author).json()
    assert (now["revision"], now["counts"]["moved"]) == (2, 0)
    form = {"csrf": csrf(text), "digest": now["digest"]}
    assert page.post(f"/ui/plans/{made['id']}/approve", data=form, follow_redirects=False).status_code == 303


def test_hostile_names_stay_text(page: TestClient, office: Path, author: Headers):
    """A name that is markup, or turns writing round, is shown and does nothing."""
    name = '<img src=x onerror="alert(1)">\u202egpj.txt'
    (office / "projects/Smith" / name).write_text("x")
    made = submitted(page, author, plan({"op": "move", "from": name, "to": "Scans/"}))
    text = page.get(f"/ui/plans/{made['id']}").text
    assert "<img src=x" not in text
    assert "\u202e" not in text
    assert "&lt;img" in text


def test_an_author_sees_no_buttons(service: TestClient, author: Headers, token: Callable[..., str]):
    """Who may not decide is not offered it, and is refused anyway."""
    made = submitted(service, author)
    service.post("/ui/login", data={"token": token("arthur", "author")})
    text = service.get(f"/ui/plans/{made['id']}").text
    assert "Approve" not in text
    answer = service.post(f"/ui/plans/{made['id']}/approve", data={"csrf": csrf(text), "digest": made["digest"]})
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/ui/login", "/healthz", "/plans", "/nowhere", "/ui/static/app.css", "/ui/nowhere"])
def test_every_answer_forbids_what_comes_from_elsewhere(service: TestClient, path: str):
    """The policy stands on pages, errors and files alike, and lets nothing inline run."""
    answer = service.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]
    assert not re.search(r"<script(?! src=)|style=|<style| on\w+=", answer.text) or path.endswith(".css")
