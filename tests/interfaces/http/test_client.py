"""The client and what may be between it and the service: nobody there, somebody else, a restart, a lost answer."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from nearby import Nearby
from test_plans_over_http import plan
from test_service_killed import Serving

import treegate
from treegate.client import wire
from treegate.model.lifecycle import State

TOKEN = "tg_" + "x" * 40


class Heard(list[Any]):
    """The requests that a server of ours was sent: method, path, headers."""


@contextmanager
def server(answer: Callable[[BaseHTTPRequestHandler, Heard], None]) -> Iterator[tuple[str, Heard]]:
    """A server that answers as it is told, and keeps what it was asked."""
    heard = Heard()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            heard.append((self.command, self.path, dict(self.headers)))
            answer(self, heard)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{found.server_port}", heard
    finally:
        found.shutdown()
        thread.join()
        found.server_close()


def say(handler: BaseHTTPRequestHandler, status: int, body: bytes, media: str, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"content-type": media, "content-length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


SUBMITTED = json.dumps(
    {"id": "pl_1", "revision": 1, "state": "pending", "digest": "d", "problems": [], "waiting_for": "", "summary": ""}
).encode()


def test_nobody_is_there():
    """Unreachable, with the address and what to do; exit status 14."""
    with server(lambda handler, heard: None) as (address, _):
        pass
    with pytest.raises(treegate.Unreachable) as gone:
        treegate.connect(address, TOKEN).plan("pl_1")
    assert (gone.value.code, gone.value.exit_status) == ("server-unreachable", 14)
    assert address in gone.value.message


@pytest.mark.parametrize(
    ("status", "body", "media", "code"),
    [
        (200, b"<html>hello", "text/html", "not-a-service"),
        (404, b"<html>hello", "text/html", "not-a-service"),
        (502, b"bad gateway", "text/plain", "not-a-service"),
        (200, b'{"id": 7}', "application/json", "not-understood"),
        (500, b"[]", "application/problem+json", "not-understood"),
    ],
)
def test_what_answers_is_no_service_of_ours(status: int, body: bytes, media: str, code: str):
    """Whatever it says: an error of ours, never a traceback."""
    with server(lambda handler, heard: say(handler, status, body, media)) as (address, _):
        with pytest.raises(treegate.Unreachable) as found:
            treegate.connect(address, TOKEN).plan("pl_1")
        assert found.value.code == code


def test_the_token_is_not_sent_on():
    """A redirect is not followed: the token is for the address that was named."""
    with server(lambda handler, heard: say(handler, 200, b"{}", "application/json")) as (elsewhere, stolen):

        def away(handler: BaseHTTPRequestHandler, heard: Heard) -> None:
            say(handler, 307, b"", "text/plain", location=f"{elsewhere}/plans")

        with server(away) as (address, heard), pytest.raises(treegate.Unreachable):
            treegate.connect(address, TOKEN).submit(plan())
        assert len(heard) == 1
        assert stolen == []


def test_a_request_whose_answer_is_lost_is_sent_again_with_its_key():
    """The connection breaks after the request: the same key comes again, so that it is done once."""

    def lost_first(handler: BaseHTTPRequestHandler, heard: Heard) -> None:
        if len(heard) < 2:
            handler.close_connection = True
            handler.connection.close()
        else:
            say(handler, 201, SUBMITTED, "application/json")

    with server(lost_first) as (address, heard):
        assert treegate.connect(address, TOKEN).submit(plan()).id == "pl_1"
    first, second = (headers["Idempotency-Key"] for _, _, headers in heard)
    assert first == second


def test_a_token_is_never_asked_for_twice():
    """Its text is given once, and kept by nobody: a lost answer is told, not asked for again."""

    def lost(handler: BaseHTTPRequestHandler, heard: Heard) -> None:
        handler.close_connection = True
        handler.connection.close()

    with server(lost) as (address, heard), pytest.raises(treegate.Unreachable):
        treegate.connect(address, TOKEN).create_token("ann", "author")
    assert [("Idempotency-Key" in headers) for _, _, headers in heard] == [False]


def test_who_is_told_to_come_again_does(monkeypatch: pytest.MonkeyPatch):
    """429 with Retry-After: asked again after that time, and not before."""
    slept = list[float]()
    monkeypatch.setattr(wire.time, "sleep", slept.append)

    def busy_first(handler: BaseHTTPRequestHandler, heard: Heard) -> None:
        if len(heard) < 2:
            say(handler, 429, b"{}", "application/problem+json", retry_after="7")
        else:
            say(handler, 201, SUBMITTED, "application/json")

    with server(busy_first) as (address, _):
        assert treegate.connect(address, TOKEN).submit(plan()).id == "pl_1"
    assert slept == [7]


def test_an_answer_without_an_end_is_not_held(monkeypatch: pytest.MonkeyPatch):
    """More than the most that an answer may have is refused while it comes."""
    monkeypatch.setattr(wire, "MOST", 1000)
    with (
        server(lambda handler, heard: say(handler, 200, b"x" * 2000, "application/json")) as (address, _),
        pytest.raises(treegate.Unreachable, match="more than 1,000 bytes"),
    ):
        treegate.connect(address, TOKEN).plan("pl_1")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.org", "insecure-server"),
        ("http://10.0.0.7:8473", "insecure-server"),
        ("ftp://127.0.0.1", "server-invalid"),
        ("127.0.0.1:8473", "server-invalid"),
        ("http://", "server-invalid"),
        ("http://127.0.0.1:99999", "server-invalid"),
        ("http://ann:tg_secret@127.0.0.1", "server-invalid"),
    ],
)
def test_an_address_is_checked_before_the_token_goes_there(url: str, code: str):
    """In the clear only to this machine; nothing secret in the address, nor in what is said of it."""
    with pytest.raises(treegate.UsageError) as found:
        treegate.connect(url, TOKEN)
    assert found.value.code == code
    assert "secret" not in found.value.message.replace("nothing secret", "")


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://[::1]:1", "http://127.0.0.9", "https://example.org/gate/"]
)
def test_a_safe_address_is_taken(url: str):
    """This machine, or https, under a path perhaps."""
    with treegate.connect(url, TOKEN) as client:
        assert client.url == url.rstrip("/")


def test_another_machine_in_the_clear_if_it_is_said_so(monkeypatch: pytest.MonkeyPatch):
    """TREEGATE_INSECURE=1, for a network that is safe by itself."""
    monkeypatch.setenv("TREEGATE_INSECURE", "1")
    treegate.connect("http://10.0.0.7:8473", TOKEN).close()


@pytest.mark.parametrize("token", ["", "tg_\n", "tg_é", "two words"])
def test_a_token_that_is_none_goes_nowhere(token: str):
    """Denied, before anything is sent."""
    with pytest.raises(treegate.Denied):
        treegate.connect("http://127.0.0.1:1", token)


def test_a_wrong_token_is_denied(office: Path, environ: dict[str, str]):
    """Exit status 4, as at the shell."""
    served = Nearby(office, environ)
    with pytest.raises(treegate.Denied) as denied:
        treegate.connect(served.address, TOKEN).status()
    assert denied.value.exit_status == 4
    served.close()


def test_who_waits_goes_on_waiting_over_a_restart(office: Path, environ: dict[str, str], token: Callable[..., str]):
    """The service is killed and started anew while somebody waits: they are told of the decision all the same."""
    first = Serving(office, environ)
    author, reviewer = token("ann", "author"), token("rita", "reviewer")
    made = treegate.connect(first.address, author).submit(plan({"op": "mkdir", "path": "New"}))
    found = list[Any]()

    def wait() -> None:
        found.append(treegate.connect(first.address, author).wait(made.id, "decided", 60))

    waiter = threading.Thread(target=wait)
    waiter.start()
    waiter.join(0.5)
    first.end(signal.SIGKILL)
    second = Serving(office, environ, port=int(first.address.rpartition(":")[2]))
    treegate.connect(second.address, reviewer).approve(made.id, made.digest)
    waiter.join(60)
    assert found[0].state in {State.APPROVED, State.APPLYING, State.APPLIED}
    assert second.end(signal.SIGTERM) == 0


def test_who_stops_watching_a_run_does_not_stop_it(office: Path, environ: dict[str, str], token: Callable[..., str]):
    """Ctrl-C ends the watching: still-running, with how to look; the run ends well by itself."""
    for number in range(2000):
        (office / f"projects/Smith/f{number:04}.txt").write_text(str(number))
    served = Serving(office, environ)
    author = treegate.connect(served.address, token("ann", "author"))
    reviewer = treegate.connect(served.address, token("rita", "reviewer"))
    made = author.submit(plan({"op": "move", "match": "f*.txt", "to": "Sorted/"}))
    reviewer.approve(made.id, made.digest)
    reviewer.watch(lambda done, total: None, lambda: True)
    with pytest.raises(treegate.Waiting) as stopped:
        reviewer.apply(made.id)
    assert stopped.value.code == "still-running"
    assert stopped.value.next.startswith("treegate show run_")
    assert author.wait(made.id, "applied", 60).state is State.APPLIED
    assert served.end(signal.SIGTERM) == 0
