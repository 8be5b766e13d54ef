"""Whether the service can work, in words and numbers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from test_plans_over_http import submitted

from treegate.engine.config import Config

Headers = dict[str, str]


def test_an_unmounted_workspace_is_noticed_and_left_empty(service: TestClient, office: Path, author: Headers):
    """An empty folder stands where the bucket was: not ready, and nothing is written into it."""
    assert service.get("/readyz").status_code == 200
    aside = office.with_name("aside")
    office.rename(aside)
    office.mkdir()
    answer = service.get("/readyz")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert service.post("/plans", content='{"version": 1, "operations": []}', headers=author).status_code >= 400
    assert os.listdir(office) == []
    assert service.get("/healthz").status_code == 200
    office.rmdir()
    aside.rename(office)
    assert service.get("/readyz").status_code == 200


def test_the_numbers_tell_of_plans_problems_and_the_log(service: TestClient, author: Headers):
    """Plans by state, errors by code, the audit's head; no names and no paths."""
    submitted(service, author)
    service.get("/plans/pl_nowhere", headers=author)
    text = service.get("/metrics").text
    assert 'treegate_plans{state="pending"} 1.0' in text
    assert 'treegate_problems_total{code="plan-not-found"} 1.0' in text
    assert "treegate_audit_head" in text
    assert "Smith" not in text


def test_a_token_says_who_it_is(service: TestClient, author: Headers):
    """Name, role, cases, and what the role may do."""
    answer = service.get("/whoami", headers=author).json()
    assert (answer["name"], answer["role"], answer["cases"]) == ("ann", "author", None)
    assert "decide" not in answer["may"]


def test_a_body_that_is_too_large_is_refused(service: TestClient, author: Headers):
    """By what it says of itself, before any of it has come."""
    size = str(Config().service.body + 1)
    answer = service.post("/plans", content=b"x", headers={**author, "Content-Length": size})
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


@pytest.mark.parametrize(
    "path", ["/nowhere", "/plans/a/b/c", "/plans?limit=9999", "/plans?cursor=x", "/plans?state=odd"]
)
def test_what_fits_nothing_is_told_as_a_problem_document(service: TestClient, author: Headers, path: str):
    """Also what the framework itself refuses."""
    answer = service.get(path, headers=author)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code in {404, 422}


def test_only_an_admin_sees_tokens(service: TestClient, author: Headers, token: Callable[..., str]):
    """The list holds no secrets, and is still not for everybody."""
    assert service.get("/tokens", headers=author).status_code == 403
    admin = {"Authorization": f"Bearer {token('ada', 'admin')}"}
    answer = service.get("/tokens", headers=admin)
    assert [one["name"] for one in answer.json()["tokens"]] == ["ann", "ada"]
    assert "tg_" not in answer.text
