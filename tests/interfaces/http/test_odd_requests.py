"""Requests that no honest client sends, and forms larger than most: refused in words, or done; never a fault."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pagework import csrf, log_in
from test_plans_over_http import plan, submitted

from treegate.gate import Gate

Headers = dict[str, str]
TICKS = 5_000


@pytest.mark.parametrize("origin", ["http://[", "http://[evil]", "null", "//"])
def test_an_origin_that_cannot_be_read_is_foreign(service: TestClient, token: Callable[..., str], origin: str):
    """403, like that of another site."""
    answer = service.post("/ui/login", data={"token": token("rita", "reviewer")}, headers={"Origin": origin})
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize("next", ["//[evil", "http://[", "/ui/[", "/ui/\r\nSet-Cookie: x"])
def test_a_login_that_is_to_lead_nowhere_leads_to_the_inbox(
    service: TestClient, token: Callable[..., str], next: str
):
    """From the form, and on the way to it."""
    assert service.get("/ui/login", params={"next": next}).status_code == 200
    form = {"token": token("rita", "reviewer"), "next": next}
    answer = service.post("/ui/login", data=form, follow_redirects=False)
    assert answer.headers["location"] in {"/ui/", next}
    assert "\n" not in answer.headers["location"]


def test_a_method_that_there_is_not_is_told_with_those_that_there_are(service: TestClient, author: Headers):
    """405 carries Allow (RFC 9110, 15.5.6), and is a problem document like all others."""
    answer = service.request("DELETE", "/status", headers=author)
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert "GET" in answer.headers["allow"]


def test_a_request_for_two_hosts_is_refused(service: TestClient, author: Headers):
    """400 (RFC 9112, 3.2): a proxy may have taken the other one."""
    for other in ("evil.example", "127.0.0.1"):
        answer = service.get("/whoami", headers=[*author.items(), ("Host", "127.0.0.1"), ("Host", other)])
        assert (answer.status_code, answer.json()["code"]) == (400, "host-ambiguous")


def test_thousands_of_ticks_are_one_form(service: TestClient, token: Callable[..., str], office: Path):
    """Five thousand effects are ticked, looked at and left out; the form is not too large for that."""
    for number in range(TICKS):
        (office / f"projects/Smith/t{number:04}.txt").touch()
    author = {"Authorization": f"Bearer {token('ann', 'author')}"}
    page = log_in(service, token("rita", "reviewer"))
    moves = plan({"op": "move", "match": "t*.txt", "to": "T/"}, {"op": "move", "match": "*.pdf", "to": "Scans/"})
    made = submitted(service, author, moves)
    effects = []
    for at in range(0, TICKS, 1000):
        asked = {"q": ".txt", "kind": "moved", "limit": 1000, "cursor": at}
        found = page.get(f"/plans/{made['id']}/effects", params=asked, headers=author).json()
        effects += [one["id"] for one in found["effects"]]
    assert len(set(effects)) == TICKS
    text = page.get(f"/ui/plans/{made['id']}").text
    form = {"csrf": csrf(text), "digest": made["digest"], "leave": effects}
    look = page.post(f"/ui/plans/{made['id']}/leave-out", data=form)
    assert look.status_code == 200, look.text
    assert "Leave this out?" in look.text


def test_logging_in_again_ends_the_session_before_as_whoever_had_it(
    service: TestClient, token: Callable[..., str], office: Path, environ: dict[str, str]
):
    """The log names the person, on the pages; nobody else logs out, and the old secret opens nothing."""
    log_in(service, token("rita", "reviewer"))
    old = service.cookies["treegate_session"]
    log_in(service, token("sam", "reviewer"))
    with Gate.open(office, environ) as gate:
        told = [(row.actor, row.channel) for row in gate.log() if row.event == "logged-out"]
        assert (told, gate.logged_in(old)) == ([("rita", "web")], None)


def test_undo_and_history_say_that_the_workspace_is_not_there(
    service: TestClient, author: Headers, reviewer: Headers, office: Path
):
    """Where it is not mounted, nobody is told that a vault was altered."""
    made = submitted(service, author, plan({"op": "delete", "path": "scan0.pdf"}))
    service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    run = service.post(f"/plans/{made['id']}/apply", headers=reviewer).json()["run"]
    assert re.search('"state":"applied"', service.get(f"/runs/{run}/events", headers=author).text)
    aside = office.with_name("aside")
    office.rename(aside)
    (office / "projects").mkdir(parents=True)
    try:
        for answer in (
            service.post(f"/runs/{run}/undo", headers=author),
            service.get("/history", params={"path": "Smith/scan0.pdf"}, headers=author),
        ):
            assert answer.json()["code"] == "marker-missing"
    finally:
        shutil.rmtree(office)
        aside.rename(office)
