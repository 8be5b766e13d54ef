"""What must be survived, over HTTP: paths that try to get out, what changed since the approval, and who may not."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from test_plans_over_http import events, plan, submitted

Headers = dict[str, str]


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """An approval alone begins no run: so that something may happen in between."""
    return environ | {"TREEGATE_POLICY_APPLY_ON_APPROVAL": "false"}


def approved(service: TestClient, made: dict[str, Any], reviewer: Headers) -> None:
    answer = service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    assert (answer.status_code, answer.json()["state"]) == (200, "approved"), answer.text


def applied(service: TestClient, id: str, reviewer: Headers) -> dict[str, Any]:
    """What the run of a plan says at its end."""
    answer = service.post(f"/plans/{id}/apply", headers=reviewer)
    assert answer.status_code == 202, answer.text
    return events(service.get(f"/runs/{answer.json()['run']}/events", headers=reviewer).text)[-1][2]


def test_a_case_whose_name_begins_like_another_is_another(
    service: TestClient, office: Path, token: Callable[..., str], author: Headers
):
    """Item 29: who may see `Smith` sees nothing of `Smith-evil`, and hands nothing in for it."""
    (office / "projects/Smith-evil").mkdir()
    (office / "projects/Smith-evil/secret.txt").write_text("x")
    other = submitted(service, author, plan({"op": "mkdir", "path": "New"}, case="Smith-evil"))
    scoped = {"Authorization": f"Bearer {token('joe', 'author', ['Smith'])}"}
    for path in ("", "/preview", "/effects", "/revisions", "/events"):
        assert service.get(f"/plans/{other['id']}{path}", headers=scoped).status_code == 404
    assert service.get("/plans", headers=scoped).json()["plans"] == []
    for document in (
        plan({"op": "mkdir", "path": "X"}, case="Smith-evil"),
        '{"version": 1, "operations": [{"op": "delete", "path": "Smith-evil/secret.txt"}]}',
        '{"version": 1, "operations": [{"op": "move", "from": "Smith/scan0.pdf", "to": "Smith-evil/"}]}',
    ):
        answer = service.post("/plans", content=document, headers=scoped)
        assert answer.status_code == 403, answer.text
    assert len(service.get("/plans", headers=author).json()["plans"]) == 1


OUT = ["../Jones/x", "a/../../x", "/etc/passwd", "a/./b", "a//b", "a\0b", "..", ".", "Smith/../../../x", ""]


@pytest.mark.parametrize("place", ["path", "from", "to"])
def test_a_path_that_gets_out_is_no_path(service: TestClient, author: Headers, place: str):
    """Item 30: `..`, absolute, NUL: 422, or stored as invalid with its problem; never a plan to approve."""
    for path in OUT:
        operation = {
            "path": {"op": "mkdir", "path": path},
            "from": {"op": "move", "from": path, "to": "a"},
            "to": {"op": "move", "from": "scan0.pdf", "to": path},
        }[place]
        document = {"version": 1, "case": "Smith", "operations": [operation]}
        answer = service.post("/plans", json=document, headers=author)
        assert answer.status_code == 422 or (answer.status_code, answer.json()["state"]) == (201, "invalid"), path
        assert [one for one in answer.json()["problems"] if one["severity"] == "error"], path


def test_one_byte_of_the_tree_changed_after_the_approval_stops_the_run(
    service: TestClient, office: Path, author: Headers, reviewer: Headers
):
    """Item 37: the run is refused as stale, and nothing is moved."""
    made = submitted(service, author)
    approved(service, made, reviewer)
    with (office / "projects/Smith/scan3.pdf").open("r+b") as file:
        file.write(b"X")
    told = applied(service, made["id"], reviewer)
    assert told["state"] == "stale", told
    assert not (office / "projects/Smith/Scans").exists()
    assert service.get(f"/plans/{made['id']}", headers=author).json()["state"] == "stale"


def test_one_byte_of_the_plan_changed_after_the_approval_wants_another_approval(
    service: TestClient, office: Path, author: Headers, reviewer: Headers
):
    """Item 37: a revision starts undecided: it is not applied, and the old digest approves nothing."""
    made = submitted(service, author, plan({"op": "mkdir", "path": "New1"}))
    approved(service, made, reviewer)
    answer = service.put(f"/plans/{made['id']}", content=plan({"op": "mkdir", "path": "New2"}), headers=author)
    assert (answer.status_code, answer.json()["state"]) == (200, "pending")
    assert service.post(f"/plans/{made['id']}/apply", headers=reviewer).status_code == 409
    old = service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    assert (old.status_code, old.json()["code"]) == (409, "digest-not-current")


def test_one_byte_of_what_was_approved_changed_in_the_database_stops_the_run(
    service: TestClient, office: Path, environ: dict[str, str], author: Headers, reviewer: Headers
):
    """Item 37: the step table does not match its digest any more."""
    made = submitted(service, author)
    approved(service, made, reviewer)
    (table,) = (Path(environ["TREEGATE_STATE"]) / "previews").glob("*.table")
    data = bytearray(table.read_bytes())
    data[len(data) // 2] ^= 1
    table.write_bytes(data)
    told = applied(service, made["id"], reviewer)
    assert told["state"] != "applied"
    assert sorted(path.name for path in (office / "projects/Smith").iterdir()) == [f"scan{n}.pdf" for n in range(5)]


def test_a_double_click_and_a_duplicate_delivery_make_one_run(
    service: TestClient, office: Path, author: Headers, reviewer: Headers, token: Callable[..., str]
):
    """Item 39: an approval twice, two approvers at once, `apply` many times at once: one run."""
    made = submitted(service, author)
    other = {"Authorization": f"Bearer {token('rob', 'reviewer')}"}
    with ThreadPoolExecutor(8) as threads:
        decided = list(
            threads.map(
                lambda who: (
                    service.post(
                        f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=who
                    ).status_code
                ),
                [reviewer, other] * 4,
            )
        )
        runs = list(
            threads.map(
                lambda _: service.post(f"/plans/{made['id']}/apply", headers=reviewer).json()["run"], range(8)
            )
        )
    assert (set(decided), len(set(runs))) == ({200}, 1)
    told = events(service.get(f"/runs/{runs[0]}/events", headers=author).text)[-1][2]
    assert told["state"] == "applied"
    assert applied(service, made["id"], reviewer)["run"] == runs[0]
    core = service.app.state.service.gate.core  # type: ignore[attr-defined]
    assert sorted(one.reviewer for one in core.store.decisions(made["id"])) == ["rita", "rob"]
    assert len(core.store.runs(plan=made["id"])) == 1


def test_nobody_approves_their_own_plan(service: TestClient, reviewer: Headers, token: Callable[..., str]):
    """Item 40: who handed it in, and who revised it last; somebody else may."""
    made = submitted(service, reviewer)
    own = service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    assert (own.status_code, own.json()["code"]) == (403, "own-plan")
    other = {"Authorization": f"Bearer {token('rob', 'reviewer')}"}
    again = service.put(f"/plans/{made['id']}", content=plan({"op": "mkdir", "path": "New"}), headers=other).json()
    both = [
        service.post(f"/plans/{made['id']}/approve", json={"digest": again["digest"]}, headers=who).json()["code"]
        for who in (reviewer, other)
    ]
    assert both == ["own-plan", "own-plan"]


def test_a_form_from_another_site_is_refused(service: TestClient, token: Callable[..., str]):
    """Item 41: whatever cookie and mark it brings; nothing is decided."""
    service.post("/ui/login", data={"token": token("rita", "reviewer")})
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = service.post("/ui/plans/pl_x/approve", data={"digest": "x", "csrf": "x"}, headers=headers)
        assert answer.status_code == 403


def test_an_approval_that_ran_out_is_expired_and_not_denied(
    service: TestClient, office: Path, author: Headers, reviewer: Headers
):
    """Item 42: in the plan, in the refusal of its run, in the log; refreshed, it is decided anew."""
    made = submitted(service, author)
    approved(service, made, reviewer)
    core = service.app.state.service.gate.core  # type: ignore[attr-defined]
    now = core.clock()
    core.clock = lambda: now + 80 * 3_600_000
    answer = service.post(f"/plans/{made['id']}/apply", headers=reviewer)
    assert (answer.status_code, answer.json()["code"], answer.json()["exit_status"]) == (409, "approval-expired", 13)
    assert service.get(f"/plans/{made['id']}", headers=author).json()["state"] == "expired"
    assert service.get(f"/plans/{made['id']}/preview", headers=author).status_code == 200
    logged = [row["event"] for row in service.get("/audit", headers=reviewer).json()["events"]]
    assert "expire" in logged
    assert not {"reject", "revoke"} & set(logged)
    again = service.post(f"/plans/{made['id']}/refresh", headers=author).json()
    assert again["state"] == "pending"
    approved(service, again, reviewer)


def test_approved_then_stale_then_handed_in_unchanged_is_decided_anew(
    service: TestClient, office: Path, author: Headers, reviewer: Headers
):
    """Item 43: the approval of before is of another digest, and approves nothing of what is there now."""
    made = submitted(service, author)
    approved(service, made, reviewer)
    (office / "projects/Smith/scan3.pdf").write_text("edited")
    applied(service, made["id"], reviewer)
    answer = service.put(
        f"/plans/{made['id']}",
        content=plan({"op": "move", "match": "*.pdf", "to": "Scans/"}),
        headers=author,
    )
    assert (answer.status_code, answer.json()["state"]) == (200, "pending")
    assert answer.json()["digest"] != made["digest"]
    assert service.post(f"/plans/{made['id']}/apply", headers=reviewer).status_code == 409
    approved(service, answer.json(), reviewer)
    assert applied(service, made["id"], reviewer)["state"] == "applied"
    assert (office / "projects/Smith/Scans/scan3.pdf").read_text() == "edited"
