"""Makes the examples of the OpenAPI document: a small office is served, and its answers are written down.

`python docs/examples.py` writes src/treegate/interfaces/http/examples.json; a test holds it against the schemas.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

import treegate
from treegate.gate import Gate
from treegate.interfaces.http.app import create_app
from treegate.model.actors import Role

WHERE = Path(treegate.__file__).parent / "interfaces/http/examples.json"
PLAN = {
    "version": 1,
    "case": "Smith-v-Jones",
    "title": "Sort the scans of March",
    "reason": "The scans lie loose beside the pleadings.",
    "requested_by": "Paula Partner",
    "operations": [
        {"op": "move", "match": "scan*.pdf", "to": "Scans/2026-03/", "why": "by month"},
        {"op": "rename", "path": "notes.txt", "name": "Notes on the hearing.txt"},
    ],
}
MENDED = PLAN | {"title": "Sort the scans of March, and only those", "operations": PLAN["operations"][:1]}


class Scribe:
    """Asks the service as one of its people, and writes down what was asked and answered."""

    def __init__(self, client: TestClient, tokens: dict[str, str]) -> None:
        self._client, self._tokens = client, tokens
        self.found: dict[str, Any] = {}

    def __call__(
        self, operation: str, who: str, request: str, body: Any = None, accept: str = "*/*", **headers: str
    ) -> Any:
        """One request, such as `POST /plans`, whose answer is the example of an operation."""
        method, path = request.split(" ", 1)
        sent = {"Accept": accept, **headers} | ({"Authorization": f"Bearer {self._tokens[who]}"} if who else {})
        content = body if isinstance(body, bytes) else json.dumps(body) if body is not None else None
        answer = self._client.request(method, path, content=content, headers=sent)
        assert answer.status_code < 300, (request, answer.status_code, answer.text)
        kept = self.found.setdefault(operation, {"gives": {}})
        if body is not None and not isinstance(body, bytes):
            kept["takes"] = body
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if kind == "application/json":
            kept["gives"][kind] = answer.json()
            return answer.json()
        if answer.text:
            kept["gives"][kind] = answer.text
        return answer.text


@contextmanager
def office() -> Iterator[tuple[TestClient, dict[str, str]]]:
    """A small office, served, and the token of each of its people."""
    with tempfile.TemporaryDirectory() as folder:
        root, environ = Path(folder) / "office", {"TREEGATE_STATE": f"{folder}/state", "PATH": "/usr/bin:/bin"}
        case = root / "projects/Smith-v-Jones"
        case.mkdir(parents=True)
        for number in range(1, 4):
            (case / f"scan{number}.pdf").write_bytes(b"%PDF-1.4\n" * number)
        (case / "notes.txt").write_text("The hearing is on the 14th.\n")
        Gate.init(root, environ=environ).close()
        with Gate.open(root, environ) as gate:
            tokens = {role: gate.create_token(name, Role(role))[1] for name, role in PEOPLE.items()}
        with TestClient(create_app(root, environ)) as client:
            yield client, tokens


PEOPLE = {"archive-agent": "author", "rita": "reviewer", "otto": "operator", "ada": "admin"}


def told(ask: Scribe) -> None:
    """The whole story: a plan proposed, looked at, decided on, carried out, and what there is besides."""
    proposed(ask)
    decided(ask)
    carried_out(ask)
    besides(ask)


def proposed(ask: Scribe) -> None:
    """A plan is checked, handed in, mended, looked at."""
    ask("check", "author", "POST /check", PLAN)
    plan = ask("submit", "author", "POST /plans", PLAN)["id"]
    ask("revise", "author", f"PUT /plans/{plan}", MENDED)
    for operation, path in (
        ("plan", ""),
        ("revisions", "/revisions"),
        ("diff", "/diff?from=1"),
        ("effects", "/effects"),
    ):
        ask(operation, "author", f"GET /plans/{plan}{path}")
    for kind in ("application/json", "text/markdown", "text/html", "text/plain"):
        ask("preview", "author", f"GET /plans/{plan}/preview", accept=kind)
    ask("plans", "author", "GET /plans")
    ask("validate", "author", f"POST /plans/{plan}/validate")
    ask("refresh", "author", f"POST /plans/{plan}/refresh")
    ask("withdraw", "author", f"POST /plans/{plan}/withdraw", {"comment": "handed in again with the notes"})


def decided(ask: Scribe) -> None:
    """Reviewers decide each way there is."""
    for operation, comment in (
        ("request-changes", "Leave the notes where they are."),
        ("reject", "Not before Friday."),
    ):
        made = ask("submit", "author", "POST /plans", PLAN | {"title": f"Sort the scans ({operation})"})
        body = {"digest": made["digest"], "comment": comment}
        ask(operation, "reviewer", f"POST /plans/{made['id']}/{operation}", body)


def carried_out(ask: Scribe) -> None:
    """A part is left out, the rest approved, carried out, and taken back."""
    made = ask("submit", "author", "POST /plans", PLAN)
    less = ask(
        "reduce", "reviewer", f"POST /plans/{made['id']}/reduce", {"digest": made["digest"], "leave_out": ["e5"]}
    )
    plan, decision = made["id"], {"digest": less["digest"], "comment": "As we agreed."}
    ask("pause", "operator", "POST /pause", {"case": "Smith-v-Jones", "comment": "an audit until noon"})
    ask("status", "reviewer", "GET /status")
    ask("approve", "reviewer", f"POST /plans/{plan}/approve", decision)
    ask("revoke", "reviewer", f"POST /plans/{plan}/revoke", {"digest": less["digest"], "comment": "one more look"})
    ask("resume", "operator", "POST /resume", {"case": "Smith-v-Jones"})
    made = ask("submit", "author", "POST /plans", MENDED)
    ask("approve", "reviewer", f"POST /plans/{made['id']}/approve", {"digest": made["digest"], "comment": "Fine."})
    run = ask("apply", "operator", f"POST /plans/{made['id']}/apply")["run"]
    for operation, path in (("run-events", "/events"), ("run", ""), ("receipt", "/receipt")):
        ask(operation, "author", f"GET /runs/{run}{path}")
    ask("runs", "author", "GET /runs")
    ask("undo", "operator", f"POST /runs/{run}/undo", {"paths": ["Smith-v-Jones/Scans/2026-03/scan1.pdf"]})
    ask("recover", "operator", f"POST /runs/{run}/recover", {"back": False})


def besides(ask: Scribe) -> None:
    """What needs no plan."""
    ask("cases", "author", "GET /cases")
    ask("files", "author", "GET /cases/Smith-v-Jones/files?prefix=Scans/2026-03")
    letter = b"Dear Ms Jones,\n"
    ask("upload", "author", f"PUT /blobs/{hashlib.sha256(letter).hexdigest()}", letter)
    for operation, path in (
        ("healthz", "healthz"),
        ("readyz", "readyz"),
        ("numbers", "metrics"),
        ("schema", "schemas/plan"),
    ):
        ask(operation, "", f"GET /{path}")
    for operation in ("whoami", "vault", "audit"):
        ask(operation, "author", f"GET /{operation}")
    ask("verify", "author", "GET /audit/verify")
    ask("tokens", "admin", "GET /tokens")


def shorten(found: dict[str, Any]) -> None:
    """Leaves of what is long its beginning."""
    numbers, schema = found["numbers"]["gives"], found["schema"]["gives"]
    numbers["text/plain"] = "".join(numbers["text/plain"].splitlines(True)[:8])
    whole = schema["application/json"]
    schema["application/json"] = {key: whole[key] for key in ("$schema", "title", "$ref")}


if __name__ == "__main__":
    with office() as (client, tokens):
        scribe = Scribe(client, tokens)
        told(scribe)
    shorten(scribe.found)
    WHERE.write_text(json.dumps(scribe.found, indent=1, ensure_ascii=False) + "\n")
