"""Idempotency-Key: a request that is sent twice is done once."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from test_plans_over_http import SORT, plan, submitted

from treegate.engine import schema
from treegate.engine.answers import Answer
from treegate.errors import Busy
from treegate.gate import Gate, repeating
from treegate.gate.core import Core
from treegate.interfaces.crew.crew import Crew
from treegate.interfaces.http import repeating as over_http
from treegate.interfaces.http.app import create_app
from treegate.model.actors import Actor, Role

Headers = dict[str, str]
ANN = Actor(name="ann", role=Role.AUTHOR, channel="http", via="token")


def keyed(headers: Headers, key: str = "k-1") -> Headers:
    return {**headers, "Idempotency-Key": key}


def test_a_replayed_request_gives_the_same_plan(service: TestClient, author: Headers):
    """The stored answer, byte for byte, with its status and place, and a header that says so; one plan is there."""
    first = service.post("/plans", content=SORT, headers=keyed(author))
    again = service.post("/plans", content=SORT, headers=keyed(author))
    assert (again.status_code, again.content) == (first.status_code, first.content)
    for name in ("location", "content-type"):
        assert again.headers[name] == first.headers[name]
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert len(service.get("/plans", headers=author).json()["plans"]) == 1


def test_a_key_stands_for_one_request(service: TestClient, author: Headers):
    """The same key with another body, another path or another If-Match is refused, and nothing is done."""
    made = service.post("/plans", content=SORT, headers=keyed(author)).json()
    other = plan({"op": "mkdir", "path": "New"})
    for method, path in (("POST", "/plans"), ("POST", "/plans?draft=1"), ("PUT", f"/plans/{made['id']}")):
        answer = service.request(method, path, content=other, headers=keyed(author))
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")
    assert len(service.get("/plans", headers=author).json()["plans"]) == 1
    assert service.get(f"/plans/{made['id']}", headers=author).json()["revision"] == 1


def test_keys_are_each_askers_own(service: TestClient, author: Headers, token: Callable[..., str]):
    """What somebody else asked under the same key is not answered to me."""
    first = service.post("/plans", content=SORT, headers=keyed(author)).json()
    bob = {"Authorization": f"Bearer {token('bob', 'author')}"}
    second = service.post("/plans", content=SORT, headers=keyed(bob))
    assert second.json()["id"] != first["id"]
    assert "idempotency-replayed" not in second.headers
    assert service.post("/plans", content=SORT, headers={"Idempotency-Key": "k-1"}).status_code == 401


def test_a_refusal_that_holds_is_kept_too(service: TestClient, author: Headers):
    """A malformed plan is told the same way again; mended, it wants a new key."""
    first = service.post("/plans", content="{", headers=keyed(author))
    again = service.post("/plans", content="{", headers=keyed(author))
    assert (first.status_code, again.status_code) == (422, 422)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert service.post("/plans", content=SORT, headers=keyed(author)).json()["code"] == "idempotency-key-reused"


def test_what_passes_by_itself_is_not_kept(
    service: TestClient, office: Path, environ: dict[str, str], author: Headers, reviewer: Headers
):
    """Refused because of a pause; once that is lifted the same request under the same key is done."""
    made = submitted(service, author)
    with Gate.open(office, environ) as gate:
        gate.pause("Smith", "an audit")
        refused = service.post(f"/plans/{made['id']}/apply", headers=keyed(reviewer))
        assert refused.status_code == 409
        service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
        gate.resume("Smith")
    assert service.post(f"/plans/{made['id']}/apply", headers=keyed(reviewer, "k-2")).status_code == 202


def test_what_a_disk_reported_is_not_kept(service: TestClient, author: Headers, monkeypatch: pytest.MonkeyPatch):
    """An error of the database's disk says nothing of what was asked: mended, the same request makes the plan."""

    async def failing(*_: object, **__: object) -> None:
        raise schema._translate(disk_error(), "treegate.db") or AssertionError

    with monkeypatch.context() as patched:
        patched.setattr(Crew, "call", failing)
        refused = service.post("/plans", content=SORT, headers=keyed(author))
        assert (refused.status_code, refused.json()["code"]) == (503, "database-unreadable")
    assert service.post("/plans", content=SORT, headers=keyed(author)).status_code == 201


def disk_error() -> sqlite3.Error:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    return error


def test_many_at_once_make_one_plan(service: TestClient, author: Headers):
    """Twelve requests with one key: each has the one answer, or is told that it is being done."""
    together = threading.Barrier(12)

    def send(_: int) -> tuple[int, str, str]:
        together.wait()
        answer = service.post("/plans", content=SORT, headers=keyed(author))
        told = answer.json()
        return answer.status_code, told.get("id", told.get("code")), answer.headers.get("retry-after", "")

    with ThreadPoolExecutor(12) as pool:
        answers = set(pool.map(send, range(12)))
    (only,) = service.get("/plans", headers=author).json()["plans"]
    assert answers <= {(201, only["id"], ""), (409, "request-under-way", "1")}
    assert (201, only["id"], "") in answers


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "\x7f"])
def test_a_key_that_is_none_is_refused(service: TestClient, author: Headers, key: str):
    """Empty, too long, or of what cannot be seen: 422, and nothing is done."""
    answer = service.post("/plans", content=SORT, headers=keyed(author, key))
    assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid")
    assert service.get("/plans", headers=author).json()["plans"] == []


def test_an_answer_that_is_too_large_to_be_kept_is_told_of(
    service: TestClient, author: Headers, monkeypatch: pytest.MonkeyPatch
):
    """The request is still done once: who asks again is told where to look."""
    monkeypatch.setattr(over_http, "MOST", 10)
    made = service.post("/plans", content=SORT, headers=keyed(author))
    again = service.post("/plans", content=SORT, headers=keyed(author))
    assert (again.status_code, again.json()["code"]) == (409, "answer-not-kept")
    assert made.headers["location"] in again.json()["hint"]
    assert len(service.get("/plans", headers=author).json()["plans"]) == 1


def test_reading_needs_no_key_and_keeps_none(service: TestClient, author: Headers):
    """What stores nothing is done whenever it is asked."""
    for _ in range(2):
        assert "idempotency-replayed" not in service.post("/check", content=SORT, headers=keyed(author)).headers


def test_an_answer_outlives_the_service(office: Path, environ: dict[str, str], author: Headers):
    """Started anew, the service answers what it answered before."""
    with TestClient(create_app(office, environ), "http://127.0.0.1") as before:
        first = before.post("/plans", content=SORT, headers=keyed(author))
    with TestClient(create_app(office, environ), "http://127.0.0.1") as after:
        again = after.post("/plans", content=SORT, headers=keyed(author))
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")


@pytest.fixture
def core(office: Path, environ: dict[str, str]):
    with Gate.open(office, environ) as gate:
        yield gate.acting_as(ANN).core


def test_a_crash_does_not_block_a_key(core: Core):
    """What was under way when the service was killed may be done anew by the next one, not by this one."""
    began = core.clock()
    assert repeating.begin(core, "k", "r", began) is None
    with pytest.raises(Busy) as caught:
        repeating.begin(core, "k", "r", began)
    assert (caught.value.code, caught.value.retry_after) == ("request-under-way", 1)
    assert repeating.begin(core, "k", "r", core.clock() + 1) is None


def test_answers_are_kept_a_day(core: Core, monkeypatch: pytest.MonkeyPatch):
    """Then the key is free again, and what was kept is gone."""
    now = core.clock()
    monkeypatch.setattr(core, "clock", lambda: now)
    repeating.begin(core, "old", "r", now)
    repeating.end(core, "old", repeating.Answer(status=201, headers={}, body=b"x"))
    monkeypatch.setattr(core, "clock", lambda: now + 24 * 3_600_000 - 1)
    assert repeating.begin(core, "old", "r", now) == repeating.Answer(status=201, headers={}, body=b"x")
    monkeypatch.setattr(core, "clock", lambda: now + 24 * 3_600_000)
    assert repeating.begin(core, "new", "r", now) is None
    assert repeating.begin(core, "old", "other", now) is None


def test_what_was_done_is_answered_though_it_cannot_be_noted_at_once(
    service: TestClient, author: Headers, monkeypatch: pytest.MonkeyPatch
):
    """Others write while an answer is to be kept: it is given, kept a little later, and nothing is done twice."""
    end, refused = repeating.end, list[str]()

    def late(core: Core, key: str, answer: Answer) -> None:
        if len(refused) < 3:
            refused.append(key)
            raise Busy("others are writing")
        end(core, key, answer)

    monkeypatch.setattr(repeating, "end", late)
    headers = author | {"Idempotency-Key": "late"}
    first = service.post("/plans", content=SORT, headers=headers)
    assert (first.status_code, len(refused) > 0) == (201, True)
    deadline = time.monotonic() + 30
    while (again := service.post("/plans", content=SORT, headers=headers)).status_code == 409:
        assert time.monotonic() < deadline, again.text
    assert (again.status_code, again.json()["id"], len(refused)) == (201, first.json()["id"], 3)
    assert again.headers["Idempotency-Replayed"] == "true"
