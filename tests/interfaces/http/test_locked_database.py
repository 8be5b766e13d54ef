"""The database held by another writer: who reads goes on, who writes is asked to come again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from test_plans_over_http import submitted

from treegate.gate import Gate

Headers = dict[str, str]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests wait for a quarter of a second, for the tests' sake."""
    monkeypatch.setattr("treegate.interfaces.http.service.PATIENCE", 0.25)


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """An approval alone begins no run."""
    return environ | {"TREEGATE_POLICY_APPLY_ON_APPROVAL": "false"}


@pytest.fixture
def held(environ: dict[str, str], service: TestClient) -> Iterator[Callable[[], sqlite3.Connection]]:
    """Takes the write lock of the database, as another process would."""
    with closing(sqlite3.connect(Path(environ["TREEGATE_STATE"]) / "treegate.db", isolation_level=None)) as other:

        def hold() -> sqlite3.Connection:
            other.execute("BEGIN IMMEDIATE")
            return other

        yield hold


def writes(id: str, digest: str) -> list[tuple[str, str, Any]]:
    """Each request that writes: method, path, body."""
    decision = {"digest": digest, "comment": "x"}
    return [
        *(("POST", f"/plans/{id}/{verb}", decision) for verb in ("approve", "reject", "request-changes", "revoke")),
        ("POST", f"/plans/{id}/apply", None),
        ("POST", f"/plans/{id}/withdraw", {}),
        ("POST", "/plans", {"version": 1, "case": "Smith", "operations": [{"op": "mkdir", "path": "New"}]}),
        ("PUT", f"/plans/{id}", {"version": 1, "case": "Smith", "operations": [{"op": "mkdir", "path": "New"}]}),
        ("POST", "/pause", {"case": "Smith"}),
        ("POST", "/resume", {"case": "Smith"}),
    ]


def test_who_reads_goes_on_and_who_writes_is_asked_to_come_again(
    service: TestClient, author: Headers, token: Callable[..., str], held: Callable[[], sqlite3.Connection]
):
    """503 with Retry-After and a code, and nothing done; the same requests go through once the lock is let go."""
    made = submitted(service, author)
    admin = {"Authorization": f"Bearer {token('ada', 'admin')}"}
    other = held()
    for method, path, body in writes(made["id"], made["digest"]):
        answer = service.request(method, path, json=body, headers=admin)
        if answer.status_code != 503:  # refused for another reason, before anything is written
            assert (path.rpartition("/")[2], answer.status_code) in {("revoke", 403), ("apply", 403)}, answer.text
            continue
        assert (answer.json()["code"], answer.headers["retry-after"]) == ("database-locked", "2")
        assert answer.headers["content-type"] == "application/problem+json"
    for path in ("", "/preview", "/effects", "/revisions"):
        assert service.get(f"/plans/{made['id']}{path}", headers=author).status_code == 200
    assert service.get("/healthz").status_code == 200
    assert service.get("/status", headers=author).json()["waiting"][0]["plan"]["state"] == "pending"
    other.execute("ROLLBACK")
    answer = service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=admin)
    assert (answer.status_code, answer.json()["state"]) == (200, "approved")


def test_many_who_wait_to_write_keep_nobody_from_reading(
    service: TestClient,
    author: Headers,
    reviewer: Headers,
    held: Callable[[], sqlite3.Connection],
):
    """Twenty decisions wait for the lock: a read in between is answered before the last of them."""
    made = submitted(service, author)
    other = held()
    with ThreadPoolExecutor(20) as readers:
        asked = [
            readers.submit(
                service.post, f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer
            )
            for _ in range(20)
        ]
        assert service.get(f"/plans/{made['id']}", headers=author).status_code == 200
        assert not all(one.done() for one in asked)
        told = [one.result() for one in asked]
    assert {one.status_code for one in told} <= {409, 503}
    assert {one.json()["code"] for one in told} <= {"database-locked", "too-busy"}
    assert all(one.headers["retry-after"] for one in told)
    other.execute("ROLLBACK")
    assert service.get(f"/plans/{made['id']}", headers=author).json()["state"] == "pending"


def test_many_who_wait_with_a_key_keep_nobody_from_reading_files(
    service: TestClient, author: Headers, held: Callable[[], sqlite3.Connection]
):
    """Forty requests wait to note their Idempotency-Key: a file is read before half of them are answered."""
    document = {"version": 1, "case": "Smith", "operations": [{"op": "mkdir", "path": "New"}]}
    other = held()
    with ThreadPoolExecutor(40) as askers:
        asked = [
            askers.submit(service.post, "/plans", json=document, headers={**author, "Idempotency-Key": f"k{number}"})
            for number in range(40)
        ]
        wait(asked, return_when=FIRST_COMPLETED)
        found = service.get("/cases/Smith/content", params={"path": "scan0.pdf"}, headers=author)
        assert (found.status_code, found.text) == (200, "Smith 0")
        assert sum(one.done() for one in asked) < 20
        assert {one.result().json()["code"] for one in asked} <= {"database-locked", "too-busy"}
    other.execute("ROLLBACK")


def test_an_approval_that_ran_out_is_told_as_expired_though_it_cannot_be_noted(
    service: TestClient,
    author: Headers,
    reviewer: Headers,
    office: Path,
    environ: dict[str, str],
    held: Callable[[], sqlite3.Connection],
):
    """Item 42: `expired`, never `denied`; a reader does not wait to have it noted, and it is noted afterwards."""
    made = submitted(service, author)
    service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    core = service.app.state.service.gate.core  # type: ignore[attr-defined]
    now = core.clock()
    core.clock = lambda: now + 80 * 3_600_000
    other = held()
    assert service.get(f"/plans/{made['id']}", headers=author).json()["state"] == "expired"
    gate = service.app.state.service.gate  # type: ignore[attr-defined]  # workers have a clock of their own
    assert gate.status().waiting[0].plan.state == "expired"
    other.execute("ROLLBACK")
    answer = service.post(f"/plans/{made['id']}/apply", headers=reviewer)
    assert (answer.status_code, answer.json()["code"]) == (409, "approval-expired")
    with Gate.open(office, environ) as gate:
        assert gate.core.store.plan(made["id"]).state == "expired"
