"""Streams of events: watched only by whoever may still see them, and by nobody in all places at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import Queue

import httpx2
import pytest
from nearby import Nearby
from test_plans_over_http import SORT

from treegate.gate import Gate
from treegate.interfaces.http.stopping import MOST_OF_ONE

PATIENCE = 30  # seconds
Headers = dict[str, str]


@pytest.fixture
def serving(office: Path, environ: dict[str, str]) -> Iterator[Nearby]:
    """A real service: streams go on while other requests are answered."""
    found = Nearby(office, environ)
    yield found
    found.close()


def events_of(serving: Nearby, author: Headers) -> str:
    """The address of the stream of a plan that waits."""
    made = httpx2.post(f"{serving.address}/plans", content=SORT, headers=author, timeout=PATIENCE).json()
    return f"{serving.address}/plans/{made['id']}/events"


def test_a_revoked_token_sees_no_more_of_a_stream(
    serving: Nearby, office: Path, environ: dict[str, str], author: Headers, reviewer: Headers
):
    """The stream ends by itself; what happens to the plan afterwards is not in it, and coming back is refused."""
    address, lines = events_of(serving, author), Queue[str]()

    def watch() -> None:
        with httpx2.stream("GET", address, headers=reviewer, timeout=PATIENCE) as stream:
            for line in stream.iter_lines():
                lines.put(line)
        lines.put("over")

    threading.Thread(target=watch, daemon=True).start()
    assert lines.get(timeout=PATIENCE).startswith("id: ")
    with Gate.open(office, environ) as gate:
        gate.revoke_token("rita")
        gate.withdraw(address.split("/")[-2])
    told = list(iter(lambda: lines.get(timeout=PATIENCE), "over"))
    assert not any("withdraw" in line for line in told)
    assert httpx2.get(address, headers=reviewer, timeout=PATIENCE).json()["code"] == "token-revoked"


def test_nobody_has_more_than_so_many_streams(serving: Nearby, author: Headers, reviewer: Headers):
    """429 for one more of the same name; others watch; one that ends makes room."""
    address = events_of(serving, author)
    client = httpx2.Client(timeout=PATIENCE, limits=httpx2.Limits(max_connections=100))
    with client, ExitStack() as open:
        first = open.enter_context(ExitStack())
        for number in range(MOST_OF_ONE):
            within = first if number == 0 else open
            answer = within.enter_context(client.stream("GET", address, headers=author))
            assert answer.status_code == 200
        refused = client.get(address, headers=author)
        assert (refused.status_code, refused.json()["code"]) == (429, "too-many-streams")
        assert (refused.headers["retry-after"], refused.headers["connection"]) == ("30", "close")
        assert open.enter_context(client.stream("GET", address, headers=reviewer)).status_code == 200
        first.close()
        assert _there_is_room(client, address, author)


def _there_is_room(client: httpx2.Client, address: str, headers: Headers) -> bool:
    """Whether a stream is let in before long: that another has ended is seen when its client is gone."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with client.stream("GET", address, headers=headers) as answer:
            if answer.status_code == 200:
                return True
    return False
