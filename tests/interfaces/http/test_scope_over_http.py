"""Nothing that the service tells to whoever may see one case speaks of what is secret in another."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import bearer
from fastapi.testclient import TestClient
from test_plans_over_http import Headers, plan

from treegate.gate import Gate
from treegate.interfaces.http.app import create_app
from treegate.interfaces.http.openapi import operations
from treegate.model.actors import Role

SECRET = "JONES-SECRET"
FOLLOWED = "GET /plans/{id}/events"  # a stream that ends with its plan: asked only of plans that are not there
ROLES = (Role.AUTHOR, Role.REVIEWER, Role.OPERATOR)
LOOKS = [
    "POST /check",
    "POST /policy/explain",
    "POST /plans/{id}/reduction",
    "POST /doctor",
    "POST /fsck",
]
FOUND = dict(operations(create_app(Path("/nowhere"), {}).openapi()))
ASKED = [name for name in FOUND if name.startswith("GET ")] + LOOKS
DIRECT = {"op": "delete", "path": "scan3.pdf"}


def without_case(*operations: dict[str, Any], word: str = SECRET) -> str:
    """A plan that names no case, under a telling title."""
    return json.dumps({"version": 1, "title": word, "reason": word, "operations": operations})


class Secrets:
    """Plans of every kind and runs of both cases; what is of Jones' carries the marker wherever people write."""

    def __init__(self, root: Path, environ: dict[str, str]) -> None:
        self.ids: dict[str, dict[str, list[str]]] = {case: {"plans": [], "runs": []} for case in ("Jones", "Smith")}
        with Gate.open(root, {**environ, "TREEGATE_POLICY_APPROVAL_OWN": "true"}) as gate:
            for case, word in (("Jones", SECRET), ("Smith", "fine")):
                self._fill(gate, case, word)
            across = [{"op": "move", "from": "Smith/scan2.pdf", "to": f"Jones/{SECRET}-moved.pdf"}]
            self._run(gate, "Jones", without_case(*across), SECRET)
            held = {"op": "restore", "run": self.ids["Smith"]["runs"][0], "entry": 0, "to": f"Jones/{SECRET}-r.pdf"}
            waits = gate.submit(without_case(held))
            assert waits.state == "pending", waits.problems
            self.ids["Jones"]["plans"].append(waits.id)
            gate.pause("Jones", SECRET)

    def _fill(self, gate: Gate, case: str, word: str) -> None:
        head = {"case": case, "title": word, "reason": word}
        own = self.ids[case]["plans"]
        self._run(gate, case, plan(DIRECT, **head), word)
        create = {"op": "create", "path": f"{word}.txt", "content": f"{word}\n"}
        self._run(gate, case, plan(create, **head), word)
        asked = gate.submit(plan({"op": "move", "from": "scan0.pdf", "to": f"{word}.pdf"}, **head))
        gate.request_changes(asked.id, asked.digest, word)
        wrong = gate.submit(plan({"op": "move", "from": f"{word}-none.pdf", "to": f"{word}.pdf"}, **head))
        assert wrong.state == "invalid"
        pending = gate.submit(plan({"op": "replace", "path": f"{word}.txt", "content": f"{word} 2\n"}, **head))
        draft = gate.submit(plan({"op": "mkdir", "path": word}, **head), draft=True)
        own += [one.id for one in (asked, wrong, pending, draft)]

    def _run(self, gate: Gate, case: str, document: str, word: str) -> None:
        made = gate.submit(document)
        assert made.state == "pending", made.problems
        gate.approve(made.id, made.digest, word)
        self.ids[case]["plans"].append(made.id)
        self.ids[case]["runs"].append(gate.apply(made.id).run)


class Scene(NamedTuple):
    """The office with its secrets, behind the service, and the headers of people for some cases."""

    service: TestClient
    ids: dict[str, dict[str, list[str]]]
    people: dict[str, Headers]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Made once: the questions change nothing."""
    folder = tmp_path_factory.mktemp("scope")
    root, environ = folder / "office", {"TREEGATE_STATE": str(folder / "state"), "PATH": "/usr/bin:/bin"}
    for path in (
        root / "projects" / case / f"scan{number}.pdf" for case in ("Smith", "Jones") for number in range(5)
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    Gate.init(root, environ=environ).close()
    secrets = Secrets(root, environ)
    with Gate.open(root, environ) as gate:
        texts = {role.value: gate.create_token(role.value, role, ["Smith"])[1] for role in ROLES}
        texts["everywhere"] = gate.create_token("everywhere", Role.OPERATOR)[1]
    with TestClient(create_app(root, environ), "http://127.0.0.1", client=("127.0.0.1", 50000)) as client:
        yield Scene(client, secrets.ids, {name: bearer(text) for name, text in texts.items()})


def filled(name: str, ids: dict[str, list[str]], case: str) -> Iterator[str]:
    """The paths that an operation is asked at: of each plan or run of a case, with what its parameters want."""
    path = name.partition(" ")[2]
    of = ids["runs"] if path.startswith("/runs/") else ids["plans"]
    for id in of if "{id}" in path else [""]:
        for each in (id, id[:9]) if id else ("",):
            at = path.format(id=each, case=case, effect="e1", name="plan", token="x")
            yield at
            yield from (f"{at}?{query}" for query in queries(name, ids, case))


def queries(name: str, ids: dict[str, list[str]], case: str) -> Iterator[str]:
    """What else may be asked: of a case, a plan, a run, a path."""
    wants = {one["name"] for one in FOUND[name].get("parameters", []) if one["in"] == "query"}
    values: dict[str, list[str]] = {
        "case": [case],
        "plan": ids["plans"][:1],
        "run": ids["runs"][:1],
        "path": [f"{case}/scan2.pdf", "scan2.pdf", "Smith/scan2.pdf", f"{case}/scan3.pdf"],
        "q": ["pdf"],
        "from": ["1"],
    }
    yield from (f"{key}={value}" for key in sorted(wants & values.keys()) for value in values[key])


def bodies(name: str, case: str) -> list[Any]:
    """What is sent with the questions that are asked with POST."""
    if name in ("POST /check", "POST /policy/explain"):
        return [
            plan({"op": "delete", "path": "scan4.pdf"}, case=case),
            without_case({"op": "delete", "path": f"{case}/scan4.pdf"}, word=""),
        ]
    return {"POST /plans/{id}/reduction": ['{"leave_out": ["e1"]}'], "POST /fsck": ['{"dry": true}']}.get(
        name, ["{}"]
    )


def answers(scene: Scene, name: str, role: str) -> Iterator[Any]:
    """Every answer that somebody of a role, for Smith alone, gets out of an operation."""
    method = name.partition(" ")[0]
    for case, ids in scene.ids.items():
        if (name, case) != (FOLLOWED, "Smith"):
            sent = bodies(name, case) if method == "POST" else [None]
            for path, body in itertools.product(filled(name, ids, case), sent):
                yield scene.service.request(method, path, content=body, headers=scene.people[role])


@pytest.mark.parametrize("name", ASKED)
def test_nothing_of_another_case_is_told(scene: Scene, name: str):
    """Whatever is asked, by id, by the beginning of one, by case, by path: no word of it, and no fault."""
    for role in ROLES:
        for answer in answers(scene, name, role.value):
            where = f"{role} {answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:400]}"
            assert answer.status_code < 500, where
            assert SECRET not in answer.text, where


@pytest.mark.parametrize("name", [one for one in ASKED if "{id}" in one])
def test_what_one_may_not_see_is_not_told_to_exist(scene: Scene, name: str):
    """A plan or run of another case is answered as one that there is not: 404, with the same words."""
    method, path = name.split(" ")
    kind = "runs" if path.startswith("/runs") else "plans"
    body, said = bodies(name, "Jones")[0] if method == "POST" else None, set()
    for id in (*scene.ids["Jones"][kind], {"plans": "pl_zzzzzzzz", "runs": "run_zzzzzzzz"}[kind]):
        at = path.format(id=id, effect="e1") + ("?path=x" if path.endswith("destination") else "")
        answer = scene.service.request(method, at, content=body, headers=scene.people["operator"])
        told = answer.json()
        said.add((answer.status_code, told["code"], told["detail"].replace(id, "X")))
    what = "sandbox" if path.startswith("/sandboxes") else kind[:-1]
    assert [(status, code) for status, code, _ in said] == [(404, f"{what}-not-found")]


@pytest.mark.parametrize("name", ["/plans", "/runs", "/status", "/cases", "/vault", "/audit"])
def test_what_is_listed_names_no_other_case(scene: Scene, name: str):
    """Nor a plan or run of it; whoever sees all cases is told of both."""
    words = ["Jones", *scene.ids["Jones"]["plans"], *scene.ids["Jones"]["runs"]]
    scoped = scene.service.get(name, headers=scene.people["operator"]).text
    assert not [word for word in words if word in scoped]
    whole = scene.service.get(name, headers=scene.people["everywhere"]).text
    assert [word for word in words if word in whole]
