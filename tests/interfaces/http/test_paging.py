"""Lists over HTTP: paged, filtered, and of nothing that the actor may not see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi.testclient import TestClient
from test_plans_over_http import plan, submitted

from treegate.gate import Gate

Headers = dict[str, str]


def after(limit: int, cursor: int | None) -> dict[str, int]:
    """What asks for the page behind a cursor."""
    return {"limit": limit} if cursor is None else {"limit": limit, "cursor": cursor}


def test_a_page_of_one_case_is_full_although_others_lie_between(
    service: TestClient, author: Headers, token: Callable[..., str]
):
    """Plans of other cases take no room on a page; each plan of one's own is told once."""
    mine = []
    for number in range(5):
        for case in ("Smith", "Jones"):
            made = submitted(service, author, plan({"op": "mkdir", "path": f"New{number}"}, case=case))
            mine += [made["id"]] if case == "Jones" else []
    jones = {"Authorization": f"Bearer {token('joe', 'reviewer', ['Jones'])}"}
    seen, cursor = [], None
    for expected in (2, 2, 1):
        page = service.get("/plans", params=after(2, cursor), headers=jones).json()
        assert len(page["plans"]) == expected
        seen, cursor = seen + [one["id"] for one in page["plans"]], page["next"]
    assert (seen, cursor) == (mine[::-1], None)


def test_runs_are_paged_and_filtered(
    service: TestClient, office: Path, environ: dict[str, str], author: Headers, token: Callable[..., str]
):
    """By plan, state and case; a token of one case sees none of another's, also by the plan's id."""
    found = []
    for number in range(3):
        for case in ("Smith", "Jones"):
            made = submitted(service, author, plan({"op": "mkdir", "path": f"New{number}"}, case=case))
            found.append(made["id"])
            with Gate.open(office, environ) as gate:
                if gate.plan(made["id"]).state == "pending":
                    gate.approve(made["id"], made["digest"])
                gate.apply(made["id"])
    seen, cursor = [], None
    for expected in (4, 2):
        page = service.get("/runs", params=after(4, cursor), headers=author).json()
        assert len(page["runs"]) == expected
        seen, cursor = seen + [one["plan"] for one in page["runs"]], page["next"]
    assert (seen, cursor) == (found[::-1], None)
    of_plan = service.get("/runs", params={"plan": found[0]}, headers=author).json()["runs"]
    assert [one["plan"] for one in of_plan] == [found[0]]
    assert len(service.get("/runs?state=applied&case=Smith", headers=author).json()["runs"]) == 3
    assert service.get("/runs?state=undone", headers=author).json()["runs"] == []
    assert service.get("/runs?plan=pl_nowhere", headers=author).status_code == 404
    jones = {"Authorization": f"Bearer {token('joe', 'reviewer', ['Jones'])}"}
    assert len(service.get("/runs?limit=3", headers=jones).json()["runs"]) == 3
    # What one may not see is not told to exist.
    unseen = service.get("/runs", params={"plan": found[0]}, headers=jones)
    assert (unseen.status_code, unseen.json()["code"]) == (404, "plan-not-found")
