"""An office behind a service, and what its people do in Slack."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fakeslack import FakeSlack, signed
from fastapi.testclient import TestClient
from httpx2 import Response

from treegate.gate import Gate
from treegate.interfaces.http.app import create_app
from treegate.model.actors import Actor, Role

ANN = Actor(name="ann", role=Role.AUTHOR, channel="cli", via="token")
SENT = "/slack/events"


class Chambers:
    """Two cases of five scans each; `ann` writes plans, rita and ben decide in Slack."""

    def __init__(self, root: Path, environ: dict[str, str], slack: FakeSlack) -> None:
        self.root, self.environ, self.slack = root, environ, slack
        for case in ("Smith", "Jones"):
            folder = root / "projects" / case
            folder.mkdir(parents=True)
            for number in range(5):
                (folder / f"scan{number}.pdf").write_text(f"{case} {number}")
        Gate.init(root, environ=environ).close()
        self.opened = Gate.open(root, environ)
        self.client: TestClient

    @contextmanager
    def serving(self) -> Iterator[TestClient]:
        """The service, running, its first look at what there is to tell done."""
        with TestClient(create_app(self.root, self.environ), "http://127.0.0.1") as self.client:
            until(lambda: self.told() is not None)
            yield self.client

    def told(self) -> int | None:
        """The audit row up to which Slack was told."""
        from treegate.engine import outbox

        found = outbox.place(self.opened.core.store, "slack")
        return None if found is None else found.seq

    def submit(self, *operations: dict[str, Any], case: str = "Smith", title: str = "Sort the scans") -> str:
        document = {"version": 1, "case": case, "title": title, "operations": list(operations)}
        return self.opened.acting_as(ANN).submit(json.dumps(document)).id

    def moves(self, number: int = 0, case: str = "Smith") -> str:
        """A plan that moves one scan."""
        return self.submit({"op": "move", "from": f"scan{number}.pdf", "to": f"Done/{number}.pdf"}, case=case)

    def state(self, plan: str) -> str:
        return self.opened.plan(plan).state.value

    def card(self, plan: str) -> dict[str, Any]:
        """The message that speaks of a plan, once it is there."""
        until(lambda: self.place(plan))
        return self.slack.messages[self.place(plan)]

    def place(self, plan: str) -> str:
        found = self.opened.post_of("slack", plan)
        return found.place.partition(":")[2] if found is not None else ""

    def send(self, body: bytes, **headers: str) -> Response:
        """Sends what Slack would send, signed as it signs."""
        return self.client.post(SENT, content=body, headers={**signed(body), **headers})

    def command(self, text: str, user: str = "U0RITA", name: str = "/treegate") -> dict[str, Any]:
        """A command, and what its sender alone is answered."""
        before = len(self.slack.answers)
        assert self.send(self.slack.command(text, user, name)).status_code == 200
        until(lambda: len(self.slack.answers) > before)
        return self.slack.answers[-1]

    def quiet(self) -> None:
        """Waits until Slack knows all that there is to tell."""
        from treegate.model.notification import Kind

        until(lambda: self.opened.next_for("slack", tuple(Kind)) is None)


def words(message: Any) -> str:
    """All that a message says, in the order of its blocks."""
    if isinstance(message, dict):
        if message.get("type") in {"button"}:
            return f"[{message['text']['text']}]"
        own = message.get("text") if isinstance(message.get("text"), str) and "blocks" not in message else ""
        inner = [message.get(key) for key in ("text", "blocks", "elements")]
        return "\n".join(part for part in (own, *map(words, inner)) if part)
    return "\n".join(map(words, message)) if isinstance(message, list) else ""


def until(true: Callable[[], object], seconds: float = 30) -> None:
    """Waits for something to be so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)
