"""Commands in sandboxes over HTTP: asked for, watched, decided on, ended; each for those who may, and nobody else."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commandwork import PATIENCE, SMALL, Headers, asked, output, runnable, told
from conftest import bearer
from fastapi.testclient import TestClient

pytestmark = runnable


@pytest.fixture(autouse=True)
def small(environ: dict[str, str]) -> None:
    """Sandboxes that are made quickly."""
    environ |= SMALL


@pytest.fixture
def careful(environ: dict[str, str]) -> None:
    """A person has to approve each command."""
    environ["TREEGATE_SANDBOX_APPROVE_COMMAND"] = "true"


def test_what_a_command_writes_is_streamed_and_what_it_did_is_a_plan(
    service: TestClient, office: Path, author: Headers, reviewer: Headers
):
    """201; then its output as it came, how it ended, and the plan; no file of the case was touched."""
    made = asked(service, author, "sh", "-c", "echo out; echo err >&2; mv scan0.pdf first.pdf; exit 3")
    assert (made["state"], made["line"][:5], made["cases"]) == ("approved", "sh -c", ["Smith"])
    events = told(service, reviewer, made["id"])
    assert [one.id for one in events] == list(range(1, len(events) + 1))
    assert (output(events), output(events, "stderr")) == ("out\n", "err\n")
    assert [one.name for one in events if one.name != "output"] == ["started", "exited", "captured", "finished"]
    last = events[-1].data
    assert (last["status"], last["why"], last["plan_state"]) == (3, "itself", "pending")
    plan = service.get(f"/plans/{last['plan']}/shown", headers=reviewer).json()
    assert (plan["preview"]["counts"]["moved"], plan["preview"]["origin"]["sandbox"]) == (1, made["id"])
    assert (office / "projects/Smith/scan0.pdf").exists()
    now = service.get(f"/sandboxes/{made['id']}", headers=author).json()
    assert (now["state"], now["status"], now["plan"]) == ("ended", 3, last["plan"])
    assert service.get(f"/sandboxes/{made['id']}/outcome", headers=author).json()["plan"] == last["plan"]
    assert "out| out\nerr| err\n" in service.get(f"/sandboxes/{made['id']}/log", headers=author).text


def test_a_stream_goes_on_behind_what_was_seen(service: TestClient, author: Headers):
    """Last-Event-ID names an event: those after it are told, and the last one in any case."""
    made = asked(service, author, "sh", "-c", "echo one; sleep 0.1; echo two")
    events = told(service, author, made["id"])
    assert told(service, author, made["id"], str(events[1].id)) == events[2:]
    again = told(service, author, made["id"], str(events[-1].id))
    assert [(one.name, one.data["state"]) for one in again] == [("finished", "ended")]


def test_bytes_that_are_no_text_are_told_as_bytes_too(service: TestClient, author: Headers):
    """Text with U+FFFD, and base64 of what was really written; text that is text has none."""
    made = asked(service, author, "sh", "-c", r"printf 'caf\351\n'; sleep 0.2; printf 'caf\303\251\n'")
    first, second = (one.data for one in told(service, author, made["id"]) if one.name == "output")
    assert (first["text"], base64.b64decode(first["base64"])) == ("caf\ufffd\n", b"caf\xe9\n")
    assert (second["text"], second["base64"]) == ("caf\u00e9\n", None)


def test_a_command_waits_for_somebody_where_policy_says_so(
    careful: None, service: TestClient, author: Headers, reviewer: Headers
):
    """Neither its author nor an approval of another digest begins it; the right one does, and it runs once."""
    made = asked(service, author, "sh", "-c", "echo hi")
    where = f"/sandboxes/{made['id']}"
    assert (made["state"], made["waiting_for"]) == ("waiting", "a reviewer other than ann")
    assert service.post(f"{where}/approve", json={"digest": made["digest"]}, headers=author).status_code == 403
    other = service.post(f"{where}/approve", json={"digest": "0" * 64}, headers=reviewer)
    assert (other.status_code, other.json()["code"]) == (409, "digest-not-current")
    waits = service.post(f"{where}/run", headers=author)
    assert (waits.status_code, waits.json()["code"]) == (408, "command-waits")
    assert service.get(f"{where}/outcome", headers=author).status_code == 408
    assert [one["id"] for one in service.get("/status", headers=reviewer).json()["commands"]] == [made["id"]]
    approved = service.post(f"{where}/approve", json={"digest": made["digest"][:12]}, headers=reviewer)
    assert (approved.json()["state"], approved.json()["decided_by"]) == ("approved", "rita")
    assert output(told(service, author, made["id"])) == "hi\n"


def test_a_command_that_was_turned_down_never_runs(
    careful: None, service: TestClient, author: Headers, reviewer: Headers
):
    """With a reason, which whoever asks for the same again is told; its stream says so, and ends."""
    made = asked(service, author, "sh", "-c", "rm *")
    where = f"/sandboxes/{made['id']}/reject"
    assert service.post(where, json={"digest": made["digest"]}, headers=reviewer).status_code == 422
    body = {"digest": made["digest"], "comment": "Not all of them."}
    assert service.post(where, json=body, headers=reviewer).json()["state"] == "rejected"
    (last,) = told(service, author, made["id"])
    assert (last.name, last.data["state"], last.data["status"]) == ("finished", "rejected", None)
    again = service.post("/sandboxes", json={"cases": ["Smith"], "command": ["sh", "-c", "rm *"]}, headers=author)
    assert (again.status_code, again.json()["code"]) == (409, "already-rejected")
    assert "Not all of them." in again.json()["detail"]


def test_a_command_that_runs_can_be_ended(service: TestClient, author: Headers, reviewer: Headers):
    """By its author, not by others; what it did by then is a plan, which says that it may be half."""
    made = asked(service, author, "sh", "-c", "touch new; echo begun; sleep 600")
    _until(lambda: "out| begun" in service.get(f"/sandboxes/{made['id']}/log", headers=author).text)
    assert service.post(f"/sandboxes/{made['id']}/cancel", headers=reviewer).status_code == 403
    assert service.post(f"/sandboxes/{made['id']}/cancel", headers=author).json()["state"] == "running"
    last = told(service, author, made["id"])[-1].data
    assert (last["state"], last["why"], last["warnings"]) == ("ended", "cancelled", 1)
    assert last["plan_state"] == "pending"


def test_what_one_may_not_see_is_not_there(
    service: TestClient, token: Callable[..., str], author: Headers, reviewer: Headers
):
    """404 wherever a command is named that sees another case, and it is in no list; asking for it is refused."""
    made = asked(service, author, "sh", "-c", "echo secret", cases=("Jones", "Smith"))
    own = asked(service, author, "sh", "-c", "echo open")
    told(service, author, made["id"])
    for role in ("author", "operator"):
        narrow = bearer(token(f"narrow-{role}", role, ["Smith"]))
        for path in ("", "/events", "/log", "/outcome"):
            assert service.get(f"/sandboxes/{made['id']}{path}", headers=narrow).status_code == 404, path
        for verb in ("approve", "reject", "cancel", "run"):
            body = {"digest": made["digest"], "comment": "x"} if verb in {"approve", "reject"} else {}
            assert service.post(f"/sandboxes/{made['id']}/{verb}", json=body, headers=narrow).status_code == 404, verb
        listed = service.get("/sandboxes", headers=narrow).json()["sandboxes"]
        assert [one["id"] for one in listed] == [own["id"]]
        body = {"cases": ["Jones"], "command": ["sh"]}
        assert service.post("/sandboxes", json=body, headers=narrow).status_code in {403, 404}
    assert service.get("/sandboxes").status_code == 401


def test_what_cannot_run_is_refused_before_it_is_stored(service: TestClient, author: Headers, reviewer: Headers):
    """By policy, for a case that there is not, for what is no command: a code, a hint, and nothing stored."""
    for body, status, code in (
        ({"cases": ["Smith"], "command": ["cat", "/etc/passwd"]}, 403, "interpreter-not-allowed"),
        ({"cases": ["Smit"], "command": ["sh"]}, 404, "case-not-found"),
        ({"cases": ["Smith"], "command": []}, 422, "request-invalid"),
        ({"cases": ["Smith"], "command": ["sh"], "timeout": -1}, 422, "request-invalid"),
        ({"cases": ["Smith"], "command": ["sh"], "engine": "chroot"}, 422, "request-invalid"),
        ({"cases": ["Smith"], "command": ["sh", "a\0b"]}, 400, "command-invalid"),
        ({"cases": ["Smith"], "command": ["sh"], "tools": ["gone.py"]}, 404, "no-such-tool"),
        ({"cases": ["Smith"], "command": ["sh"], "direct": True}, 403, "direct-not-allowed"),
        ({"cases": ["Smith"], "command": ["sh"], "shell": True}, 422, "request-invalid"),
    ):
        answer = service.post("/sandboxes", json=body, headers=author)
        assert (answer.status_code, answer.json()["code"]) == (status, code), body
        assert answer.headers["content-type"] == "application/problem+json"
    assert service.get("/sandboxes", headers=reviewer).json() == {"sandboxes": [], "next": None}


def test_a_request_that_is_sent_twice_runs_once(service: TestClient, author: Headers):
    """The same Idempotency-Key gives the same command."""
    headers = author | {"Idempotency-Key": "one-and-the-same"}
    first, second = (asked(service, headers, "sh", "-c", "echo once") for _ in range(2))
    assert first["id"] == second["id"]
    told(service, author, first["id"])
    assert len(service.get("/sandboxes", headers=author).json()["sandboxes"]) == 1


def test_commands_are_listed_page_by_page(service: TestClient, author: Headers):
    """Newest first, by state and by case; `next` leads on."""
    made = [asked(service, author, "sh", "-c", f"echo {n}")["id"] for n in range(3)]
    for id in made:
        told(service, author, id)
    first = service.get("/sandboxes?limit=2&state=ended", headers=author).json()
    rest = service.get(f"/sandboxes?limit=2&cursor={first['next']}", headers=author).json()
    assert [one["id"] for one in (*first["sandboxes"], *rest["sandboxes"])] == made[::-1]
    assert rest["next"] is None
    assert service.get("/sandboxes?case=Jones", headers=author).json()["sandboxes"] == []
    assert service.get("/sandboxes?state=asleep", headers=author).status_code == 422


def test_others_are_not_kept_waiting_by_commands(
    environ: dict[str, str], request: pytest.FixtureRequest, author: Headers
):
    """While every place is taken, and one waits for its turn, plans are previewed; then the one that waits runs."""
    environ["TREEGATE_SANDBOX_AT_ONCE"] = "1"
    service = request.getfixturevalue("service")
    long = asked(service, author, "sh", "-c", "sleep 600")
    short = asked(service, author, "sh", "-c", "echo hi")
    _until(lambda: service.get(f"/sandboxes/{long['id']}", headers=author).json()["state"] == "running")
    document = {"version": 1, "case": "Smith", "operations": [{"op": "delete", "path": "scan0.pdf"}]}
    assert service.post("/check", json=document, headers=author).status_code == 200
    assert service.get(f"/sandboxes/{short['id']}", headers=author).json()["state"] == "approved"
    service.post(f"/sandboxes/{long['id']}/cancel", headers=author)
    assert output(told(service, author, short["id"])) == "hi\n"


def _until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)
