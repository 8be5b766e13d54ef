"""The cases, what their folders hold, what is in their files: read, and no link followed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from fastapi.testclient import TestClient
from test_plans_over_http import submitted

Headers = dict[str, str]
TEXT = b"0123456789" * 100


@pytest.fixture
def smith(office: Path) -> Path:
    """A case with a folder, links out of it, a pipe, and a name that is not UTF-8."""
    case = office / "projects/Smith"
    (case / "Letters").mkdir()
    (case / "Letters/a.txt").write_bytes(TEXT)
    (case / "Letters/é.html").write_text("<script>alert(1)</script>")
    (office / "secret.txt").write_text("not for you")
    (case / "out").symlink_to(office)
    (case / "leak.txt").symlink_to(office / "secret.txt")
    os.mkfifo(case / "pipe")
    Path(os.fsdecode(os.fsencode(case) + b"/caf\xe9.txt")).write_text("raw")
    return case


def test_the_cases_that_one_sees_are_told(service: TestClient, author: Headers, token: Callable[..., str]):
    """With the plans that wait there, and pauses; a token of one case sees no other."""
    submitted(service, author)
    admin = {"Authorization": f"Bearer {token('ada', 'admin')}"}
    service.post("/pause", json={"case": "Jones"}, headers=admin)
    told = [
        {"case": "Jones", "waiting": 0, "paused": True, "own_filesystem": False},
        {"case": "Smith", "waiting": 1, "paused": False, "own_filesystem": False},
    ]
    assert service.get("/cases", headers=author).json() == {"cases": told}
    jones = {"Authorization": f"Bearer {token('joe', 'author', ['Jones'])}"}
    assert service.get("/cases", headers=jones).json() == {"cases": told[:1]}


def test_a_case_that_is_made_meanwhile_is_seen(service: TestClient, office: Path, author: Headers):
    """People make cases while the service runs; plans for them are taken, too."""
    assert len(service.get("/cases", headers=author).json()["cases"]) == 2
    (office / "projects/Brown").mkdir()
    assert [one["case"] for one in service.get("/cases", headers=author).json()["cases"]] == [
        "Brown",
        "Jones",
        "Smith",
    ]
    made = submitted(service, author, '{"version":1,"case":"Brown","operations":[{"op":"mkdir","path":"New"}]}')
    assert made["state"] == "pending"


def test_a_folder_is_listed_page_by_page_in_byte_order(service: TestClient, smith: Path, author: Headers):
    """Whatever the names hold; the last page says that it is the last."""
    names, cursor = [], ""
    while cursor is not None:
        page = service.get("/cases/Smith/files", params={"cursor": cursor, "limit": 2}, headers=author).json()
        assert len(page["files"]) <= 2
        names += [one["name"] for one in page["files"]]
        cursor = page["next"]
    plain = [name if isinstance(name, str) else unquote_to_bytes(name["raw"]) for name in names]
    raw = [name.encode() if isinstance(name, str) else name for name in plain]
    assert raw == sorted(os.listdir(os.fsencode(smith)))
    assert {"raw": "caf%E9.txt"} in names
    folder = service.get("/cases/Smith/files?prefix=Letters/", headers=author).json()
    assert next((one["name"], one["kind"], one["size"]) for one in folder["files"]) == ("a.txt", "file", len(TEXT))
    kinds = {one["name"]: one["kind"] for one in page["files"] if isinstance(one["name"], str)}
    every = service.get("/cases/Smith/files?limit=1000", headers=author).json()["files"]
    kinds = {one["name"]: one["kind"] for one in every if isinstance(one["name"], str)}
    assert (kinds["Letters"], kinds["out"], kinds["pipe"], kinds["scan0.pdf"]) == ("dir", "link", "other", "file")


def test_a_file_comes_as_it_is_and_never_as_a_page(service: TestClient, smith: Path, author: Headers):
    """As an attachment of no kind that a browser would show, whatever it calls itself."""
    answer = service.get("/cases/Smith/content", params={"path": "Letters/é.html"}, headers=author)
    assert answer.content == (smith / "Letters/é.html").read_bytes()
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%A9.html"
    assert answer.headers["x-content-type-options"] == "nosniff"
    raw = service.get("/cases/Smith/content", params={"path": "caf%E9.txt", "raw": "true"}, headers=author)
    assert raw.text == "raw"


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-9", 206, (0, 10)),
        ("bytes=990-", 206, (990, 1000)),
        ("bytes=-10", 206, (990, 1000)),
        ("bytes=-5000", 206, (0, 1000)),
        ("bytes=995-5000", 206, (995, 1000)),
        ("bytes=1000-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=0-1,5-6", 200, (0, 1000)),
        ("bytes=9-1", 200, (0, 1000)),
        ("bytes=-", 200, (0, 1000)),
        ("lines=1-2", 200, (0, 1000)),
    ],
)
def test_a_part_of_a_file_can_be_asked_for(
    service: TestClient, smith: Path, author: Headers, asked: str, status: int, part: tuple[int, int] | None
):
    """One range (RFC 9110, 14); what is none, or several, gives the whole."""
    url = "/cases/Smith/content?path=Letters/a.txt"
    answer = service.get(url, headers={**author, "Range": asked})
    assert answer.status_code == status
    if part is None:
        assert answer.json()["code"] == "range-not-satisfiable"
        return
    assert answer.content == TEXT[slice(*part)]
    assert answer.headers["content-length"] == str(part[1] - part[0])
    if status == 206:
        assert answer.headers["content-range"] == f"bytes {part[0]}-{part[1] - 1}/1000"


def test_a_file_that_is_known_is_not_sent_again(service: TestClient, smith: Path, author: Headers):
    """304 for its tag; with If-Range a part only of what one knows; no handle stays open."""
    url = "/cases/Smith/content?path=Letters/a.txt"
    tag = service.get(url, headers=author).headers["etag"]
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        assert service.get(url, headers={**author, "If-None-Match": tag}).status_code == 304
        assert service.get(url, headers={**author, "Range": "bytes=0-1", "If-Range": tag}).status_code == 206
        assert service.get(url, headers={**author, "Range": "bytes=0-1", "If-Range": '"old"'}).status_code == 200
        assert service.get(url, headers={**author, "Range": "bytes=5000-"}).status_code == 416
    assert len(os.listdir("/proc/self/fd")) <= before + 2
    (smith / "Letters/a.txt").write_bytes(b"new")
    assert service.get(url, headers={**author, "If-None-Match": tag}).content == b"new"


@pytest.mark.parametrize(
    "path", ["leak.txt", "out/secret.txt", "pipe", "Letters", "nowhere", "scan0.pdf/x", "a" * 300]
)
def test_what_is_no_file_of_the_case_is_not_read(service: TestClient, smith: Path, author: Headers, path: str):
    """Links, pipes, folders, nothing: 404, and not a byte from outside."""
    answer = service.get("/cases/Smith/content", params={"path": path}, headers=author)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "not for you" not in answer.text


@pytest.mark.parametrize(
    "path", ["../Jones/scan0.pdf", "/etc/passwd", "a/../../x", "./a", "a//b", "\0", "a\0b", ".treegate/x", "a/"]
)
def test_a_path_that_cannot_be_one_is_refused(service: TestClient, smith: Path, author: Headers, path: str):
    """422 at both doors, in plain and in percent-encoded bytes."""
    for raw in (False, True):
        params = {"path": path.replace("\0", "%00") if raw else path, "raw": raw}
        answer = service.get("/cases/Smith/content", params=params, headers=author)
        assert answer.status_code == 422, answer.text
    if not path.endswith("/"):
        answer = service.get("/cases/Smith/files", params={"prefix": path}, headers=author)
        assert answer.status_code == 422, answer.text


def test_treegates_own_folder_is_never_seen(service: TestClient, office: Path, author: Headers):
    """Neither beside the cases nor, of a case on a filesystem of its own, in it."""
    (office / "projects/Smith/.treegate").mkdir()
    (office / "projects/Smith/.treegate/x").write_text("x")
    names = [one["name"] for one in service.get("/cases/Smith/files", headers=author).json()["files"]]
    assert ".treegate" not in names
    for case in (".treegate", "..", "%2e%2e", "."):
        assert service.get(f"/cases/{case}/files", headers=author).status_code in {404, 422}
    assert service.get("/cases/Smith/files?prefix=.treegate", headers=author).status_code == 422


def test_another_case_is_not_read(service: TestClient, smith: Path, token: Callable[..., str]):
    """Also whether it is there is not said."""
    jones = {"Authorization": f"Bearer {token('joe', 'author', ['Jones'])}"}
    for case in ("Smith", "Nobody"):
        for url in (f"/cases/{case}/files", f"/cases/{case}/content?path=scan0.pdf"):
            answer = service.get(url, headers=jones)
            assert (answer.status_code, answer.json()["code"]) == (403, "case-not-allowed")
    assert service.get("/cases/Jones/content?path=scan0.pdf", headers=jones).text == "Jones 0"
