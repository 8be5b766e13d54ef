"""The pages of runs: found again, told in words, taken back in whole or in part."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pagework import Headers, Token, carried_out, ended, hostile_run, inert, log_in, send
from test_plans_over_http import plan, submitted

from treegate.gate import Gate
from treegate.model.actors import Role
from treegate.model.lifecycle import State


@pytest.fixture
def page(service: TestClient, token: Token) -> TestClient:
    return log_in(service, token("olga", "operator"))


def test_a_receipt_says_who_when_and_what_is_kept(page: TestClient, author: Headers, reviewer: Headers):
    """Who asked, who approved, how many, the vault and its term, the digest of the receipt."""
    run = carried_out(page, author, reviewer, plan({"op": "delete", "path": "scan0.pdf"}))
    text = page.get(f"/ui/runs/{run}").text
    assert all(told in text for told in ("ann", "rita", "1 effect", "1 entry", "until"))
    assert re.search(r"Receipt digest</dt><dd><code>[0-9a-f]{64}<", text)


def test_the_effects_are_paged_and_filtered(page: TestClient, office: Path, author: Headers, reviewer: Headers):
    """A hundred on a page; by words of the path, and by what was done."""
    for n in range(120):
        (office / f"projects/Smith/letter{n:03}.txt").write_text("x")
    moves = plan({"op": "move", "match": "letter*.txt", "to": "L/"}, {"op": "delete", "path": "scan0.pdf"})
    run = carried_out(page, author, reviewer, moves)
    first, second = page.get(f"/ui/runs/{run}").text, page.get(f"/ui/runs/{run}?at=100").text
    assert (first.count("Pick for undo"), second.count("Pick for undo")) == (100, 22)
    assert page.get(f"/ui/runs/{run}?q=letter 007").text.count("Pick for undo") == 1
    assert page.get(f"/ui/runs/{run}?kind=deleted").text.count("Pick for undo") == 1


def test_what_falls_with_an_undo_is_told(page: TestClient, author: Headers, reviewer: Headers):
    """Where something else lies now, that has to go back first: the page says so on the way to the review."""
    chain = plan(
        {"op": "move", "from": "scan1.pdf", "to": "moved.pdf"}, {"op": "move", "from": "scan0.pdf", "to": "scan1.pdf"}
    )
    run = carried_out(page, author, reviewer, chain)
    answer = send(page, f"/ui/runs/{run}/undo", what="ticked", path="Smith/moved.pdf")
    assert answer.status_code == 200
    assert "1 more effect goes with what you picked" in answer.text
    assert "Smith/scan1.pdf" in answer.text
    review = re.findall(r'href="(/ui/plans/pl_\w+)">Review the undo', answer.text)[0]
    assert "2 moves" in page.get(review).text


def test_what_stands_alone_goes_straight_to_its_review(page: TestClient, author: Headers, reviewer: Headers):
    """303 to the plan that takes it back."""
    run = carried_out(page, author, reviewer, plan({"op": "move", "match": "*.pdf", "to": "Scans/"}))
    answer = send(page, f"/ui/runs/{run}/undo", what="ticked", path="Smith/Scans/scan0.pdf")
    assert (answer.status_code, answer.headers["location"][:13]) == (303, "/ui/plans/pl_")
    assert send(page, f"/ui/runs/{run}/undo", what="ticked").status_code == 422


def test_a_name_that_no_form_can_send_is_picked_by_its_number(
    page: TestClient, office: Path, author: Headers, reviewer: Headers
):
    """A file whose name is not UTF-8 is taken back alone; nothing on the page does anything."""
    run = hostile_run(page, office, author, reviewer)
    text = page.get(f"/ui/runs/{run}").text
    assert inert(text)
    assert inert(page.get("/ui/runs").text)
    pick = re.findall(r'name="pick" value="(e\d+)" aria-label="Pick for undo: Smith/Odd/caf\\xe9', text)
    answer = send(page, f"/ui/runs/{run}/undo", what="ticked", pick=pick)
    assert answer.status_code == 303
    assert inert(page.get(answer.headers["location"]).text)


@pytest.mark.parametrize("pick", ["e999999", "x", "e0", "e-1", "e" + "9" * 40, "e\u0661"])
def test_an_effect_that_is_none_is_refused(page: TestClient, author: Headers, reviewer: Headers, pick: str):
    """404, and no plan is made."""
    run = carried_out(page, author, reviewer, plan({"op": "mkdir", "path": "New"}))
    assert send(page, f"/ui/runs/{run}/undo", what="ticked", pick=pick).status_code == 404


def test_runs_are_found_by_case_and_state(page: TestClient, author: Headers, reviewer: Headers):
    """Each filter leaves out the others; a case that is none has no runs."""
    run = carried_out(page, author, reviewer, plan({"op": "mkdir", "path": "New"}))
    shown = {query: run in page.get(f"/ui/runs?{query}").text for query in ("case=Smith", "case=Jones", "case=x%00")}
    assert shown == {"case=Smith": True, "case=Jones": False, "case=x%00": False}
    assert run in page.get("/ui/runs?state=applied").text
    assert run not in page.get("/ui/runs?state=rolled-back").text


def test_runs_are_paged(office: Path, environ: dict[str, str]):
    """Each page goes on where the one before ended, and the last says so."""
    with Gate.open(office, environ) as gate:
        for n in range(5):
            made = gate.submit(plan({"op": "mkdir", "path": f"New{n}"}))
            with Gate.open(
                office, {**environ, "TREEGATE_TOKEN": gate.create_token(f"r{n}", Role.REVIEWER)[1]}
            ) as other:
                other.approve(made.id, made.digest)
            gate.apply(made.id)
        first = gate.runs_page(count=2)
        second = gate.runs_page(count=2, before=first.before)
        last = gate.runs_page(count=2, before=second.before)
        ids = [run.id for page in (first, second, last) for run in page.runs]
        assert ids == [run.id for run in gate.list_runs()]
        assert last.before is None


def test_a_run_of_another_case_is_not_shown(page: TestClient, author: Headers, reviewer: Headers, token: Token):
    """403 for its page; not in the list."""
    run = carried_out(page, author, reviewer, plan({"op": "mkdir", "path": "New"}))
    log_in(page, token("joe", "operator", ["Jones"]))
    assert page.get(f"/ui/runs/{run}").status_code == 404  # what one may not see is not told to exist
    assert run not in page.get("/ui/runs").text


def test_a_run_that_could_not_begin_says_why(page: TestClient, office: Path, author: Headers, reviewer: Headers):
    """The tree moved on before the run: that nothing was done, and what was changed, stand on its page."""
    document = plan({"op": "move", "from": "scan0.pdf", "to": "New/"})
    made = submitted(page, author, document)
    (office / "projects/Smith/scan0.pdf").write_text("another content")
    page.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    run = page.post(f"/plans/{made['id']}/apply", headers=reviewer).json()["run"]
    ended(page, author, run)
    text, deadline = "", time.monotonic() + 30
    while "Smith/scan0.pdf" not in text and time.monotonic() < deadline:  # the reason is noted after the state
        text = page.get(f"/ui/runs/{run}").text
    assert "Nothing was done: the tree had changed since the approval." in text
    assert "Smith/scan0.pdf" in text


def test_a_run_that_stopped_offers_both_ends_to_an_operator(
    page: TestClient, office: Path, environ: dict[str, str], author: Headers, reviewer: Headers, token: Token
):
    """Finish or take back; a reviewer is told who can. The head of each page points to it."""
    with Gate.open(office, environ) as gate:
        made = gate.submit(plan({"op": "mkdir", "path": "New"}, case="Jones"))
        with Gate.open(office, {**environ, "TREEGATE_TOKEN": token("rob", "reviewer")}) as other:
            other.approve(made.id, made.digest)
        with gate.core.store.write() as transaction:
            run, _ = transaction.begin_run(made.id, digest=made.digest, run_id="run_stopped", by=gate.core.by())
            transaction.end_run(run.id, State.NEEDS_RECOVERY, by=gate.core.by())
    text = page.get("/ui/runs/run_stopped").text
    assert "It stopped midway" in text
    assert "Finish it" in text
    assert "Something needs a person" in page.get("/ui/cases").text
    log_in(page, token("rudi", "reviewer"))
    text = page.get("/ui/runs/run_stopped").text
    assert "Finish it" not in text
    assert "An operator can finish it" in text
