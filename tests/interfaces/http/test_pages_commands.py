"""The pages of commands: read before they run, let run or turned down, watched, found again from their plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browsing import SIZES, in_browser, serious
from browsing import log_in as in_a_browser
from commandwork import SMALL, Headers, asked, at, runnable, told
from fastapi.testclient import TestClient
from pagework import Token, log_in, send

from treegate.gate import Gate

pytestmark = runnable
SAYS = r"echo '<script>alert(1)</script>'; printf 'a\033[31mred\007\n'; echo '<b>no</b>' >&2"
HARM = f"{SAYS}; mv scan0.pdf a.pdf; exit 3"


@pytest.fixture(autouse=True)
def careful(environ: dict[str, str]) -> None:
    """Sandboxes that are made quickly; a person has to approve each command."""
    environ |= SMALL
    environ["TREEGATE_SANDBOX_APPROVE_COMMAND"] = "true"


def page(service: TestClient, token: Token, name: str = "rita", role: str = "reviewer") -> TestClient:
    return log_in(service, token(name, role))


def test_a_command_is_read_and_let_run_on_its_page(service: TestClient, token: Token, author: Headers):
    """In the inbox and in the list; its words, limits and digest; approved there, it runs and becomes a plan."""
    made, rita = asked(service, author, "sh", "-c", HARM), page(service, token)
    where = f"/ui/commands/{made['id']}"
    assert "(1) Inbox" in rita.get("/ui/").text
    assert all(where in rita.get(place).text for place in ("/ui/", "/ui/commands", "/ui/commands?state=waiting"))
    assert where not in rita.get("/ui/commands?state=ended").text
    text = rita.get(where).text
    assert all(one in text for one in (made["digest"], "a reviewer other than ann", "10 minutes", "Let it run, once"))
    answer = send(rita, f"{where}/approve", digest=made["digest"], comment="Fine.")
    assert (answer.status_code, answer.headers["location"]) == (303, where)
    done = told(service, author, made["id"])[-1].data
    text = rita.get(where).text
    assert f"/ui/plans/{done['plan']}" in text
    assert "exit status 3" in text
    assert "Let it run" not in text
    text = rita.get(f"/ui/plans/{done['plan']}").text
    assert where in text
    assert text.count("read its output first") == 1  # what to do about a warning of its plan
    assert f'<a href="{where}">{made["id"]}</a>' in rita.get("/ui/audit").text


def test_what_was_asked_for_at_a_shell_is_begun_there(
    service: TestClient, token: Token, author: Headers, office: Path, environ: dict[str, str]
):
    """Approving it on its page lets it run, and says by what; the service does not begin it."""
    with Gate.open(office, environ) as gate:
        waits = gate.ask_sandbox("Smith", ["sh", "-c", "touch x"])
        rita, where = page(service, token), f"/ui/commands/{waits.id}"
        send(rita, f"{where}/approve", digest=waits.digest)
        later = asked(service, author, "sh", "-c", "true")
        send(rita, f"/ui/commands/{later['id']}/approve", digest=later["digest"])
        told(service, author, later["id"])  # until its end: one that was approved before it would have begun
        assert gate.sandbox(waits.id).state == "approved"
        assert f"treegate run {waits.id}" in rita.get(where).text


def test_a_command_that_failed_shows_in_the_inbox_and_its_page_tells_its_plan_as_it_is_now(
    service: TestClient, token: Token, author: Headers
):
    made, rita = asked(service, author, "sh", "-c", "touch x; exit 3"), page(service, token)
    where = f"/ui/commands/{made['id']}"
    send(rita, f"{where}/approve", digest=made["digest"])
    plan = told(service, author, made["id"])[-1].data["plan"]
    inbox = rita.get("/ui/").text
    assert "1 oddity" in inbox
    assert "nothing odd" not in inbox
    assert "It waits for" in rita.get(where).text
    assert service.post(f"/plans/{plan}/withdraw", headers=author).status_code == 200
    text = rita.get(where).text
    assert "withdrawn" in text
    assert "It waits for" not in text


def test_what_a_command_writes_is_only_shown(service: TestClient, token: Token, author: Headers):
    """Its output does nothing in a page, nor do its words: tags are text, and what moves a terminal is spelt out."""
    made, rita = asked(service, author, "sh", "-c", HARM), page(service, token)
    send(rita, f"/ui/commands/{made['id']}/approve", digest=made["digest"])
    told(service, author, made["id"])
    text = rita.get(f"/ui/commands/{made['id']}").text
    assert "<script>alert" not in text
    assert "<b>no" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\n" in text
    assert '<span class="stderr" title="stderr">&lt;b&gt;no&lt;/b&gt;</span>' in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_a_decision_is_on_what_the_page_showed(service: TestClient, token: Token, author: Headers):
    """Another digest, or a form that was not made for the session, decides nothing; a reason turns it down."""
    made, rita = asked(service, author, "sh", "-c", "echo hi"), page(service, token)
    where = f"/ui/commands/{made['id']}"
    assert send(rita, f"{where}/approve", digest="0" * 64).status_code == 409
    assert rita.post(f"{where}/approve", data={"digest": made["digest"]}).status_code == 403
    assert send(rita, f"{where}/reject", digest=made["digest"]).status_code == 422
    assert service.get(f"/sandboxes/{made['id']}", headers=author).json()["state"] == "waiting"
    assert send(rita, f"{where}/reject", digest=made["digest"], comment="Not <i>today</i>.").status_code == 303
    assert "Not &lt;i&gt;today&lt;/i&gt;." in rita.get(where).text


def test_whose_a_command_is_sees_it_and_takes_it_back(service: TestClient, token: Token, author: Headers):
    """Its author takes it back before it runs; whoever may not see its case finds no such page."""
    made = asked(service, author, "sh", "-c", "echo hi")
    where = f"/ui/commands/{made['id']}"
    narrow = log_in(service, token("jo", "reviewer", ["Jones"]))
    assert narrow.get(where).status_code == 404
    assert made["id"] not in narrow.get("/ui/commands").text
    ann = log_in(service, token("ann2", "author"))
    assert "Take it back" not in ann.get(where).text
    olga = log_in(service, token("olga", "operator"))
    assert "Take it back" in olga.get(where).text
    assert send(olga, f"{where}/cancel").status_code == 303
    assert service.get(f"/sandboxes/{made['id']}", headers=author).json()["state"] == "withdrawn"


@in_browser
def test_the_pages_of_commands_are_for_everybody(browser: Any, token: Token, author: Headers, address: str):
    """Let run in a browser, its output comes by itself; axe finds nothing serious, and nothing scrolls sideways."""
    with at(address) as service:
        made = asked(
            service, author, "sh", "-c", "echo begun; sleep 2; echo " + "long " * 100 + "; mv scan0.pdf a.pdf"
        )
        waits = asked(service, author, "sh", "-c", "echo " + "x" * 300)
    rita = browser.new_page()
    in_a_browser(rita, address, token("rita", "reviewer"))
    said: list[str] = []
    rita.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    rita.goto(f"{address}/ui/commands/{made['id']}")
    rita.get_by_role("button", name="Let it run, once").click()
    rita.get_by_role("region", name="Output").get_by_text("begun").wait_for(timeout=60_000)
    rita.get_by_role("heading", name="What it did").wait_for(timeout=60_000)
    for place in ("", "commands", f"commands/{made['id']}", f"commands/{waits['id']}"):
        for scheme in ("light", "dark"):
            for width, height in SIZES.values():
                rita.emulate_media(color_scheme=scheme)
                rita.set_viewport_size({"width": width, "height": height})
                rita.goto(f"{address}/ui/{place}")
                assert (place, serious(rita)) == (place, [])
    assert said == []
