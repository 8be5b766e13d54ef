"""The health page: who may look, who may act; and error pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pagework import Headers, Token, log_in, send
from test_plans_over_http import plan, submitted

from treegate.engine.locks import case_locks
from treegate.gate import Gate


@pytest.fixture
def page(service: TestClient, token: Token) -> TestClient:
    return log_in(service, token("olga", "operator"))


def test_the_page_says_how_the_workspace_does(page: TestClient, author: Headers):
    """The doctor's word, jobs, locks, pauses, the log and sizes; the records are compared when that is asked for."""
    submitted(page, author)
    text = page.get("/ui/health").text
    assert all(told in text for told in ("What the doctor says", "Jobs", "Locks", "Pauses", "Audit log", "Vault"))
    assert "They do." not in text
    assert "They do." in page.get("/ui/health?stories=1").text


def test_who_holds_a_case_is_named(page: TestClient, office: Path, environ: dict[str, str]):
    """The process, and that it is the one writer; asking holds nobody up."""
    with Gate.open(office, environ) as gate, case_locks(gate.state / "locks", ["Smith"], shared=False, wait=1):
        (held,) = [one for one in gate.condition().locks if one.case == "Smith"]
        assert held.writes
        text = page.get("/ui/health").text
        assert f"process {held.process} is its one writer" in text
    assert "is its one writer" not in page.get("/ui/health").text


def test_what_is_set_is_named_and_never_its_value(office: Path, environ: dict[str, str], token: Token):
    """Where a setting comes from; what it is may be a secret."""
    from treegate.interfaces.http.app import create_app

    with TestClient(create_app(office, {**environ, "TREEGATE_LOCK_WAIT": "17m"}), "http://127.0.0.1") as service:
        text = log_in(service, token("olga", "operator")).get("/ui/health").text
    assert "TREEGATE_LOCK_WAIT" in text
    assert "17m" not in text


def test_the_whole_workspace_is_paused_and_resumed(page: TestClient):
    """By an operator; a case that there is none of is not."""
    assert send(page, "/ui/health/pause", comment="audit day").status_code == 303
    text = page.get("/ui/health").text
    assert "The workspace is paused." in text
    assert "audit day" in text
    assert send(page, "/ui/health/resume").status_code == 303
    assert "Nothing is paused" in page.get("/ui/health").text
    assert send(page, "/ui/health/pause", case="Nowhere").status_code == 404


def test_a_reviewer_looks_and_does_not_act(page: TestClient, token: Token):
    """The page without its buttons; its forms are refused."""
    log_in(page, token("rudi", "reviewer"))
    text = page.get("/ui/health").text
    assert "What the doctor says" in text
    assert "Pause</button>" not in text
    assert send(page, "/ui/health/pause").status_code == 403
    assert send(page, "/ui/health/resume").status_code == 403


def test_an_author_does_not_look(page: TestClient, token: Token):
    """An agent learns nothing of the house it works in."""
    log_in(page, token("arthur", "author"))
    answer = page.get("/ui/health")
    assert answer.status_code == 403
    assert "Not allowed" in answer.text


@pytest.mark.parametrize(
    "path", ["/ui/plans/pl_no", "/ui/runs/run_no", "/ui/cases/<script>", "/ui/nowhere", "/ui/runs/x"]
)
def test_what_is_not_there_is_told_on_a_page(page: TestClient, path: str):
    """404 in words, with ways on."""
    answer = page.get(path)
    assert answer.status_code == 404
    assert "Not found" in answer.text
    assert 'href="/ui/"' in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize("path", ["/ui/runs?before=x", "/ui/?at=-1", "/ui/cases?at=99999999999999999999"])
def test_a_parameter_that_is_none_is_told_on_a_page(page: TestClient, path: str):
    """422 in words."""
    answer = page.get(path)
    assert (answer.status_code, answer.headers["content-type"][:9]) == (422, "text/html")


def test_every_page_forbids_what_is_inline(page: TestClient, author: Headers):
    """No script, no style, no handler in the HTML of any page."""
    made = submitted(page, author, plan({"op": "mkdir", "path": "New"}))
    paths = ("", "runs", "cases", "cases/Smith", "audit", "audit/verify", "health", f"plans/{made['id']}", "nowhere")
    for path in paths:
        answer = page.get(f"/ui/{path}")
        assert "unsafe" not in answer.headers["content-security-policy"]
        found = [bad for bad in ("<style", " style=", " onclick", " onload", "<script>") if bad in answer.text]
        assert found == [], path
