"""Contents that are sent before the plan that names them."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from test_plans_over_http import events, plan, submitted

from treegate.gate import Gate, uploading

Headers = dict[str, str]
DATA = random.Random(7).randbytes(3 << 20)
NAME = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def kept(environ: dict[str, str]) -> Callable[[], set[str]]:
    """The files that the state directory holds of blobs, whole or not."""
    return lambda: {path.name for path in Path(environ["TREEGATE_STATE"], "blobs").glob("*/*")}


def test_a_plan_brings_a_content_that_was_sent_before(
    service: TestClient, office: Path, author: Headers, reviewer: Headers
):
    """Sent, named in a plan, approved, carried out: the file is what was sent, byte for byte."""
    document = plan({"op": "create", "path": "letter.bin", "blob": f"sha256:{NAME}"})
    assert submitted(service, author, document)["problems"][0]["code"] == "blob-missing"
    answer = service.put(f"/blobs/{NAME}", content=DATA, headers=author)
    assert (answer.status_code, answer.json()) == (201, {"blob": f"sha256:{NAME}", "size": len(DATA)})
    made = submitted(service, author, document)
    assert made["state"] == "pending", made
    service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    run = service.post(f"/plans/{made['id']}/apply", headers=reviewer).json()["run"]
    assert events(service.get(f"/runs/{run}/events", headers=author).text)[-1][2]["state"] == "applied"
    assert (office / "projects/Smith/letter.bin").read_bytes() == DATA


def test_what_is_there_is_told_of(service: TestClient, author: Headers):
    """404 before, its size after; sent again it is 200."""
    before = service.head(f"/blobs/{NAME}", headers=author)
    assert (before.status_code, before.content) == (404, b"")
    assert service.put(f"/blobs/{NAME}", content=DATA, headers=author).status_code == 201
    after = service.head(f"/blobs/{NAME}", headers=author)
    assert (after.status_code, after.headers["content-length"]) == (200, str(len(DATA)))
    assert service.put(f"/blobs/{NAME}", content=DATA, headers=author).status_code == 200


def test_what_is_not_what_its_name_says_is_not_kept(
    service: TestClient, author: Headers, kept: Callable[[], set[str]]
):
    """422, and nothing of it is on disk; what was there under that name stays as it was."""
    answer = service.put(f"/blobs/{NAME}", content=DATA[1:], headers=author)
    assert (answer.status_code, answer.json()["code"]) == (422, "blob-mismatch")
    assert kept() == set()
    service.put(f"/blobs/{NAME}", content=DATA, headers=author)
    assert service.put(f"/blobs/{NAME}", content=b"", headers=author).status_code == 422
    assert kept() == {NAME}
    assert service.head(f"/blobs/{NAME}", headers=author).headers["content-length"] == str(len(DATA))


@pytest.mark.parametrize("name", ["x", NAME.upper(), NAME + "0", "..%2f..%2fetc%2fpasswd", "%00" * 64])
def test_a_name_that_is_no_hash_is_refused(service: TestClient, author: Headers, name: str):
    """And nothing is made under it, in no folder."""
    answer = service.put(f"/blobs/{name}", content=b"x", headers=author)
    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_upload_without_an_end_is_refused_when_it_is_too_large(
    service: TestClient, author: Headers, kept: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch
):
    """By what it says of its length, and by what comes in; nothing is left of it."""
    monkeypatch.setattr(uploading, "MOST", 2 << 20)

    def pieces() -> Iterator[bytes]:
        yield from (DATA[at : at + 65536] for at in range(0, len(DATA), 65536))

    for content in (DATA, pieces()):
        answer = service.put(f"/blobs/{NAME}", content=content, headers=author)
        assert answer.status_code == 413
        assert kept() == set()


def test_whoever_shows_no_token_sends_nothing(service: TestClient, kept: Callable[[], set[str]]):
    """401 before a byte is written."""
    assert service.put(f"/blobs/{NAME}", content=DATA).status_code == 401
    assert kept() == set()


def test_an_upload_that_is_cut_off_leaves_nothing(
    office: Path, environ: dict[str, str], author: Headers, kept: Callable[[], set[str]]
):
    """Over a real socket, closed after half of what was announced; the same content can be sent again."""
    from threading import Thread

    import uvicorn

    from treegate.interfaces.http.app import create_app

    server = uvicorn.Server(uvicorn.Config(create_app(office, environ), port=0, log_level="critical"))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    try:
        until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        head = f"PUT /blobs/{NAME} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {author['Authorization']}\r\n"
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(f"{head}Content-Length: {len(DATA)}\r\n\r\n".encode() + DATA[: len(DATA) // 2])
            until(lambda: len(kept()) == 1)
        until(lambda: kept() == set())
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(f"{head}Content-Length: {len(DATA)}\r\n\r\n".encode() + DATA)
            assert connection.recv(100).startswith(b"HTTP/1.1 201")
        assert kept() == {NAME}
    finally:
        server.should_exit = True
        thread.join(20)


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Waits for something to become true."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def test_a_fresh_content_is_not_cleared_before_its_plan_comes(
    service: TestClient, office: Path, environ: dict[str, str], author: Headers, kept: Callable[[], set[str]]
):
    """Less than a day old it stays, sent again it counts as new; named by a live plan it stays at any age."""
    service.put(f"/blobs/{NAME}", content=DATA, headers=author)
    (path,) = Path(environ["TREEGATE_STATE"], "blobs").glob("*/*")
    day = 86_400
    with Gate.open(office, environ) as gate:
        os.utime(path, (time.time() - day + 60,) * 2)
        gate.prune()
        assert kept() == {NAME}
        os.utime(path, (time.time() - day - 60,) * 2)
        service.put(f"/blobs/{NAME}", content=DATA, headers=author)
        gate.prune()
        assert kept() == {NAME}
        made = submitted(service, author, plan({"op": "create", "path": "a.bin", "blob": f"sha256:{NAME}"}))
        os.utime(path, (time.time() - day - 60,) * 2)
        gate.prune()
        assert kept() == {NAME}
        service.post(f"/plans/{made['id']}/withdraw", headers=author)
        gate.prune()
    assert kept() == set()
