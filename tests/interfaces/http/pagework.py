"""Somebody in front of the pages: logged in, filling in the forms that a page has; and names that mean harm."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from test_plans_over_http import plan, submitted

Headers = dict[str, str]

NAMES = [
    b"<script>alert(1)<img src=x onerror=y>.txt",
    "\u202egpj.txt".encode(),
    b"red\x1b[31m.txt",
    b"caf\xe9.txt",
    b"n" * 250,
]


def log_in(service: TestClient, text: str) -> TestClient:
    """The service as somebody sees it in their browser."""
    assert service.post("/ui/login", data={"token": text}).status_code == 200
    return service


def csrf(text: str) -> str:
    return re.findall(r'name="csrf" value="([0-9a-f]{64})"', text)[0]


def send(page: TestClient, where: str, /, **fields: Any) -> Any:
    """What a form of the pages gets for an answer; redirects are not followed."""
    fields["csrf"] = csrf(page.get("/ui/").text)
    return page.post(where, data=fields, follow_redirects=False)


def carried_out(service: TestClient, author: Headers, reviewer: Headers, document: str) -> str:
    """The run of a plan that was submitted and approved, once it has ended."""
    made = submitted(service, author, document)
    answer = service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    assert answer.status_code == 200, answer.text
    run = service.post(f"/plans/{made['id']}/apply", headers=reviewer).json()["run"]
    ended(service, author, run)
    return str(run)


def ended(service: TestClient, author: Headers, run: str) -> None:
    """Waits for the end of a run."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state = service.get(f"/runs/{run}", headers=author).json()["progress"]["state"]
        if state not in {"queued", "applying"}:
            return
    raise AssertionError(f"run {run} did not end: it is {state}")


def hostile_run(service: TestClient, office: Path, author: Headers, reviewer: Headers) -> str:
    """A run on a case full of names that mean harm."""
    for name in NAMES:
        with open(os.path.join(os.fsencode(office / "projects/Smith"), name), "wb") as file:
            file.write(b"x")
    moves = plan({"op": "move", "match": "*.txt", "to": "Odd/"}, {"op": "delete", "path": "n" * 250})
    return carried_out(service, author, reviewer, moves)


def inert(text: str) -> bool:
    """Whether none of the names does anything on a page."""
    return not any(bad in text for bad in ("<script>alert", "<img src=x", "\u202e", "\x1b", "\udce9"))


Token = Callable[..., str]
