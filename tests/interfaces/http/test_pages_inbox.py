"""The inbox: what waits for whom, with its risk; what is paused; quiet while nothing happens."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient
from pagework import Headers, Token, log_in, send
from test_plans_over_http import plan, submitted


@pytest.fixture
def page(service: TestClient, token: Token) -> TestClient:
    return log_in(service, token("olga", "admin"))


def test_an_empty_inbox_says_what_to_do_next(page: TestClient):
    """No list, but how plans come in."""
    text = page.get("/ui/").text
    assert "Nothing waits for you" in text
    assert "treegate submit" in text


def test_the_risk_of_each_plan_is_counted_in_words(page: TestClient, author: Headers):
    """Deletions, replacements and errors stand beside the plan; of what loses nothing that is said, too."""
    risky = plan({"op": "delete", "path": "scan0.pdf"}, {"op": "replace", "path": "scan1.pdf", "content": "new"})
    submitted(page, author, risky)
    submitted(page, author, plan({"op": "mkdir", "path": "New"}))
    submitted(page, author, plan({"op": "move", "from": "nowhere", "to": "New/"}))
    text = page.get("/ui/").text
    mine, _, others = text.partition('id="others"')
    assert all(told in mine for told in ("1 deletion", "1 replacement", "nothing lost, nothing odd"))
    assert "1 error" in others
    assert "waits for ann to mend the plan" in others


def test_the_oldest_plan_comes_first(page: TestClient, author: Headers):
    """In the order in which they were handed in."""
    made = [submitted(page, author, plan({"op": "mkdir", "path": f"New{n}"}))["id"] for n in range(3)]
    assert re.findall(r'data-item id="(pl_\w+)"', page.get("/ui/").text) == made


def test_nothing_is_sent_again_while_nothing_happened(page: TestClient, author: Headers):
    """204 for who has seen all; a plan that comes in, or a pause, is sent."""
    seen = re.findall(r"seen=(\d+)", page.get("/ui/").text)[0]
    assert page.get(f"/ui/?seen={seen}").status_code == 204
    submitted(page, author)
    assert page.get(f"/ui/?seen={seen}").status_code == 200


def test_many_plans_are_paged(page: TestClient, author: Headers):
    """A hundred on a page, the others one link away; no plan is on two pages."""
    for n in range(101):
        submitted(page, author, plan({"op": "mkdir", "path": f"New{n}"}))
    first, second = page.get("/ui/").text, page.get("/ui/?at=100").text
    ids = re.findall(r'data-item id="(pl_\w+)"', first), re.findall(r'data-item id="(pl_\w+)"', second)
    assert (len(ids[0]), len(ids[1]), len({*ids[0], *ids[1]})) == (100, 1, 101)
    assert "at=100" in first


def test_a_pause_of_a_case_is_told_only_to_who_may_see_it(page: TestClient, token: Token):
    """The inbox says what is paused and why; not the name of another's case."""
    assert send(page, "/ui/health/pause", case="Smith", comment="the heirs call").status_code == 303
    assert "the heirs call" in page.get("/ui/").text
    log_in(page, token("joe", "reviewer", ["Jones"]))
    text = page.get("/ui/").text
    assert "the heirs call" not in text
    assert "Smith" not in text
