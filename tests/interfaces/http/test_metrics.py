"""The numbers: what they tell, and whom."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from test_plans_over_http import plan, submitted

from treegate.interfaces.http.app import create_app

Headers = dict[str, str]


def test_they_tell_of_previews_runs_and_what_is_kept(service: TestClient, author: Headers, reviewer: Headers):
    """One plan handed in and carried out, which deletes a file; requests by template, never by path."""
    made = submitted(service, author, plan({"op": "delete", "path": "scan0.pdf"}))
    service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    run = service.post(f"/plans/{made['id']}/apply", headers=reviewer).json()["run"]
    service.get(f"/runs/{run}/events", headers=author)  # until it has ended
    service.get("/no/such/path", headers=author)
    deadline, text = time.monotonic() + 30, ""
    while "treegate_run_seconds_count" not in text:  # counted once its worker has answered, after the run has ended
        assert time.monotonic() < deadline
        text = service.get("/metrics").text
    for line in (
        'treegate_plans{state="applied"} 1.0',
        "treegate_preview_seconds_count 1.0",
        'treegate_run_seconds_count{end="applied"} 1.0',
        "treegate_vault_bytes 7.0",  # "Smith 0"
        "treegate_runs_unrecovered 0.0",
        'treegate_jobs{state="queued"} 0.0',
        'treegate_requests_total{method="POST",route="/plans/{id}/approve",status="200"} 1.0',
        'treegate_requests_total{method="GET",route="none",status="404"} 1.0',
        "treegate_rate_limited_total 0.0",
    ):
        assert line in text
    assert made["id"] not in text


@pytest.mark.parametrize(
    ("who", "address", "given", "answers"),
    [
        ("loopback", "127.0.0.1", {}, 200),
        ("loopback", "::ffff:127.0.0.1", {}, 200),
        ("loopback", "192.0.2.1", {}, 401),
        ("loopback", "127.0.0.1", {"X-Forwarded-For": "192.0.2.1"}, 401),
        ("token", "127.0.0.1", {}, 401),
        ("open", "192.0.2.1", {}, 200),
    ],
)
def test_they_are_for_this_machine_and_for_operators(
    office: Path,
    environ: dict[str, str],
    token: Callable[..., str],
    who: str,
    address: str,
    given: Headers,
    answers: int,
):
    """A proxy that nobody named does not make the world this machine; an author's token opens nothing."""
    settings = {**environ, "TREEGATE_SERVICE_METRICS": who}
    with TestClient(create_app(office, settings), "http://127.0.0.1", client=(address, 1)) as client:
        assert client.get("/metrics", headers=given).status_code == answers
        author, operator = (
            {**given, "Authorization": f"Bearer {token(name, name)}"} for name in ("author", "operator")
        )
        assert client.get("/metrics", headers=operator).status_code == 200
        assert client.get("/metrics", headers=author).status_code == (200 if answers == 200 else 403)
