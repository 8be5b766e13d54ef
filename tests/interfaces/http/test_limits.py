"""How much, how fast and how often: over real connections where the wire itself is what is tried."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from nearby import Nearby

from treegate.interfaces.http import bounds
from treegate.interfaces.http.app import create_app

Headers = dict[str, str]


@pytest.fixture
def serving(office: Path, environ: dict[str, str]) -> Iterator[Nearby]:
    """A real service that takes at most 5 MiB of a plan."""
    found = Nearby(office, {**environ, "TREEGATE_SERVICE_BODY": "5 MiB"})
    yield found
    found.close()


def connect(serving: Nearby) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", int(serving.address.rpartition(":")[2])), 30)
    found.settimeout(30)
    return found


def answer_of(line: socket.socket) -> tuple[int, str]:
    """The status and the rest of an answer."""
    text = b""
    while b"\r\n\r\n" not in text or (b"problem" in text and not text.rstrip().endswith(b"}")):
        came = line.recv(65536)
        if not came:
            break
        text += came
    return int(text.split(b" ", 2)[1]), text.decode()


def head(path: str, token: str, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", *more, "", ""]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(("path", "most"), [("/plans", 5 << 20), ("/plans/pl_x/approve", bounds.SMALL)])
def test_a_body_that_tells_no_length_is_counted_as_it_comes(
    serving: Nearby, token: Callable[..., str], path: str, most: int
):
    """413 for a chunked body above the bound, which is lower where no plan is sent."""
    with connect(serving) as line:
        line.sendall(head(path, token("ann", "author"), "Transfer-Encoding: chunked"))
        for _ in range((most >> 16) + 1):
            line.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
        status, text = answer_of(line)
    assert (status, "body-too-large" in text) == (413, True)


def test_an_upload_that_is_cut_off_leaves_nothing(serving: Nearby, token: Callable[..., str]):
    """Half a plan, then the line is dead: no plan is stored, and the service goes on."""
    text = token("ann", "author")
    with connect(serving) as line:
        line.sendall(head("/plans", text, "Content-Length: 1000") + b'{"version": 1, ')
    with connect(serving) as line:
        line.sendall(head("/plans", text).replace(b"POST", b"GET"))
        status, told = answer_of(line)
        while '"plans"' not in told:
            told += line.recv(65536).decode()
    assert (status, '"plans":[]' in told.replace(" ", "")) == (200, True)


@pytest.mark.parametrize("lines", [["X-Long: " + "x" * 100_000], [f"X-{n}: y" for n in range(20_000)]])
def test_a_head_that_is_too_large_is_refused(serving: Nearby, lines: list[str]):
    """One long line or very many: 431, before any of it is looked at."""
    with connect(serving) as line:
        line.sendall("\r\n".join(["GET /healthz HTTP/1.1", "Host: localhost", *lines]).encode())
        status, text = answer_of(line)
    assert (status, '"code":"head-too-large"' in text, "application/problem+json" in text) == (431, True, True)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (f"GET /cases?x={'y' * 66_000} HTTP/1.1\r\nHost: localhost\r\n\r\n", 431, "head-too-large"),
        ("HELLO\r\n\r\n", 400, "malformed-request"),
        ("GET / HTTP/1.1\r\nHost localhost\r\n\r\n", 400, "malformed-request"),
        ("POST /check HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1, 2\r\n\r\n", 400, "malformed-request"),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "malformed-request"),  # a browser that expects TLS
    ],
)
def test_what_is_no_request_is_told_as_everything_is(serving: Nearby, sent: str, status: int, code: str):
    """A problem document, after which the connection ends."""
    with connect(serving) as line:
        line.sendall(sent.encode("latin-1"))
        found, text = answer_of(line)
        assert line.recv(1) == b""
    told = json.loads(text.partition("\r\n\r\n")[2])
    assert (found, told["code"], told["status"]) == (status, code, status)


def test_an_upload_that_stops_is_refused(service: TestClient, author: Headers, monkeypatch: pytest.MonkeyPatch):
    """A body of which nothing comes for too long: 408, though the line stands."""
    monkeypatch.setattr(bounds, "PATIENCE", 0.05)
    waited: list[dict[str, Any]] = []

    async def drive() -> None:
        async def receive() -> dict[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Any) -> None:
            waited.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": "/plans", "raw_path": b"/plans", "query_string": b"", "root_path": "",
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
            "headers": [(b"host", b"localhost"), (b"authorization", author["Authorization"].encode())],
        }  # fmt: skip
        await service.app(scope, receive, send)

    import asyncio

    assert service.portal is not None
    service.portal.call(drive)
    assert waited[0]["status"] == 408
    assert json.loads(waited[1]["body"])["code"] == "upload-too-slow"


@pytest.fixture
def strict(office: Path, environ: dict[str, str]) -> Iterator[TestClient]:
    """A service that lets anybody ask five times a minute, and try to log in three times."""
    few = {"TREEGATE_SERVICE_READS_PER_MINUTE": "5", "TREEGATE_SERVICE_LOGINS_PER_MINUTE": "3"}
    with TestClient(create_app(office, {**environ, **few}), "http://127.0.0.1") as client:
        yield client


def test_who_asks_too_often_waits_and_nobody_else_does(strict: TestClient, author: Headers, reviewer: Headers):
    """429 with when to ask again; another token still may, and so does whoever asks for /healthz."""
    statuses = [strict.get("/whoami", headers=author).status_code for _ in range(8)]
    assert statuses[:5] == [200] * 5
    assert statuses[-1] == 429  # the first, when nobody knew whose it was, counted as the address's
    refused = strict.get("/whoami", headers=author)
    assert (refused.json()["code"], refused.headers["content-type"]) == (
        "too-many-requests",
        "application/problem+json",
    )
    assert 1 <= int(refused.headers["retry-after"]) <= 72  # of five, the oldest has slid away by then
    assert "r=0" in refused.headers["ratelimit"]
    assert strict.get("/whoami", headers=reviewer).status_code == 200
    assert strict.get("/healthz").status_code == 200


def test_made_up_tokens_count_as_the_address_that_they_come_from(strict: TestClient):
    """A new one with each request does not help."""
    statuses = [strict.get("/whoami", headers={"Authorization": f"Bearer tg_{n}"}).status_code for n in range(7)]
    assert (statuses[:5], statuses[-1]) == ([401] * 5, 429)


def test_logging_in_cannot_be_tried_for_long(strict: TestClient):
    """The fourth attempt of a minute is refused, as a page."""
    statuses = [strict.post("/ui/login", data={"token": f"tg_{n}"}) for n in range(4)]
    assert [one.status_code for one in statuses] == [401, 401, 401, 429]
    assert statuses[-1].headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "[::", "a@localhost:x"]
)
def test_a_request_for_another_name_is_refused(service: TestClient, author: Headers, host: str):
    """421, also with a token that holds: a page that was rebound to this machine gets nothing."""
    answer = service.get("/whoami", headers={**author, "Host": host})
    assert (answer.status_code, answer.json()["code"]) == (421, "host-unknown")


@pytest.mark.parametrize("host", ["localhost:8473", "127.0.0.1", "[::1]:9", "LOCALHOST"])
def test_its_own_names_are_known(service: TestClient, author: Headers, host: str):
    """With any port, in any case."""
    assert service.get("/whoami", headers={**author, "Host": host}).status_code == 200


def test_a_defect_is_told_with_the_requests_id_and_nothing_of_it(
    service: TestClient, author: Headers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """500 as a problem document with our headers; the log has the place and the id, and not what the error said."""
    from treegate.interfaces import logs
    from treegate.render import jsons

    def broken(value: object) -> str:
        monkeypatch.undo()
        raise LookupError("secret content")

    monkeypatch.setattr(jsons, "dumps", broken)
    answer = service.get("/whoami?token=tg_query", headers={**author, "X-Request-Id": "mine-1"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert (answer.headers["x-request-id"], "mine-1" in answer.json()["hint"]) == ("mine-1", True)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    lines = [logs.Lines().format(record) for record in caplog.records if record.name.startswith("treegate")]
    told = [json.loads(line) for line in lines if "error" in json.loads(line)]
    assert (told[0]["id"], told[0]["error"][0]["kind"]) == ("mine-1", "builtins.LookupError")
    assert not re.search("secret|tg_|query", "".join(lines))
