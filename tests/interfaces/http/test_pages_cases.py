"""The pages of cases: what happened, where files went, what the vault keeps, pauses."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pagework import Headers, Token, carried_out, hostile_run, inert, log_in, send
from test_plans_over_http import plan, submitted


@pytest.fixture
def page(service: TestClient, token: Token) -> TestClient:
    return log_in(service, token("olga", "operator"))


def test_the_cases_are_listed_with_what_waits_there(page: TestClient, author: Headers):
    """By name; one can be found by a part of it."""
    submitted(page, author)
    text = page.get("/ui/cases").text
    assert text.index("Jones") < text.index("Smith")
    assert "1 plan<" in text
    assert "Jones" not in page.get("/ui/cases?q=smi").text.partition("<main")[2]


def test_a_case_tells_what_happened_newest_first(page: TestClient, author: Headers, reviewer: Headers):
    """Submitted, approved, begun, ended: each with its link; another case's events are not among them."""
    run = carried_out(page, author, reviewer, plan({"op": "mkdir", "path": "New"}))
    submitted(page, author, plan({"op": "mkdir", "path": "New"}, case="Jones"))
    text = page.get("/ui/cases/Smith").text
    assert text.index("ended applied") < text.index("approved") < text.index("submitted")
    assert f'<a href="/ui/runs/{run}">' in text
    assert text.count("submitted") == 1


def test_where_a_file_went_is_told_in_words(page: TestClient, author: Headers, reviewer: Headers):
    """From where to where, by which run, on whose word; of a path that nothing touched that is said."""
    carried_out(page, author, reviewer, plan({"op": "move", "from": "scan0.pdf", "to": "Scans/first.pdf"}))
    text = page.get("/ui/cases/Smith?path=scan0.pdf").text
    assert "moved from Smith/scan0.pdf to Smith/Scans/first.pdf" in text
    assert "approved by rita" in text
    assert "No run ever touched" in page.get("/ui/cases/Smith?path=nowhere.txt").text
    for path in ("../Jones/scan0.pdf", "a" * 5000, "\x00", "/etc/passwd"):
        assert page.get("/ui/cases/Smith", params={"path": path}).status_code == 200


def test_what_the_vault_keeps_is_put_back_by_a_plan(page: TestClient, author: Headers, reviewer: Headers):
    """Ticked, sent, and on to the review of the plan that restores it."""
    run = carried_out(page, author, reviewer, plan({"op": "delete", "path": "scan0.pdf"}))
    text = page.get("/ui/cases/Smith").text
    entry = re.findall(r'name="entry" value="([^"]+)"', text)
    assert entry == [f"{run}/0"]
    answer = send(page, "/ui/cases/Smith/restore", entry=entry)
    assert (answer.status_code, answer.headers["location"][:13]) == (303, "/ui/plans/pl_")
    assert "Smith/scan0.pdf" in page.get(answer.headers["location"]).text


@pytest.mark.parametrize(
    ("entry", "status"), [([], 422), (["run_x/1"], 404), (["x"], 422), (["run_a/1", "run_b/1"], 422), (["/1/1"], 422)]
)
def test_entries_that_are_none_are_refused(page: TestClient, entry: list[str], status: int):
    """And no plan is made."""
    assert send(page, "/ui/cases/Smith/restore", entry=entry).status_code == status


def test_an_operator_pauses_and_resumes_a_case(page: TestClient):
    """The comment is shown; in the log of the case both are told."""
    assert send(page, "/ui/cases/Smith/pause", comment="<b>wait</b>").status_code == 303
    text = page.get("/ui/cases/Smith").text
    assert "&lt;b&gt;wait&lt;/b&gt;" in text
    assert send(page, "/ui/cases/Smith/resume").status_code == 303
    text = page.get("/ui/cases/Smith").text
    assert "Resume</button>" not in text
    assert "paused Smith" in text
    assert "resumed Smith" in text


def test_a_reviewer_may_not_pause(page: TestClient, token: Token):
    """Not offered, and refused."""
    log_in(page, token("rudi", "reviewer"))
    assert "Pause</button>" not in page.get("/ui/cases/Smith").text
    assert send(page, "/ui/cases/Smith/pause").status_code == 403


def test_another_case_stays_closed(page: TestClient, token: Token):
    """403 for its page, and its name is in no list."""
    log_in(page, token("joe", "operator", ["Jones"]))
    assert page.get("/ui/cases/Smith").status_code == 403
    assert "Smith" not in page.get("/ui/cases").text
    assert page.get("/ui/cases/Nowhere").status_code in {403, 404}


def test_hostile_names_stay_text(page: TestClient, office: Path, author: Headers, reviewer: Headers):
    """Of files in the vault, and of cases: shown, inert, and their pages can be opened."""
    hostile_run(page, office, author, reviewer)
    assert inert(page.get("/ui/cases/Smith").text)
    assert inert(page.get("/ui/cases/Smith", params={"path": "Odd/<script>alert(1)"}).text)


def test_a_case_whose_name_means_harm_has_a_page(office: Path, environ: dict[str, str], token: Token):
    """Markup, a name that is not UTF-8, a slash that is none: each is led to by its own link."""
    from treegate.interfaces.http.app import create_app

    for name in (b"<script>alert(1)", b"caf\xe9", "\u202eevil".encode(), b"50% #1?", b"red\x1b[31m"):
        os.mkdir(os.path.join(os.fsencode(office / "projects"), name))
    with TestClient(create_app(office, environ), "http://127.0.0.1") as service:
        page = log_in(service, token("olga", "operator"))
        text = page.get("/ui/cases").text
        assert inert(text)
        links = re.findall(r'class="title" href="(/ui/cases/[^"]+)"', text)
        assert len(links) == 7
        for link in links:
            answer = page.get(link)
            assert answer.status_code == 200, link
            assert inert(answer.text)
