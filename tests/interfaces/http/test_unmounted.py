"""The workspace unmounted while it is served: an empty folder stands in its place, and stays empty, whoever asks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from test_plans_over_http import events, plan, submitted

Headers = dict[str, str]
NEW = {"version": 1, "case": "Smith", "operations": [{"op": "mkdir", "path": "New"}]}

AWAY = {(503, code) for code in ("projects-missing", "marker-missing")}


@pytest.fixture
def unmounted(office: Path, service: TestClient) -> Iterator[Callable[[], Path]]:
    """Takes the workspace away, as an unmounted bucket is; puts it back at the end, or when it is called again."""
    aside = office.with_name("aside")

    def turn() -> Path:
        if aside.exists():
            office.rmdir()
            aside.rename(office)
        else:
            office.rename(aside)
            office.mkdir()
        return office

    yield turn
    if aside.exists():
        turn()


def test_nothing_is_written_into_the_empty_folder_by_any_request(
    service: TestClient, author: Headers, reviewer: Headers, token: Callable[..., str], unmounted: Callable[[], Path]
):
    """Every request that writes, by somebody who may do all of it; problem documents, and no 500."""
    done = submitted(service, author)
    service.post(f"/plans/{done['id']}/approve", json={"digest": done["digest"]}, headers=reviewer)
    run = service.post(f"/plans/{done['id']}/apply", headers=reviewer).json()["run"]
    assert events(service.get(f"/runs/{run}/events", headers=author).text)[-1][2]["state"] == "applied"
    made = [submitted(service, author, plan({"op": "mkdir", "path": f"New {n}"})) for n in range(4)]
    admin = {"Authorization": f"Bearer {token('ada', 'admin')}"}
    office = unmounted()
    assert service.get("/readyz").status_code == 503
    first, second, third, fourth = made
    asked: list[tuple[str, str, Any]] = [
        ("POST", "/check", NEW),
        ("POST", "/plans", NEW),
        ("POST", "/plans?draft=1", NEW),
        ("PUT", f"/plans/{first['id']}", NEW),
        ("POST", f"/plans/{first['id']}/validate", None),
        ("POST", f"/plans/{first['id']}/refresh", None),
        ("POST", f"/plans/{first['id']}/reduce", {"leave_out": ["e1"]}),
        ("POST", f"/plans/{first['id']}/approve", {"digest": first["digest"]}),
        ("POST", f"/plans/{first['id']}/apply", None),
        ("POST", f"/plans/{second['id']}/reject", {"digest": second["digest"], "comment": "no"}),
        ("POST", f"/plans/{third['id']}/request-changes", {"digest": third["digest"], "comment": "no"}),
        ("POST", f"/plans/{fourth['id']}/withdraw", {}),
        ("POST", f"/runs/{run}/undo", {}),
        ("POST", f"/runs/{run}/recover", {}),
        ("POST", "/pause", {"case": "Smith"}),
        ("POST", "/pause", {}),
        ("POST", "/resume", {}),
    ]
    for method, path, body in asked:
        answer = service.request(method, path, json=body, headers=admin)
        assert answer.status_code < 500 or (answer.status_code, answer.json()["code"]) in AWAY, (path, answer.text)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
        assert os.listdir(office) == [], path
    for path in (
        "/plans",
        f"/plans/{first['id']}",
        f"/runs/{run}",
        "/status",
        "/vault",
        "/audit",
        "/metrics",
        "/healthz",
    ):
        assert service.get(path, headers=admin).status_code == 200, path
    assert os.listdir(office) == []


def test_what_could_not_be_looked_at_is_asked_again_under_the_same_key(
    service: TestClient, author: Headers, unmounted: Callable[[], Path]
):
    """503, to be tried again, and not kept: once the workspace is back the same request is done."""
    headers = {**author, "Idempotency-Key": "away"}
    assert service.post("/check", json=NEW, headers=author).status_code == 200  # the workers have opened it by then
    unmounted()
    for path in ("/cases", "/cases/Smith/files"):
        assert service.get(path, headers=author).status_code == 503
    away = service.post("/plans", json=NEW, headers=headers)
    assert (away.status_code, away.json()["code"], "retry-after" in away.headers) == (503, "projects-missing", True)
    unmounted()
    assert service.post("/plans", json=NEW, headers=headers).status_code == 201


def test_a_run_that_is_due_touches_nothing_until_the_workspace_is_there_again(
    service: TestClient, author: Headers, reviewer: Headers, unmounted: Callable[[], Path]
):
    """Approved while it is away: the run waits, without failing, and is carried out once the workspace is back."""
    made = submitted(service, author)
    office = unmounted()
    answer = service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    assert (answer.status_code, answer.json()["state"]) == (200, "approved")
    run = service.post(f"/plans/{made['id']}/apply", headers=reviewer).json()["run"]
    until = time.monotonic() + 1
    while time.monotonic() < until:  # several looks of whoever runs the jobs
        assert service.get(f"/runs/{run}", headers=author).json()["progress"]["state"] == "queued"
    assert os.listdir(office) == []
    unmounted()
    assert events(service.get(f"/runs/{run}/events", headers=author).text)[-1][2]["state"] == "applied"
    assert (office / "projects/Smith/Scans/scan0.pdf").read_text() == "Smith 0"
