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
TOOL = """import pathlib
root = pathlib.Path("/case")
print(*sorted(str(path.relative_to(root)) for path in root.rglob("scan*.pdf")), sep="\\n")
(root / "scans.txt").write_text("3 scans\\n")
"""
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
        if kind == "text/event-stream":
            lines = answer.text.partition("\n\n")[0].splitlines()
            kept["gives"][kind] = dict(line.split(": ", 1) for line in lines)
        elif answer.text:
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
        tools = root / "Tools"
        tools.mkdir()
        (tools / "list_scans.py").write_text(TOOL)
        environ["TREEGATE_SANDBOX_APPROVE_COMMAND"] = "true"
        Gate.init(root, environ=environ).close()
        with Gate.open(root, environ) as gate:
            tokens = {role: gate.create_token(name, Role(role))[1] for name, role in PEOPLE.items()}
        with TestClient(create_app(root, environ), "http://127.0.0.1") as client:
            yield client, tokens


PEOPLE = {"archive-agent": "author", "rita": "reviewer", "otto": "operator", "ada": "admin"}


def told(ask: Scribe) -> None:
    """The whole story: a plan proposed, looked at, decided on, carried out, and what there is besides."""
    proposed(ask)
    decided(ask)
    carried_out(ask)
    sandboxed(ask)
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
    looked_at(ask, plan)
    ask("plans", "author", "GET /plans")
    ask("validate", "author", f"POST /plans/{plan}/validate")
    ask("refresh", "author", f"POST /plans/{plan}/refresh")
    ask("withdraw", "author", f"POST /plans/{plan}/withdraw", {"comment": "handed in again with the notes"})


def looked_at(ask: Scribe, plan: str) -> None:
    """A plan from all sides."""
    shown = ask("shown", "reviewer", f"GET /plans/{plan}/shown")
    for operation, path in (
        ("plan-document", "document"),
        ("plan-log", "log"),
        ("plan-decisions", "decisions"),
        ("since-approved", "since-approved"),
        ("since-seen", "since-seen"),
        ("text-difference", "effects/e4/text"),
        ("folders", "folders"),
        ("destination", "destination?path=Smith-v-Jones/scan1.pdf"),
        ("sample", "sample"),
        ("overlaps", "overlaps"),
        ("survivors", "survivors"),
        ("moved-on", "moved-on"),
        ("explain", "explain"),
        ("waiting-for", "waiting-for"),
    ):
        ask(operation, "reviewer", f"GET /plans/{plan}/{path}")
    foreseen(ask)
    digest = shown["preview"]["digest"]
    ask("note-seen", "reviewer", f"POST /plans/{plan}/seen", {"digest": digest})
    ask("reduction", "reviewer", f"POST /plans/{plan}/reduction", {"digest": digest, "leave_out": ["e4"]})
    ask("explain-document", "author", "POST /policy/explain", PLAN)
    ask("terms", "author", "GET /policy")
    ask("case-worksheet", "author", "GET /cases/Smith-v-Jones/worksheet")
    pairs = [{"from": "notes.txt", "to": "Notes/"}]
    ask("write-moves", "author", "POST /cases/Smith-v-Jones/moves", {"pairs": pairs, "title": "Put the notes away"})


def foreseen(ask: Scribe) -> None:
    """A case as a plan would leave it."""
    for operation, path, asked in (
        ("list-outcome", "list", {"folder": "Scans/2026-03", "plan": PLAN}),
        ("find-in-outcome", "find", {"match": "**/*.pdf", "plan": PLAN}),
        ("outcome-info", "info", {"path": "Scans/2026-03/scan1.pdf", "plan": PLAN}),
        ("read-outcome", "read", {"path": "notes.txt"}),
        ("seek-in-outcome", "seek", {"text": "hearing", "plan": PLAN}),
    ):
        ask(operation, "author", f"POST /cases/Smith-v-Jones/outcome/{path}", asked)


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
    for operation, path in (
        ("run-events", "/events"),
        ("run", ""),
        ("receipt", "/receipt"),
        ("applied", "/applied"),
        ("outcome", "/outcome"),
    ):
        ask(operation, "author", f"GET /runs/{run}{path}")
    ask("runs", "author", "GET /runs")
    ask("undo", "operator", f"POST /runs/{run}/undo", {"paths": ["Smith-v-Jones/Scans/2026-03/scan1.pdf"]})
    ask("undo-last", "operator", "POST /undo", {"paths": ["Smith-v-Jones/Scans/2026-03/scan2.pdf"]})
    ask("recover", "operator", f"POST /runs/{run}/recover", {"back": False})
    ask("recover-all", "operator", "POST /recover", {"back": False})
    kept(ask)


def kept(ask: Scribe) -> None:
    """Something is deleted, proved, kept, put back."""
    ask("pause", "operator", "POST /pause", {"case": "Smith-v-Jones", "comment": "an audit until noon"})
    gone = {"version": 1, "case": "Smith-v-Jones", "operations": [{"op": "delete", "path": "notes.txt"}]}
    made = ask("submit", "author", "POST /plans", gone)
    ask("approve", "reviewer", f"POST /plans/{made['id']}/approve", {"digest": made["digest"], "comment": "Fine."})
    ask("resume", "operator", "POST /resume", {"case": "Smith-v-Jones"})
    run = ask("apply-verified", "operator", f"POST /plans/{made['id']}/apply-verified")["run"]
    entry = ask("vault", "author", "GET /vault")["vault"][0]["entry"]
    ask("restore", "operator", "POST /vault/restore", {"run": run, "entries": [entry]})
    ask("prune", "operator", "POST /vault/prune", {"dry": True})
    ask("history", "author", "GET /history?path=Smith-v-Jones/notes.txt")


def sandboxed(ask: Scribe) -> None:
    """Commands are asked for, turned down, taken back, allowed, and run."""
    words = {"cases": ["Smith-v-Jones"], "command": ["python3", "/tools/list_scans.py", "--root", "/case"]}
    made = ask("ask-sandbox", "author", "POST /sandboxes", words | {"timeout": 30})
    body = {"digest": made["digest"], "comment": "Ask for one case at a time."}
    ask("reject-sandbox", "reviewer", f"POST /sandboxes/{made['id']}/reject", body)
    made = ask("ask-sandbox", "author", "POST /sandboxes", words | {"timeout": 40})
    ask("cancel-sandbox", "author", f"POST /sandboxes/{made['id']}/cancel", {"comment": "not needed any more"})
    made = ask("ask-sandbox", "author", "POST /sandboxes", words | {"timeout": 60})
    body = {"digest": made["digest"], "comment": "It only reads."}
    ask("approve-sandbox", "reviewer", f"POST /sandboxes/{made['id']}/approve", body)
    ask("run-sandbox", "author", f"POST /sandboxes/{made['id']}/run")
    for operation, path in (
        ("sandbox-events", "/events"),
        ("sandbox", ""),
        ("sandbox-outcome", "/outcome"),
        ("sandbox-log", "/log"),
    ):
        ask(operation, "author", f"GET /sandboxes/{made['id']}{path}")
    ask("sandboxes", "reviewer", "GET /sandboxes")


def besides(ask: Scribe) -> None:
    """What needs no plan."""
    ask("cases", "author", "GET /cases")
    ask("files", "author", "GET /cases/Smith-v-Jones/files?prefix=Scans/2026-03")
    letter = b"Dear Ms Jones,\n"
    ask("upload", "author", f"PUT /blobs/{hashlib.sha256(letter).hexdigest()}", letter)
    for operation, path in (
        ("healthz", "healthz"),
        ("readyz", "readyz"),
        ("schema", "schemas/plan"),
    ):
        ask(operation, "", f"GET /{path}")
    ask("numbers", "operator", "GET /metrics")
    for operation in ("whoami", "audit"):
        ask(operation, "author", f"GET /{operation}")
    ask("verify", "author", "GET /audit/verify")
    ask("audit-head", "author", "GET /audit/head")
    one = ask("checkpoint", "operator", "POST /audit/checkpoint")
    given = {"name": "the checkpoint of March", "checkpoint": one}
    ask("verify-against", "operator", "POST /audit/verify", {"checkpoints": [given]})
    ask("export", "admin", "GET /audit/export")
    ask("rekey", "admin", "POST /audit/rekey")
    ask("create-token", "admin", "POST /tokens", {"name": "nina", "role": "reviewer", "cases": ["Smith-v-Jones"]})
    ask("revoke-token", "admin", "DELETE /tokens/nina")
    ask("tokens", "admin", "GET /tokens")
    ask("doctor", "reviewer", "POST /doctor", {"deep": False})
    ask("fsck", "operator", "POST /fsck", {"dry": True})
    ask("settings", "operator", "GET /config")


def shorten(found: dict[str, Any]) -> None:
    """Leaves of what is long its beginning."""
    numbers, schema = found["numbers"]["gives"], found["schema"]["gives"]
    numbers["text/plain"] = "".join(numbers["text/plain"].splitlines(True)[:8])
    lines = found["export"]["gives"]
    lines["application/jsonl"] = "".join(lines["application/jsonl"].splitlines(True)[:2])
    found["settings"]["gives"]["application/json"]["path"] = "/var/lib/treegate/office/treegate.toml"
    found["create-token"]["gives"]["application/json"]["text"] = "tg_…"
    whole = schema["application/json"]
    schema["application/json"] = {key: whole[key] for key in ("$schema", "title", "$ref")}


if __name__ == "__main__":
    with office() as (client, tokens):
        scribe = Scribe(client, tokens)
        told(scribe)
    shorten(scribe.found)
    WHERE.write_text(json.dumps(scribe.found, indent=1, ensure_ascii=False) + "\n")
