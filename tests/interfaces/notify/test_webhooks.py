"""Webhooks: signed by the Standard Webhooks specification, in order, sent until they are taken."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("fastapi", reason="the extra `service` is not installed")

from fastapi.testclient import TestClient

from treegate.engine import outbox
from treegate.engine.config import Config
from treegate.errors import UsageError
from treegate.gate import Gate
from treegate.interfaces.http.app import create_app
from treegate.interfaces.notify import doors, webhook
from treegate.interfaces.notify.webhook import key_of
from treegate.model.notification import Kind

SECRET = "whsec_" + base64.b64encode(b"a key of enough bytes").decode()


class Sent(NamedTuple):
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Receiver:
    """Whoever is told; `answers` are the statuses that it gives, one after the other, then 204."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = receiver.answers.pop(0) if receiver.answers else 204
                if status < 300:
                    receiver.sent.append(Sent({k.lower(): v for k, v in self.headers.items()}, body))
                if status == 100:
                    self._without_end()
                    return
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "1")
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _without_end(self) -> None:
                """A byte now and then, and never all of an answer."""
                self.wfile.write(b"HTTP/1.1 1")
                with contextlib.suppress(OSError):
                    for _ in range(100):
                        self.wfile.write(b"9")
                        time.sleep(0.1)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()


class Firm:
    """A workspace that tells the receiver what happens."""

    def __init__(self, root: Path, environ: dict[str, str]) -> None:
        self.root, self.environ = root, environ
        (root / "projects" / "Smith").mkdir(parents=True)
        Gate.init(root, solo=True, environ=environ).close()
        self.gate = Gate.open(root, environ)

    def submit(self, number: int = 0) -> str:
        operation = {"op": "mkdir", "path": f"New {number}"}
        return self.gate.submit(json.dumps({"version": 1, "case": "Smith", "operations": [operation]})).id

    def knows_all(self) -> bool:
        return self.gate.next_for("office", tuple(Kind)) is None

    def failing(self) -> str:
        found = outbox.place(self.gate.core.store, "office")
        return found.error if found is not None else ""


@pytest.fixture
def firm(tmp_path: Path, receiver: Receiver) -> Firm:
    hook = f'[{{ name = "office", url = "{receiver.address}" }}]'
    environ = {
        "TREEGATE_STATE": str(tmp_path / "state"),
        "TREEGATE_WEBHOOKS": hook,
        "TREEGATE_WEBHOOKS_SECRET": SECRET,
        "PATH": "/usr/bin:/bin",
    }
    return Firm(tmp_path / "office", environ)


@pytest.fixture
def serving(firm: Firm, hurried: None) -> Iterator[TestClient]:
    with TestClient(create_app(firm.root, firm.environ), "http://127.0.0.1") as client:
        until(lambda: outbox.place(firm.gate.core.store, "office"))
        yield client


def test_what_happens_is_told_in_order_and_signed(firm: Firm, serving: TestClient, receiver: Receiver) -> None:
    plan = firm.submit()
    firm.gate.approve(plan, firm.gate.plan(plan).digest or "", "good")
    run = firm.gate.apply(plan).run
    firm.gate.pause("Smith", "lunch")
    until(firm.knows_all)
    told = [one.told for one in receiver.sent]
    assert [one["type"] for one in told] == ["plan.waiting", "plan.decided", "run.ended", "gate.paused"]
    assert told[0]["data"]["plan"]["id"] == plan
    assert told[2]["data"]["run"] == run
    assert told[2]["data"]["link"] == f"/ui/runs/{run}"
    assert told[1]["data"]["data"]["comment"] == "good"
    assert len({one.headers["webhook-id"] for one in receiver.sent}) == 4
    for one in receiver.sent:  # as the specification says to verify, by hand
        signed = f"{one.headers['webhook-id']}.{one.headers['webhook-timestamp']}.".encode() + one.body
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        made = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert one.headers["webhook-signature"] == f"v1,{made}"
        assert abs(int(one.headers["webhook-timestamp"]) - time.time()) < 60


def test_a_command_that_waits_for_somebody_is_told_and_one_that_does_not_is_not(
    tmp_path: Path, receiver: Receiver
) -> None:
    hook = f'[{{ name = "office", url = "{receiver.address}" }}]'
    environ = {"TREEGATE_STATE": str(tmp_path / "state"), "TREEGATE_WEBHOOKS": hook, "PATH": "/usr/bin:/bin"}
    environ |= {"TREEGATE_WEBHOOKS_SECRET": SECRET, "TREEGATE_SANDBOX_ENGINE": "bwrap"}
    firm = Firm(tmp_path / "office", environ)
    with TestClient(create_app(firm.root, firm.environ), "http://127.0.0.1"):
        until(lambda: outbox.place(firm.gate.core.store, "office"))
        firm.gate.cancel_sandbox(firm.gate.ask_sandbox("Smith", ["sh", "-c", "echo free"]).id)
        with Gate.open(firm.root, {**environ, "TREEGATE_SANDBOX_APPROVE_COMMAND": "true"}) as strict:
            asked = strict.ask_sandbox("Smith", ["sh", "-c", "echo \x1b[2J"])
        until(lambda: receiver.sent)
        until(firm.knows_all)
    (told,) = [one.told for one in receiver.sent]
    assert (told["type"], told["data"]["link"]) == ("command.waiting", f"/ui/commands/{asked.id}")
    assert asked.id in told["data"]["text"]
    assert "\\x1b[2J" in told["data"]["text"]


@pytest.mark.parametrize("status", [500, 503, 404, 401, 302, 429])
def test_what_is_not_taken_is_sent_again_and_the_rest_waits(
    firm: Firm, serving: TestClient, receiver: Receiver, status: int
) -> None:
    receiver.answers = [status]
    plans = [firm.submit(0), firm.submit(1)]
    until(firm.knows_all)
    assert [one.told["data"]["plan"]["id"] for one in receiver.sent] == plans


def test_an_answer_without_end_is_no_answer(
    firm: Firm, serving: TestClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "PATIENCE", 0.5)
    receiver.answers = [100]
    plan = firm.submit()
    until(lambda: "TimeoutError" in firm.failing(), 8)
    until(firm.knows_all)
    assert [one.told["data"]["plan"]["id"] for one in receiver.sent] == [plan] * 2
    assert len({one.headers["webhook-id"] for one in receiver.sent}) == 1


def test_what_is_refused_for_good_is_passed_over(firm: Firm, serving: TestClient, receiver: Receiver) -> None:
    receiver.answers = [422] * 5
    firm.submit(0)
    until(lambda: not receiver.answers)
    second = firm.submit(1)
    until(firm.knows_all)
    assert [one.told["data"]["plan"]["id"] for one in receiver.sent] == [second]


def test_nobody_there(firm: Firm, serving: TestClient, receiver: Receiver) -> None:
    port = receiver.server.server_port
    receiver.server.shutdown()
    receiver.server.server_close()
    plan = firm.submit()
    until(lambda: "ConnectError" in firm.failing())
    assert serving.get("/healthz").status_code == 200
    again = ThreadingHTTPServer(("127.0.0.1", port), receiver.server.RequestHandlerClass)
    threading.Thread(target=again.serve_forever, daemon=True).start()
    until(firm.knows_all)
    again.shutdown()
    assert [one.told["data"]["plan"]["id"] for one in receiver.sent] == [plan]
    assert firm.failing() == ""


def test_only_what_is_wanted(tmp_path: Path, receiver: Receiver) -> None:
    hook = f'[{{ name = "office", url = "{receiver.address}", kinds = ["gate.paused"] }}]'
    environ = {
        "TREEGATE_STATE": str(tmp_path / "state"),
        "TREEGATE_WEBHOOKS": hook,
        "TREEGATE_WEBHOOKS_SECRET": "sixteen bytes or more",
        "PATH": "/usr/bin:/bin",
    }
    firm = Firm(tmp_path / "office", environ)
    with TestClient(create_app(firm.root, firm.environ), "http://127.0.0.1"):
        until(lambda: outbox.place(firm.gate.core.store, "office"))
        firm.submit()
        firm.gate.pause()
        until(lambda: receiver.sent)
    assert [one.told["type"] for one in receiver.sent] == ["gate.paused"]


def test_what_a_new_one_is_told_begins_now(firm: Firm, receiver: Receiver) -> None:
    firm.submit(0)
    with TestClient(create_app(firm.root, firm.environ), "http://127.0.0.1"):
        until(lambda: outbox.place(firm.gate.core.store, "office"))
        second = firm.submit(1)
        until(firm.knows_all)
    assert [one.told["data"]["plan"]["id"] for one in receiver.sent] == [second]


def test_a_secret_that_is_missing_is_said_at_the_start() -> None:
    from treegate.engine.telling import Webhook

    config = Config(webhooks=(Webhook(name="office", url="https://hook.test"),))
    for environ in ({}, {"TREEGATE_WEBHOOKS_SECRET": "short"}, {"TREEGATE_WEBHOOKS_SECRET": "whsec_%%%"}):
        with pytest.raises(UsageError) as caught:
            doors.check(config, environ)
        assert caught.value.code == "webhook-unusable"
    doors.check(config, {"TREEGATE_WEBHOOKS_SECRET": SECRET})
    assert key_of(SECRET) == b"a key of enough bytes"


def until(true: Any, seconds: float = 60) -> None:
    """Waits for something to be so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)
