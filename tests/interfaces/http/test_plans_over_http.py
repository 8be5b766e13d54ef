"""The life of a plan over HTTP, from its first fault to the undo of its run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

Headers = dict[str, str]


def plan(*operations: dict[str, Any], case: str = "Smith", **head: Any) -> str:
    return json.dumps({"version": 1, "case": case, **head, "operations": list(operations)})


SORT = plan({"op": "move", "match": "*.pdf", "to": "Scans/"})


def submitted(service: TestClient, author: Headers, document: str = SORT) -> dict[str, Any]:
    answer = service.post("/plans", content=document, headers=author)
    assert answer.status_code == 201, answer.text
    return answer.json()


def events(text: str) -> list[tuple[int, str, dict[str, Any]]]:
    """(id, name, data) of each event of a stream that has ended."""
    found = re.findall(r"id: (\d+)\nevent: ([^\n]+)\ndata: ([^\n]+)\n\n", text)
    return [(int(id), name, json.loads(data)) for id, name, data in found]


def test_an_approved_plan_is_carried_out_shown_and_taken_back(
    service: TestClient, office: Path, author: Headers, reviewer: Headers
):
    """The last approval starts the run; its stream ends with `applied`; undo is a plan like any other."""
    made = submitted(service, author)
    assert made["state"] == "pending"
    answer = service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    assert (answer.status_code, answer.json()["state"]) == (200, "approved")
    asked = service.post(f"/plans/{made['id']}/apply", headers=reviewer)
    assert asked.status_code == 202
    run = asked.json()["run"]
    told = events(service.get(f"/runs/{run}/events", headers=author).text)
    assert told[-1][1:2] == ("ended",)
    assert told[-1][2]["state"] == "applied"
    assert (office / "projects/Smith/Scans/scan0.pdf").read_text() == "Smith 0"
    again = service.post(f"/plans/{made['id']}/apply", headers=reviewer)
    assert again.json()["run"] == run
    assert service.get(f"/runs/{run}/receipt", headers=author).json()["run"] == run
    undo = service.post(f"/runs/{run}/undo", headers=author)
    assert undo.status_code == 201
    assert undo.json()["submitted"]["state"] == "pending"


def test_a_plan_with_a_fault_is_stored_as_invalid_with_its_repair(service: TestClient, author: Headers):
    """Well-formed with errors is 201, `invalid`; malformed is 422, stored nowhere."""
    made = submitted(service, author, plan({"op": "move", "from": "scan9.pdf", "to": "a.pdf"}))
    assert made["state"] == "invalid"
    assert made["problems"][0]["code"] == "source-missing"
    answer = service.post("/plans", content="{", headers=author)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["code"] == "not-json"
    assert len(service.get("/plans", headers=author).json()["plans"]) == 1


def test_an_author_decides_nothing(service: TestClient, author: Headers):
    """Every decision of an author is refused, also on their own plan."""
    made = submitted(service, author)
    for verdict in ("approve", "reject", "request-changes", "revoke"):
        answer = service.post(
            f"/plans/{made['id']}/{verdict}", json={"digest": made["digest"], "comment": "x"}, headers=author
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "role-not-allowed")


def test_another_digest_is_not_approved(service: TestClient, author: Headers, reviewer: Headers):
    """One byte of the digest changed, or a digest of before: 409."""
    made = submitted(service, author)
    wrong = ("0" if made["digest"][0] != "0" else "1") + made["digest"][1:]
    answer = service.post(f"/plans/{made['id']}/approve", json={"digest": wrong}, headers=reviewer)
    assert (answer.status_code, answer.json()["code"]) == (409, "digest-not-current")


def test_whoever_shows_no_token_or_a_wrong_one_learns_nothing(service: TestClient, author: Headers):
    """401 with WWW-Authenticate, as a problem document."""
    made = submitted(service, author)
    for headers in ({}, {"Authorization": "Bearer tg_wrong"}, {"Authorization": "Basic eDp5"}):
        answer = service.get(f"/plans/{made['id']}", headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert made["digest"] not in answer.text


def test_a_token_of_one_case_sees_no_other(service: TestClient, author: Headers, token: Callable[..., str]):
    """Another case's plan is not there, and not in any list."""
    made = submitted(service, author)
    jones = {"Authorization": f"Bearer {token('joe', 'reviewer', ['Jones'])}"}
    for path in ("", "/preview", "/revisions", "/events"):
        assert service.get(f"/plans/{made['id']}{path}", headers=jones).status_code == 404
    assert service.get("/plans", headers=jones).json()["plans"] == []
    assert service.get("/runs", headers=jones).json()["runs"] == []
    answer = service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=jones)
    assert answer.status_code == 404


def test_a_revision_is_taken_only_on_top_of_the_one_that_is_named(service: TestClient, author: Headers):
    """If-Match with the plan's ETag; with another one the precondition fails, and nothing is stored."""
    made = submitted(service, author)
    tag = service.get(f"/plans/{made['id']}", headers=author).headers["etag"]
    other = plan({"op": "mkdir", "path": "New"})
    first = service.put(f"/plans/{made['id']}", content=other, headers={**author, "If-Match": tag})
    assert (first.status_code, first.json()["revision"]) == (200, 2)
    second = service.put(f"/plans/{made['id']}", content=other, headers={**author, "If-Match": tag})
    assert (second.status_code, second.json()["code"]) == (412, "revision-not-current")
    assert len(service.get(f"/plans/{made['id']}/revisions", headers=author).json()["revisions"]) == 2


def test_a_stream_goes_on_behind_the_last_event_that_was_seen(
    service: TestClient, office: Path, author: Headers, reviewer: Headers
):
    """Last-Event-ID within the run: only the end is told again, under the number of all steps."""
    made = submitted(service, author)
    service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    run = service.post(f"/plans/{made['id']}/apply", headers=reviewer).json()["run"]
    service.get(f"/runs/{run}/events", headers=author)
    told = events(service.get(f"/runs/{run}/events", headers={**author, "Last-Event-ID": "5"}).text)
    assert [(id, name) for id, name, _ in told] == [(6, "ended")]


def test_what_is_paused_is_not_carried_out_until_it_is_resumed(
    service: TestClient, office: Path, environ: dict[str, str], author: Headers, reviewer: Headers
):
    """Asking for the run of a paused case is refused; an approval leaves its run queued."""
    from treegate.gate import Gate

    made = submitted(service, author)
    with Gate.open(office, environ) as gate:
        gate.pause("Smith", "an audit")
        answer = service.post(f"/plans/{made['id']}/apply", headers=reviewer)
        assert answer.status_code == 409
        service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
        assert [job.plan for job in gate.due()] == []
        gate.resume("Smith")
    run = service.post(f"/plans/{made['id']}/apply", headers=reviewer).json()["run"]
    assert events(service.get(f"/runs/{run}/events", headers=author).text)[-1][2]["state"] == "applied"


def test_effects_are_paged_and_sought_through(service: TestClient, office: Path, author: Headers):
    """A page says where the next one begins and how many there are; words are sought in any case, in any place."""
    for number in range(250):
        (office / f"projects/Smith/note {number:03}.txt").write_text("x")
    made = submitted(service, author, plan({"op": "move", "match": "note*.txt", "to": "Notes/"}))
    first = service.get(f"/plans/{made['id']}/effects?limit=120", headers=author).json()
    assert (len(first["effects"]), first["next"], first["total"]) == (120, 120, 251)
    second = service.get(f"/plans/{made['id']}/effects?limit=200&cursor=120", headers=author).json()
    assert (len(second["effects"]), second["next"]) == (131, None)
    assert [one["id"] for one in first["effects"] + second["effects"]] == [f"e{n}" for n in range(1, 252)]
    some = service.get(f"/plans/{made['id']}/effects?q=NOTE 24&limit=4", headers=author).json()
    assert (some["total"], some["next"]) == (13, 4)  # 024, 124, 224 and 240 to 249
    assert all("24" in one["from"] for one in some["effects"])
    for odd, total in (("\\", 0), ('"', 0), ("e1", 0), ("Notes/note", 250)):
        answer = service.get(f"/plans/{made['id']}/effects", params={"q": odd}, headers=author)
        assert (answer.status_code, answer.json()["total"]) == (200, total)


def test_a_run_that_has_ended_tells_all_its_steps(service: TestClient, author: Headers, reviewer: Headers):
    """Done and in all, in the last event and afterwards; the event's id is how many there were."""
    made = submitted(service, author)
    service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    run = service.post(f"/plans/{made['id']}/apply", headers=reviewer).json()["run"]
    id, name, told = events(service.get(f"/runs/{run}/events", headers=author).text)[-1]
    steps = service.get(f"/runs/{run}/receipt", headers=author).json()["steps"]
    assert (id, name, told["done"], told["total"], steps > 0) == (steps, "ended", steps, steps, True)
    now = service.get(f"/runs/{run}", headers=author).json()["progress"]
    assert (now["done"], now["total"]) == (steps, steps)


WHATEVER = ["healthz", "plans", "plans/ID", "plans/ID/effects", "plans/ID/preview", "plans/ID/events", "audit/export"]


@pytest.mark.parametrize("path", [*WHATEVER, "cases/Smith/content?path=scan0.pdf"])
def test_head_says_what_get_says(service: TestClient, author: Headers, path: str):
    """The same status and headers, and no body; a stream ends with its head."""
    path = "/" + path.replace("ID", submitted(service, author)["id"])
    head = service.head(path, headers=author)
    assert (head.status_code, head.content) == (200, b"")
    if not path.endswith("/events"):
        get = service.get(path, headers=author)
        own = {"x-request-id", "date"}
        assert {k: v for k, v in head.headers.items() if k not in own} == {
            k: v for k, v in get.headers.items() if k not in own
        }
    assert service.head("/plans/pl_none", headers=author).status_code == 404


def test_a_method_that_there_is_not_is_told_with_those_that_there_are(service: TestClient, author: Headers):
    """All of the path's, whichever route they are of (RFC 9110, 15.5.6)."""
    answer = service.patch("/plans/pl_x", headers=author)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, PUT")
    assert service.delete("/check", headers=author).headers["allow"] == "POST"
    assert service.get("/plans/", headers=author).status_code == 404


def test_a_comparison_says_what_with(service: TestClient, author: Headers):
    """`to` alone would be taken for something else."""
    made = submitted(service, author)
    assert service.get(f"/plans/{made['id']}/diff?to=1", headers=author).status_code == 400


@pytest.mark.parametrize("name", ["plan", "preview", "receipt"])
def test_the_schemas_of_all_documents_are_there(service: TestClient, name: str):
    """Each is a JSON Schema; nobody needs a token for it."""
    assert "$schema" in service.get(f"/schemas/{name}").json()


@pytest.mark.parametrize("path", ["../x", "a%00b", ""])
def test_a_path_that_is_none_has_no_history(service: TestClient, author: Headers, path: str):
    """It is refused, and not taken for one at which nothing ever was."""
    assert service.get(f"/history?path={path}", headers=author).status_code == 422


def test_moves_that_move_nothing_are_no_plan(service: TestClient, author: Headers):
    """A plan has at least one operation: it is said that there is none."""
    same = {"pairs": [{"from": "scan1.pdf", "to": "scan1.pdf"}]}
    answer = service.post("/cases/Smith/moves", json=same, headers=author)
    assert (answer.status_code, answer.json()["code"]) == (400, "nothing-edited")


def test_a_name_that_no_file_can_have_is_written_down_and_found_by_the_check(service: TestClient, author: Headers):
    """Two moves are in each other's way, so it is looked at what is there: nothing of that name."""
    pairs = [{"from": "a\0b", "to": "scan1.pdf"}, {"from": "scan1.pdf", "to": "a\0b"}]
    answer = service.post("/cases/Smith/moves", json={"pairs": pairs}, headers=author)
    assert answer.status_code == 200, answer.text
    check = service.post("/check", content=answer.content, headers=author).json()
    assert {"path-malformed"} <= {one["code"] for one in check["problems"] if one["severity"] == "error"}
