"""Many authors and reviewers at one service at the same moment: a real process, a connection for each of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier

import httpx2
from test_plans_over_http import SORT, events, plan

from treegate.gate import Gate
from treegate.model.actors import Role

CROWD = 50


def at_once(*work: Callable[[], httpx2.Response]) -> list[httpx2.Response]:
    """All of it, begun at the same moment."""
    start = Barrier(len(work))

    def one(do: Callable[[], httpx2.Response]) -> httpx2.Response:
        start.wait(60)
        return do()

    with ThreadPoolExecutor(len(work)) as threads:
        return list(threads.map(one, work))


def client(address: str, token: str) -> httpx2.Client:
    return httpx2.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=120)


def test_fifty_decide_one_plan_each_once_and_it_runs_once(address: str, office: Path, environ: dict[str, str]):
    """Item 39: each of fifty decides once, whatever they sent twice; one run; nothing lost, in the log neither."""
    with Gate.open(office, environ) as gate:
        author = client(address, gate.create_token("ann", Role.AUTHOR)[1])
        crowd = [client(address, gate.create_token(f"r{n}", Role.REVIEWER)[1]) for n in range(CROWD)]
    made = author.post("/plans", content=SORT).json()

    def approve(one: httpx2.Client) -> Callable[[], httpx2.Response]:
        return lambda: patient(lambda: one.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}))

    told = at_once(*map(approve, crowd), *map(approve, crowd))
    late = Counter(one.json()["code"] for one in told if one.status_code != 200)
    assert late.keys() <= {"already-applying", "already-applied"}, late  # the run began with the first approval
    asked = at_once(*(lambda one=one: patient(lambda: one.post(f"/plans/{made['id']}/apply")) for one in crowd))
    assert {one.status_code for one in asked} == {202}
    (run,) = {one.json()["run"] for one in asked}
    assert events(author.get(f"/runs/{run}/events").text)[-1][2]["state"] == "applied"
    with Gate.open(office, environ) as gate:
        store = gate.core.store
        decided = Counter(decision.reviewer for decision in store.decisions(made["id"]))
        accepted = {f"r{n}" for n in range(CROWD) if told[n].status_code == 200 or told[CROWD + n].status_code == 200}
        assert set(decided) == accepted
        assert set(decided.values()) == {1}
        assert [one.id for one in store.runs(plan=made["id"])] == [run]
        logged = Counter(row.event for row in gate.events_of(made["id"]))
        assert (logged["approve"], logged["run-asked"]) == (len(decided), 1)
        assert gate.verify_audit().verified
    assert sorted(path.name for path in (office / "projects/Smith/Scans").iterdir()) == [
        f"scan{n}.pdf" for n in range(5)
    ]


def test_approvals_and_a_rejection_at_once_leave_one_truth(address: str, office: Path, environ: dict[str, str]):
    """Whoever comes first: either it ran, and the rejection is told that it was too late, or it never runs."""
    with Gate.open(office, environ) as gate:
        author = client(address, gate.create_token("ann", Role.AUTHOR)[1])
        crowd = [client(address, gate.create_token(f"r{n}", Role.REVIEWER)[1]) for n in range(10)]
    for number in range(4):
        made = author.post("/plans", content=plan({"op": "mkdir", "path": f"New {number}"})).json()
        body = {"digest": made["digest"], "comment": "x"}
        told = at_once(
            *(
                partial(patient, partial(one.post, f"/plans/{made['id']}/{verb}", json=body))
                for one, verb in zip(crowd, ["approve", "reject"] * 5, strict=True)
            )
        )
        assert {one.status_code for one in told} <= {200, 403, 409}, [one.text for one in told]
        with Gate.open(office, environ) as gate:
            verdicts = Counter(one.verdict.value for one in gate.core.store.decisions(made["id"]))
            assert sum(verdicts.values()) == sum(one.status_code == 200 for one in told)
            if verdicts["reject"]:
                assert gate.plan(made["id"]).state in {"rejected", "applying", "applied"}
                assert gate.plan(made["id"]).state == "rejected" or (office / f"projects/Smith/New {number}").exists()


def test_fifty_authors_hand_in_at_once_and_none_is_lost(address: str, office: Path, environ: dict[str, str]):
    """Each gets a plan of its own, and finds it again."""
    with Gate.open(office, environ) as gate:
        crowd = [client(address, gate.create_token(f"a{n}", Role.AUTHOR)[1]) for n in range(CROWD)]
    told = at_once(
        *(
            lambda one=one, n=n: patient(
                lambda: one.post("/plans", content=plan({"op": "mkdir", "path": f"Folder {n}"}))
            )
            for n, one in enumerate(crowd)
        )
    )
    assert {one.status_code for one in told} == {201}, Counter(one.text for one in told)
    ids = {one.json()["id"] for one in told}
    assert len(ids) == CROWD
    for n, one in enumerate(crowd):
        found = one.get(f"/plans/{told[n].json()['id']}").json()
        assert (found["author"], found["state"]) == (f"a{n}", "pending"), json.dumps(found)


def patient(ask: Callable[[], httpx2.Response], times: int = 30) -> httpx2.Response:
    """Asks again as long as the service is busy, as its Retry-After says."""
    for _ in range(times):
        answer = ask()
        if answer.status_code not in {429, 503} and answer.json().get("code") != "too-busy":
            return answer
    return answer
