"""Commands over HTTP, for tests: asked for, watched event by event, waited for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any, NamedTuple

import httpx2
import pytest

Headers = dict[str, str]
PATIENCE = 60  # seconds

SMALL = {  # sandboxes that are made quickly
    "TREEGATE_SANDBOX_ENGINE": "bwrap",
    "TREEGATE_SANDBOX_LIMITS_WRITTEN": "32 MiB",
    "TREEGATE_SANDBOX_LIMITS_ENTRIES": "4000",
}
runnable = pytest.mark.skipif(
    shutil.which("bwrap") is None or os.geteuid() != 0, reason="bubblewrap, started by root, is what these run on"
)


class Told(NamedTuple):
    """One event of a stream."""

    id: int
    name: str
    data: dict[str, Any]


def asked(service: Any, author: Headers, *command: str, cases: tuple[str, ...] = ("Smith",), **how: Any) -> Any:
    """A command that was asked for; the service answers 201, or this fails."""
    body = {"cases": list(cases), "command": list(command), **how}
    answer = service.post("/sandboxes", json=body, headers=author)
    assert answer.status_code == 201, answer.text
    return answer.json()


def told(service: Any, who: Headers, id: str, last: str = "") -> list[Told]:
    """All that is told of a command, until its stream ends."""
    headers = who | ({"Last-Event-ID": last} if last else {})
    answer = service.get(f"/sandboxes/{id}/events", headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    return [_event(text) for text in answer.text.split("\n\n") if text.startswith("id: ")]


def _event(text: str) -> Told:
    found = dict(line.split(": ", 1) for line in text.splitlines())
    return Told(int(found["id"]), found["event"], json.loads(found["data"]))


def output(events: list[Told], stream: str = "stdout") -> str:
    """What the command wrote, of one stream."""
    return "".join(one.data["text"] for one in events if one.name == "output" and one.data["stream"] == stream)


def at(address: str) -> httpx2.Client:
    """A client of a real service."""
    return httpx2.Client(base_url=address, timeout=PATIENCE)


def runners_of(state: str) -> list[str]:
    """The lines of runners that work below a state directory."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    pids = [line.split()[0] for line in listed.splitlines() if "treegate.engine.sandbox.runner" in line]
    return [pid for pid in pids if state in _mounts(pid)]


def _mounts(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/mountinfo") as file:
            return file.read()
    except OSError:
        return ""
