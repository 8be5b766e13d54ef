"""The audit page: searched, verified, exported, signed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pagework import Headers, Token, carried_out, csrf, hostile_run, inert, log_in, send
from test_plans_over_http import plan, submitted


@pytest.fixture
def page(service: TestClient, token: Token) -> TestClient:
    return log_in(service, token("olga", "admin"))


def told(page: TestClient, **query: str) -> str:
    answer = page.get("/ui/audit", params=query)
    assert answer.status_code == 200
    return answer.text.partition('aria-label="Events"')[2].partition('id="proof"')[0]


def test_the_log_is_searched(page: TestClient, author: Headers, reviewer: Headers):
    """By words (also those that only the telling has), case, person, kind and day, alone and together."""
    run = carried_out(page, author, reviewer, plan({"op": "mkdir", "path": "New"}))
    submitted(page, author, plan({"op": "mkdir", "path": "New"}, case="Jones"))
    assert run in told(page)
    assert run in told(page, case="Smith")
    assert run not in told(page, case="Jones")
    assert "approved" in told(page, q="approved")
    assert "submitted" not in told(page, q="approved")
    assert "rita" in told(page, actor="rita")
    assert "submitted" not in told(page, actor="rita")
    assert "began" in told(page, event="run-began", case="Smith", actor="rita")
    day = datetime.now(UTC).date()
    assert run in told(page, since=str(day - timedelta(1)), until=str(day + timedelta(1)))
    assert run not in told(page, since=str(day + timedelta(2)))
    assert run not in told(page, until=str(day - timedelta(2)))


@pytest.mark.parametrize(
    "query",
    [{"q": "%_' OR 1=1 --"}, {"q": '"\\'}, {"case": "\x00"}, {"event": "x'"}, {"before": "0"}, {"q": "x" * 4000}],
)
def test_what_is_sought_is_only_text(page: TestClient, author: Headers, query: dict[str, str]):
    """No pattern, no SQL: nothing fits."""
    submitted(page, author)
    assert "submitted" not in told(page, **query)


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "9999-12-31", "0000-01-01"])
def test_a_day_that_is_none_is_told(page: TestClient, day: str):
    """A page that says so, not a failure."""
    assert page.get("/ui/audit", params={"until": day}).status_code in {400, 422}


def test_a_long_log_is_paged(page: TestClient, author: Headers):
    """A hundred on a page; the next goes on where it ended."""
    for n in range(60):
        submitted(page, author, plan({"op": "mkdir", "path": f"New{n}"}))
    first = page.get("/ui/audit").text
    assert first.count("data-item") == 100
    before = first.rpartition("before=")[2].partition('"')[0]
    second = told(page, before=before)
    assert "#1 " in second
    assert f"#{before} " not in second


def test_the_log_is_verified_and_taken_along(page: TestClient, author: Headers):
    """The button says that it holds; the export has each row; a checkpoint is a signed document."""
    submitted(page, author)
    assert "The audit log holds" in page.get("/ui/audit/verify").text
    answer = page.get("/ui/audit/export")
    assert "attachment" in answer.headers["content-disposition"]
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    made = send(page, "/ui/audit/checkpoint")
    assert (made.status_code, made.json()["seq"]) == (200, rows[-1]["seq"])
    assert made.json()["signature"]


def test_only_an_operator_signs(page: TestClient, token: Token):
    """A reviewer is not offered it, and is refused."""
    log_in(page, token("rudi", "reviewer"))
    text = page.get("/ui/audit").text
    assert "Sign a checkpoint" not in text
    assert page.post("/ui/audit/checkpoint", data={"csrf": csrf(text)}).status_code == 403


def test_who_sees_one_case_sees_only_its_events(page: TestClient, author: Headers, token: Token):
    """Nothing of another case is told or found, and the whole log is not exported."""
    submitted(page, author)
    log_in(page, token("joe", "operator", ["Jones"]))
    assert "submitted" not in told(page)
    assert "submitted" not in told(page, q="submitted")
    assert page.get("/ui/audit", params={"case": "Smith"}).status_code == 403
    assert page.get("/ui/audit/export").status_code == 403


def test_hostile_names_stay_text(page: TestClient, office: Path, author: Headers, reviewer: Headers):
    """In titles, comments and what was sought."""
    hostile_run(page, office, author, reviewer)
    document = json.loads(plan({"op": "mkdir", "path": "New"})) | {"title": "<script>alert(1)</script>\u202e"}
    submitted(page, author, json.dumps(document))
    for query in ("", "?q=<script>alert(1)", "?q=\u202e", "?actor=<img src=x>&since=", "?case=<script>alert(1)"):
        assert inert(page.get(f"/ui/audit{query}").text)
