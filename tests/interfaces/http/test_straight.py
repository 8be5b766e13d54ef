"""The straight way gives the answers that the routes give, to whatever is asked."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from test_plans_over_http import SORT, submitted

from treegate.interfaces.http import straight

NEVER = re.compile(r"(?!)")
QUESTIONS = (
    "",
    "/effects",
    "/effects?limit=2",
    "/effects?limit=2&cursor=1",
    "/effects?cursor=7",
    "/effects?q=scan&kind=moved",
    "/effects?q=SCAN%201",
    "/effects?q=nothing+like+it",
    "/effects?limit=2&limit=3",
    "/effects?unknown=1",
    "/effects?limit=0",
    "/effects?limit=1001",
    "/effects?limit=",
    "/effects?limit=1e1",
    "/effects?limit=1.0",
    "/effects?limit=%201",
    "/effects?limit=1_0",
    "/effects?limit=+1",
    "/effects?limit=%2B1",
    "/effects?limit=01",
    "/effects?limit=true",
    "/effects?limit=\u0661",
    "/effects?cursor=-1",
    "/effects?cursor=9007199254740992",
    "/effects?kind=",
    "/effects?kind=null",
    "/effects?kind=melted",
    "/effects?q=" + "x" * 201,
    "/effects?q=%ff",
    "/effects?q=%00",
    "/",
    "/effects/",
)


@pytest.fixture
def plan(service: TestClient, author: dict[str, str]) -> str:
    return str(submitted(service, author)["id"])


def seen(service: TestClient, path: str, headers: dict[str, str]) -> Any:
    """What an answer says, but for the id that each request has."""
    found = service.get(path, headers=headers, follow_redirects=False)
    own = found.headers.pop("x-request-id")
    return found.status_code, dict(found.headers), found.text.replace(own, "ID")


def both(service: TestClient, monkeypatch: pytest.MonkeyPatch, path: str, headers: dict[str, str]) -> tuple[Any, Any]:
    with monkeypatch.context() as patched:
        patched.setattr(straight, "_ASKED", NEVER)
        theirs = seen(service, path, headers)
    return seen(service, path, headers), theirs


@pytest.mark.parametrize("question", QUESTIONS)
def test_it_answers_as_the_routes_do(service, author, plan, monkeypatch, question: str):
    """Status, headers and body are the same, of what goes well and of what is refused."""
    ours, theirs = both(service, monkeypatch, f"/plans/{plan}{question}", author)
    assert ours == theirs


def test_whoever_may_not_look_is_told_the_same(service, token, plan, monkeypatch):
    """No token, a wrong one, one of another case; a plan that there is not, or that was never previewed."""
    elsewhere = {"Authorization": f"Bearer {token('joe', 'author', ['Jones'])}"}
    reviewer = {"Authorization": f"bearer   {token('rita', 'reviewer')} "}
    draft = service.post(
        "/plans?draft=true", content=SORT, headers={"Authorization": f"Bearer {token('ben', 'author')}"}
    )
    drafted = f"/plans/{draft.json()['id']}/effects"
    for headers in ({}, {"Authorization": "Bearer tg_none"}, {"Authorization": "Basic eDp5"}, elsewhere, reviewer):
        for path in (f"/plans/{plan}", f"/plans/{plan}/effects", "/plans/pl_none", f"/plans/{plan[:6]}", drafted):
            ours, theirs = both(service, monkeypatch, path, headers)
            assert ours == theirs, (headers, path)


def test_a_state_that_the_caller_has_is_not_sent_again(service, author, plan, monkeypatch):
    """304 to an If-None-Match that names it, and the whole plan once it is another."""
    tag = service.get(f"/plans/{plan}", headers=author).headers["etag"]
    ours, theirs = both(service, monkeypatch, f"/plans/{plan}", author | {"If-None-Match": tag})
    assert ours == theirs
    assert ours[0] == 304
    service.post(f"/plans/{plan}/withdraw", headers=author)
    assert service.get(f"/plans/{plan}", headers=author | {"If-None-Match": tag}).json()["state"] == "withdrawn"


def test_the_numbers_know_the_routes_by_their_names(service, author, token, plan):
    """Which way a request went makes no difference to what is counted."""
    service.get(f"/plans/{plan}/effects", headers=author)
    told = service.get("/metrics", headers={"Authorization": f"Bearer {token('oz', 'admin')}"}).text
    assert re.search(r'requests_total{method="GET",route="/plans/{id}/effects",status="200"} 1.0', told), told
