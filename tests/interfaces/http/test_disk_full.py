"""A full disk under the service: told as a problem, nothing half done, and all is well once there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from test_plans_over_http import events, plan, submitted

from treegate.gate import Gate
from treegate.interfaces.http.app import create_app
from treegate.model.actors import Role

Headers = dict[str, str]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small filesystem to be filled")


@contextmanager
def mounted(place: Path, size: str) -> Iterator[Path]:
    """A small filesystem."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "small", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(place: Path) -> Path:
    """Fills a filesystem to its last byte; the file that does it."""
    found = place / "filler"
    with found.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    return found


def served(office: Path, environ: dict[str, str]) -> tuple[TestClient, Headers, Headers]:
    """A service on an office, an author and a reviewer."""
    with Gate.open(office, environ) as gate:
        author, reviewer = (gate.create_token(role.value, role)[1] for role in (Role.AUTHOR, Role.REVIEWER))
    client = TestClient(create_app(office, environ), base_url="http://127.0.0.1")
    return client, {"Authorization": f"Bearer {author}"}, {"Authorization": f"Bearer {reviewer}"}


def test_a_full_state_disk_is_told_and_nothing_is_half_done(tmp_path: Path):
    """Item 9: every request that writes is refused with a code, who reads goes on, and afterwards the run is made."""
    office, environ = tmp_path / "office", {"TREEGATE_STATE": str(tmp_path / "state"), "PATH": "/usr/bin:/bin"}
    (office / "projects/Smith").mkdir(parents=True)
    (office / "projects/Smith/a.txt").write_text("a")
    with mounted(tmp_path / "state", "6m") as state:
        Gate.init(office, environ=environ).close()
        client, author, reviewer = served(office, environ)
        with client as service:
            made = submitted(service, author, plan({"op": "move", "from": "a.txt", "to": "b.txt"}))
            filler = fill(state)
            for method, path, who, body in (
                (
                    "POST",
                    "/plans",
                    author,
                    {"version": 1, "case": "Smith", "operations": [{"op": "mkdir", "path": "N"}]},
                ),
                ("POST", f"/plans/{made['id']}/approve", reviewer, {"digest": made["digest"]}),
                ("POST", f"/plans/{made['id']}/reject", reviewer, {"digest": made["digest"], "comment": "x" * 5000}),
                ("POST", f"/plans/{made['id']}/withdraw", author, {}),
            ):
                answer = service.request(method, path, headers=who, json=body)
                assert answer.headers["content-type"] == "application/problem+json", (path, answer.text)
                assert (answer.status_code, answer.json()["code"].removeprefix("state-")) == (507, "disk-full"), path
            for path in (f"/plans/{made['id']}", f"/plans/{made['id']}/effects", "/status", "/healthz"):
                assert service.get(path, headers=author).status_code == 200
            assert service.get(f"/plans/{made['id']}", headers=author).json()["state"] == "pending"
            filler.unlink()
            assert_applied(service, made, author, reviewer)
        assert (office / "projects/Smith/b.txt").read_text() == "a"


def test_a_full_workspace_takes_a_run_back_and_the_service_stays(tmp_path: Path):
    """Item 9: a copy finds no room: the tree is as before, the run says why, and it goes well once there is room."""
    environ = {"TREEGATE_STATE": str(tmp_path / "state"), "PATH": "/usr/bin:/bin"}
    with mounted(tmp_path / "office", "3m") as office:
        (office / "projects/Smith").mkdir(parents=True)
        (office / "projects/Smith/a.bin").write_bytes(b"x" * 1_000_000)
        Gate.init(office, environ=environ).close()
        client, author, reviewer = served(office, environ)
        with client as service:
            made = submitted(service, author, plan({"op": "copy", "from": "a.bin", "to": "b.bin"}))
            filler = fill(office)
            service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
            told = until_ended(service, made["id"], author, reviewer)
            assert told["state"] in {"failed", "rolled-back"}, told
            assert sorted(os.listdir(office / "projects/Smith")) == ["a.bin"]
            assert service.get("/readyz").status_code == 200
            filler.unlink()
            again = service.post(f"/plans/{made['id']}/refresh", headers=author).json()
            if again["state"] == "pending":
                service.post(f"/plans/{made['id']}/approve", json={"digest": again["digest"]}, headers=reviewer)
            assert until_ended(service, made["id"], author, reviewer)["state"] == "applied"
            assert (office / "projects/Smith/b.bin").stat().st_size == 1_000_000


def assert_applied(service: TestClient, made: dict[str, str], author: Headers, reviewer: Headers) -> None:
    answer = service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    assert answer.status_code == 200, answer.text
    assert until_ended(service, made["id"], author, reviewer)["state"] == "applied"


def until_ended(service: TestClient, id: str, author: Headers, reviewer: Headers) -> dict[str, object]:
    """What the stream of a plan's run says at its end."""
    answer = service.post(f"/plans/{id}/apply", headers=reviewer)
    if answer.status_code != 202:
        return {"state": service.get(f"/plans/{id}", headers=author).json()["state"], "said": answer.text}
    return events(service.get(f"/runs/{answer.json()['run']}/events", headers=author).text)[-1][2]
