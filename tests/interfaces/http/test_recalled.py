"""What the service remembers is never older than the database: whoever changed it, at whatever door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from test_plans_over_http import plan, submitted

from treegate.engine.store import Store
from treegate.gate import Gate

Headers = dict[str, str]


def test_a_revoked_token_is_refused_at_the_very_next_request(
    service: TestClient, office: Path, environ: dict[str, str], author: Headers
):
    """Revoked at another door, after it was shown here again and again."""
    for _ in range(3):
        assert service.get("/whoami", headers=author).status_code == 200
    with Gate.open(office, environ) as gate:
        gate.revoke_token("ann")
        assert service.get("/whoami", headers=author).json()["code"] == "token-revoked"


def test_a_token_expires_though_nothing_changes(
    service: TestClient, office: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    """By the clock, not by the database."""
    core = service.app.state.service.gate.core  # type: ignore[attr-defined]
    now = core.clock()
    with Gate.open(office, environ) as gate:
        from treegate.model.actors import Role

        short = {"Authorization": f"Bearer {gate.create_token('eve', Role.AUTHOR, expires_at=now + 60_000)[1]}"}
    assert service.get("/whoami", headers=short).status_code == 200
    core.clock = lambda: now + 60_000
    assert service.get("/whoami", headers=short).json()["code"] == "token-expired"


def test_what_is_decided_elsewhere_is_seen_at_once(
    service: TestClient, office: Path, environ: dict[str, str], author: Headers
):
    """A plan that was looked at before is withdrawn at another door: the next look says so; so does its revision."""
    made = submitted(service, author)
    for _ in range(3):
        before = service.get(f"/plans/{made['id']}", headers=author)
        assert before.json()["state"] == "pending"
        assert service.get(f"/plans/{made['id']}/effects", headers=author).json()["total"] == 6
    with Gate.open(office, environ) as gate:
        gate.revise(made["id"], plan({"op": "mkdir", "path": "New"}))
        found = service.get(f"/plans/{made['id']}", headers=author)
        assert found.json()["revision"] == 2
        assert found.headers["etag"] != before.headers["etag"]
        assert service.get(f"/plans/{made['id']}/effects", headers=author).json()["total"] == 1
        gate.withdraw(made["id"])
        assert service.get(f"/plans/{made['id']}", headers=author).json()["state"] == "withdrawn"


def test_an_answer_that_was_read_while_somebody_wrote_is_not_taken_for_what_holds_afterwards(tmp_path: Path):
    """The number of the state is taken before the look; what is read beside a write is asked for anew."""
    store, other = Store.open(tmp_path / "treegate.db", create=True), Store.open(tmp_path / "treegate.db")
    store.remember()
    asked: list[int] = []

    def make() -> int:
        asked.append(len(asked))
        with other.write() as write:
            write.execute(write_pause(len(asked)))
        return len(asked)

    assert [store.recalled("x", make) for _ in range(3)] == [1, 2, 3]
    assert [store.recalled("y", lambda: 7), store.recalled("y", lambda: 8)] == [7, 7]
    store.close()
    other.close()


def write_pause(number: int) -> Any:
    from treegate.engine import schema

    return schema.meta.insert().values(key=f"k{number}", value="v")


def test_effects_are_found_by_words_in_any_case_and_by_kind(service: TestClient, office: Path, author: Headers):
    """Also beyond ASCII, in names that are not UTF-8, and only where one effect holds all of the words."""
    case = office / "projects/Smith"
    (case / "ÄRGER Straße.txt").write_text("x")
    (case / "old.tmp").write_text("x")
    made = submitted(
        service,
        author,
        plan(
            {"op": "move", "from": "ÄRGER Straße.txt", "to": "Post/"},
            {"op": "move", "match": "scan*.pdf", "to": "Scans/"},
            {"op": "delete", "path": "old.tmp"},
        ),
    )

    def found(q: str, **more: str) -> list[str]:
        answer = service.get(f"/plans/{made['id']}/effects", params={"q": q, **more}, headers=author)
        assert answer.status_code == 200, answer.text
        return [one.get("from", one["path"]) for one in answer.json()["effects"]]

    assert found("ärger STRASSE".replace("SS", "ß")) == ["Smith/ÄRGER Straße.txt"]
    assert found("SCAN1 scans/") == ["Smith/scan1.pdf"]
    assert found("ärger scan1") == []
    assert found("post\0") == []
    every = service.get(f"/plans/{made['id']}/effects", headers=author).json()
    asked = found("e")
    assert len(asked) == len([one for one in every["effects"] if "e" in (one["path"] + one.get("from", "")).lower()])


def test_a_page_holds_each_effect_once_wherever_it_begins(service: TestClient, office: Path, author: Headers):
    """Pages that begin in the middle of what is stored together."""
    for number in range(450):
        (office / f"projects/Smith/n{number:03}.txt").write_text("x")
    made = submitted(service, author, plan({"op": "move", "match": "n*.txt", "to": "N/"}))
    for size in (7, 99, 100, 101, 250):
        told, at = [], 0
        while at is not None:
            page = service.get(f"/plans/{made['id']}/effects?limit={size}&cursor={at}", headers=author).json()
            told, at = told + [one["id"] for one in page["effects"]], page["next"]
        assert told == [f"e{number}" for number in range(1, 452)]
