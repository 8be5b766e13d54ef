"""One set of claims for both faces of a workspace: `Gate` on its folder, and `Client` on a service that has it."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commandwork import SMALL, runnable
from nearby import Nearby

import treegate
from treegate.client import Client
from treegate.gate import Gate
from treegate.gate.sandboxing.events import Captured, Exited, Finished, Output, Started
from treegate.gate.writing import Pair
from treegate.model.actors import Role
from treegate.model.commands import CommandState
from treegate.model.effects import untagged
from treegate.model.lifecycle import State
from treegate.model.names import visible
from treegate.model.worksheet import sheet

# What the client does not have, and why.
ABSENT = {
    "init": "a workspace is made where it is",
    "open": "`connect` is the client's",
    "core": "the gate's own modules stand on it",
    "root": "a path of another machine",
    "state": "a path of another machine",
    "acting_as": "who acts is said by the token",
    "agent_openings": "part of `init`; `doctor` tells the same",
    "ask": "what the service does on POST /plans/{id}/apply",
    "approve_and_ask": "what the service does on POST /plans/{id}/approve",
    "trial": "a copy on this machine, for this process to change",
    "due": "of who runs the jobs",
    "held": "of who runs the jobs",
    "carry_out": "of who runs the jobs",
    "carry_on": "of who runs the jobs",
    "take_up": "of who runs the jobs",
    **dict.fromkeys(
        (
            "attended",
            "claims",
            "drops",
            "heed",
            "hold",
            "make_queue",
            "read_drop",
            "renew",
            "stale",
            "stamps",
            "put_off_reports",
            "rehearse",
            "take_claim",
            "take_drops",
            "write_up",
        ),
        "of the worker, which is beside the workspace",
    ),
    **dict.fromkeys(
        (
            "about",
            "crier",
            "first_time",
            "look_out",
            "next_for",
            "not_told",
            "of_slack",
            "post_of",
            "told",
            "trying",
        ),
        "of whoever tells others what happens, beside the workspace",
    ),
    "asked": "of the pages: where the run is watched that an approval began",
    **dict.fromkeys(
        ("run_sandbox", "sandboxes_from", "due_sandboxes", "sweep_sandboxes", "settle_scripts", "keep_ready"),
        "of who runs the commands",
    ),
    "runs_commands": "of who runs the commands",
    "sandbox_tail": "a file that is open in this process; from afar it is GET /sandboxes/{id}/events",
    "sandbox_output": "of the pages",
    "may_end": "of the pages",
    "is_over": "of the service: when a stream ends",
    "to_follow": "what the service does on POST /sandboxes/{id}/run",
    "page_runs": "what `GET /runs` answers; `list_runs` asks for it",
    "report": "of the service: its scribe",
    "pieces": "of the service: what effects are sought by",
    "open_file": "a file that is open in this process; from afar it is GET /cases/{case}/content",
    "content": "a file that is open in this process",
    "upload": "from afar it is PUT /blobs/{sha256}",
    "blob_size": "from afar it is HEAD /blobs/{sha256}",
    **dict.fromkeys(
        (
            "log_in",
            "log_in_once",
            "log_in_by_oidc",
            "logged_in",
            "log_out",
            "invite",
            "is_own",
            "may_withdraw",
            "sees_condition",
            "failure",
            "condition",
            "needs_a_person",
            "excerpts",
            "list_cases",
            "vault_page",
            "search_log",
            "runs_page",
            "run_record",
            "places_of",
        ),
        "of the pages",
    ),
}


@pytest.fixture
def small(environ: dict[str, str]) -> None:
    """Sandboxes that are made quickly."""
    environ |= SMALL


ROLES = ("author", "reviewer", "operator", "admin")
Door = Callable[[str], Any]


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_the_client_has_what_the_gate_has():
    """Every public method and property, but for those that make no sense from afar; and nothing else but `url`."""
    assert public(Gate) - public(Client) == set(ABSENT)
    assert public(Client) - public(Gate) == {"url"}


@pytest.mark.parametrize("name", sorted(public(Gate) - set(ABSENT)))
def test_both_are_called_alike(name: str):
    """The same parameters with the same defaults, and the same type of answer."""
    ours, theirs = inspect.getattr_static(Gate, name), inspect.getattr_static(Client, name)
    if inspect.isfunction(ours):
        assert inspect.signature(theirs) == inspect.signature(ours)


@pytest.fixture(params=["gate", "client"])
def door(
    request: pytest.FixtureRequest, office: Path, environ: dict[str, str], token: Callable[..., str]
) -> Iterator[Door]:
    """The workspace as one of its people sees it, directly or through a service."""
    (office / "projects/Smith/notes.txt").write_text("call the court\n")
    tokens, opened = {role: token(role, role) for role in ROLES}, list[Any]()
    served = Nearby(office, environ) if request.param == "client" else None

    def open_as(who: str) -> Any:
        if served is None:
            opened.append(Gate.open(office, {**environ, "TREEGATE_TOKEN": tokens[who]}))
        else:
            opened.append(treegate.connect(served.address, tokens[who]))
        return opened[-1]

    yield open_as
    for one in opened:
        one.close()
    if served is not None:
        served.close()


def plan(*operations: dict[str, Any], case: str = "Smith", **head: Any) -> bytes:
    return json.dumps({"version": 1, "case": case, "operations": operations, **head}).encode()


MOVE = {"op": "move", "match": "scan*.pdf", "to": "Scans/"}
EDIT = {"op": "replace", "path": "notes.txt", "content": "call the court today\n"}
DROP = {"op": "delete", "path": "scan0.pdf"}
SORT = plan({**MOVE, "match": "scan[1-4].pdf"}, EDIT, DROP, title="Sort")


def test_a_plan_is_checked_mended_and_handed_in(door: Door):
    """A preview with its problems as values, a repair that takes the suggestion, a plan that is stored as it was."""
    author = door("author")
    wrong = plan({"op": "move", "from": "skan1.pdf", "to": "Scans/"})
    (found,) = author.check(wrong).problems
    assert (found.code, found.operation, found.suggestion["from"]) == ("source-missing", 1, "scan1.pdf")
    mended = author.repair(wrong)
    assert (mended.taken, list(mended.problems)) == (1, [])
    invalid = author.submit(wrong)
    assert (invalid.state, invalid.problems[0].code) == ("invalid", "source-missing")
    made = author.revise(invalid.id, mended.document, 1)
    assert (made.state, made.revision, made.waiting_for) == ("pending", 2, "a reviewer other than author")
    with pytest.raises(treegate.Stale) as stale:
        author.revise(invalid.id, mended.document, 1)
    assert stale.value.code == "revision-not-current"
    assert author.document(made.id).document == mended.document
    assert author.diff(made.id, 1).after.digest == made.digest
    assert author.waiting_for(made.id[:6]) == made.waiting_for
    draft = author.submit(SORT, draft=True)
    assert draft.state == "draft"
    assert author.refresh(draft.id).state == "pending"
    assert author.withdraw(draft.id, "no").state is State.WITHDRAWN


def test_what_is_no_plan_is_told_in_full(door: Door):
    """Malformed JSON, unknown keys: the same error with the same problems."""
    author = door("author")
    with pytest.raises(treegate.PlanError) as malformed:
        author.submit(b'{"version": 1,')
    assert malformed.value.code == "not-json" or malformed.value.problems
    with pytest.raises(treegate.PlanError) as unknown:
        author.submit(plan({"op": "move", "source": "a", "to": "b"}))
    (problem,) = unknown.value.problems
    assert (problem.operation, problem.suggestion) == (1, {"op": "move", "from": "a", "to": "b"})


def test_a_preview_is_looked_at_from_all_sides(door: Door):
    """Effects page by page, the text of a file, what leaving out comes to, folders, samples, overlaps, policy."""
    author, reviewer = door("author"), door("reviewer")
    made, other = author.submit(SORT), author.submit(plan(DROP, title="Drop"))
    shown = reviewer.show(made.id)
    assert (shown.plan.id, shown.preview.digest, shown.run) == (made.id, made.digest, None)
    assert reviewer.plan(made.id) == shown.plan
    every = list(reviewer.effects(made.id))
    assert len(every) == shown.preview.counts.effects == 7
    assert list(reviewer.effects(made.id, 2, 3)) == every[2:5]
    edited = next(effect for effect in every if effect.effect == "replaced")
    assert "+call the court today" in reviewer.text_difference(made.id, edited.id).lines
    reduced = reviewer.reduction(made.id, [edited.id])
    assert (reduced.id, [effect.id for effect in reduced.left_out]) == (made.id, [edited.id])
    assert {overlap.plan.id for overlap in reviewer.overlaps(made.id)} == {other.id}
    assert reviewer.folders(made.id).count >= 1
    assert reviewer.destination(made.id, "Smith/scan1.pdf").to == "Smith/Scans/scan1.pdf"
    assert len(reviewer.sample(made.id)) == 7
    assert reviewer.survivors(made.id).deletions[0].files == 1
    assert reviewer.moved_on(made.id) == []
    assert (reviewer.since_approved(made.id), reviewer.since_seen(made.id)) == (None, None)
    assert reviewer.note_seen(made.id, made.digest) is None
    explained = reviewer.explain(made.id)
    assert (explained.plan, explained.required) == (made.id, 1)
    assert reviewer.explain_document(SORT).required == 1
    assert reviewer.reduce(made.id, [edited.id], made.digest).revision == 2
    assert [event.event for event in reviewer.events_of(made.id)][:2] == ["submitted", "previewed"]


def test_a_run_leaves_stale_what_it_upset_and_nothing_else(door: Door):
    """At once: whoever is answered that it is applied finds the others as it left them; each told of the other."""
    author, reviewer, operator = door("author"), door("reviewer"), door("operator")
    moves = [{"op": "move", "from": source, "to": to} for source, to in (("1", "a"), ("1", "b"), ("2", "c"))]
    made = [
        author.submit(plan({**move, "from": f"scan{move['from']}.pdf", "to": f"{move['to']}.pdf"})) for move in moves
    ]
    assert [other.plan for other in reviewer.show(made[1].id).preview.others] == [made[0].id]
    reviewer.approve(made[0].id, made[0].digest)
    assert operator.apply(made[0].id).state == "applied"
    assert [reviewer.plan(one.id).state for one in made] == ["applied", "stale", "pending"]
    assert reviewer.show(made[1].id).preview.others == []
    assert author.refresh(made[1].id).state == "invalid"
    reviewer.approve(made[2].id, made[2].digest)
    assert operator.apply(made[2].id).state == "applied"


def test_plans_are_listed_page_by_page(door: Door):
    """Newest first; a page says where the next one begins; a state and a case narrow it down."""
    author = door("author")
    ids = [author.submit(plan({"op": "mkdir", "path": f"New {n}"})).id for n in range(5)]
    first, after = author.list_plans(limit=2)
    second, rest = author.list_plans(limit=50, cursor=after)
    assert [one.id for one in [*first, *second]] == ids[::-1]
    assert rest is None
    assert author.list_plans([State.APPLIED]) == ([], None)
    assert author.list_plans([State.PENDING], "Jones")[0] == []
    waiting = author.status().waiting
    assert [item.plan.id for item in waiting] == ids
    assert not any(item.mine for item in waiting)


def test_each_decision_is_taken_and_told(door: Door):
    """Approve, revoke, send back, reject; an author decides nothing; a digest that was rejected stays so."""
    author, reviewer, operator = door("author"), door("reviewer"), door("operator")
    operator.pause("Smith", "an audit")
    made = author.submit(SORT)
    with pytest.raises(treegate.Denied) as denied:
        author.approve(made.id, made.digest)
    assert denied.value.code == "role-not-allowed"
    with pytest.raises(treegate.Stale) as stale:
        reviewer.approve(made.id, "0" * 64)
    assert stale.value.code == "digest-not-current"
    assert reviewer.approve(made.id, made.digest[:12], "fine").state is State.APPROVED
    assert reviewer.applies_on_approval()
    with pytest.raises(treegate.Busy) as busy:
        reviewer.apply(made.id)
    assert busy.value.code == "paused"
    assert reviewer.revoke(made.id, made.digest, "one more look").state is State.PENDING
    asked = author.submit(plan(EDIT))
    changed = reviewer.request_changes(asked.id, asked.digest, "not today", ["e1"])
    assert changed.state is State.CHANGES_REQUESTED
    refused = author.submit(plan(DROP))
    assert reviewer.reject(refused.id, refused.digest, "keep it").state is State.REJECTED
    with pytest.raises(treegate.Rejected) as again:
        author.submit(plan(DROP))
    assert again.value.code == "already-rejected"
    with pytest.raises(treegate.Rejected):
        author.wait(refused.id, "decided", 5)
    with pytest.raises(treegate.Waiting) as still:
        author.wait(made.id, "decided", 0)
    assert "waits for a reviewer other than author" in still.value.message
    assert [pause.case for pause in operator.pause()] == ["", "Smith"]
    operator.resume()
    assert operator.resume("Smith") == []


def test_a_run_is_carried_out_watched_and_taken_back(door: Door, office: Path):
    """Approved, applied, the same run when asked again; restored from the vault, undone, and told of."""
    author, reviewer, operator = door("author"), door("reviewer"), door("operator")
    made, told = author.submit(SORT), list[tuple[int, int]]()
    reviewer.watch(lambda done, total: told.append((done, total)), lambda: False)
    reviewer.approve(made.id, made.digest)
    applied = reviewer.apply(made.id)
    assert (applied.id, applied.state, applied.receipt.counts.moved) == (made.id, "applied", 4)
    assert (office / "projects/Smith/Scans/scan1.pdf").read_text() == "Smith 1"
    assert author.wait(made.id, "applied", 5).state is State.APPLIED
    assert reviewer.apply(made.id).run == applied.run
    assert reviewer.outcome(applied.run) == reviewer.applied(applied.run[:8]) == applied
    assert reviewer.progress(applied.run).ended
    assert [run.id for run in reviewer.list_runs("Smith")] == [applied.run]
    held = reviewer.list_vault()
    assert {one.path for one in held} == {"Smith/scan0.pdf", "Smith/notes.txt"}
    assert reviewer.undoable_until() > held[0].kept_at
    back = operator.restore(applied.run, [one.entry for one in held if one.path.endswith("pdf")], "Smith/again.pdf")
    assert back.state == "pending"
    assert operator.prune(dry=True).entries == []
    undo = operator.undo("", ["Smith/Scans/scan1.pdf"])
    assert (undo.run, undo.submitted.state) == (applied.run, "pending")
    reviewer.approve(undo.submitted.id, undo.submitted.digest)
    assert reviewer.apply(undo.submitted.id).state == "applied"
    assert (office / "projects/Smith/scan1.pdf").exists()
    (life,) = reviewer.history("Smith/scan1.pdf")
    assert [step.path for step in life.happened] == ["Smith/Scans/scan1.pdf", "Smith/scan1.pdf"]
    assert operator.recover() == []


def test_a_run_that_cannot_be_is_refused_alike(door: Door, office: Path):
    """The tree moved on after the approval: Stale, with the path, and what to type; nothing is done."""
    author, reviewer, operator = door("author"), door("reviewer"), door("operator")
    operator.pause()
    made = author.submit(plan({"op": "move", "from": "scan1.pdf", "to": "Scans/"}))
    reviewer.approve(made.id, made.digest)
    (office / "projects/Smith/scan1.pdf").write_text("edited")
    operator.resume()
    with pytest.raises(treegate.Stale) as stale:
        reviewer.apply(made.id)
    assert stale.value.next == f"treegate refresh {made.id}"
    assert (office / "projects/Smith/scan1.pdf").read_text() == "edited"
    with pytest.raises(treegate.Stale):
        author.wait(made.id, "applied", 5)


def test_a_run_is_proved_by_content(door: Door):
    """`verify` hashes what is touched before and after."""
    author, reviewer, operator = door("author"), door("reviewer"), door("operator")
    operator.pause("Jones")
    made = author.submit(SORT)
    operator.pause("Smith")
    reviewer.approve(made.id, made.digest)
    operator.resume("Smith")
    assert reviewer.apply(made.id, verify=True).state == "applied"


@pytest.fixture
def careful(environ: dict[str, str]) -> None:
    """A person has to approve each command."""
    environ["TREEGATE_SANDBOX_APPROVE_COMMAND"] = "true"


@runnable
def test_a_command_runs_and_is_told_alike(small: None, door: Door):
    """Byte by byte what it wrote, how it ended, the plan that it became; told again from any event on."""
    author, reviewer = door("author"), door("reviewer")
    script = r"printf 'caf\351'; echo no >&2; mv scan0.pdf a.pdf; exit 4"
    events = list(author.run("Smith", ["sh", "-c", script], timeout=30))
    assert [type(one.what) for one in events if not isinstance(one.what, Output)] == [
        *(Started, Exited, Captured, Finished)
    ]
    written = {one.what.stream: one.what.data for one in events if isinstance(one.what, Output)}
    assert written == {"stdout": b"caf\xe9", "stderr": b"no\n"}
    done = events[-1].what
    assert (done.status, done.plan_state, done.logs[0][:28]) == (4, "pending", "Reports/Smith/mutation_logs/")
    assert list(reviewer.sandbox_events(done.id)) == events
    assert list(reviewer.sandbox_events(done.id[:8], 2)) == events[2:]
    assert reviewer.sandbox_outcome(done.id) == done
    found = reviewer.sandbox(done.id)
    assert (found.plan, found.state, found.limits.seconds) == (done.plan, "ended", 30)
    assert (reviewer.sandboxes(), reviewer.sandboxes([CommandState.RUNNING])) == ([found], [])
    assert reviewer.sandboxes((), "Jones") == reviewer.sandboxes(cursor=found.seq) == []
    assert b"err| no\n" in reviewer.sandbox_log(done.id)
    assert author.cancel_sandbox(done.id).state == "ended"
    assert reviewer.show(done.plan).preview.origin.sandbox == done.id


@runnable
def test_a_command_that_has_to_be_approved_waits(small: None, careful: None, door: Door):
    """Waiting, with what to type; turned down by its digest, or approved and then run by whoever asked."""
    author, reviewer = door("author"), door("reviewer")
    with pytest.raises(treegate.Waiting) as waiting:
        author.run("Smith", ["sh", "-c", "echo hi"])
    (found,) = reviewer.status().commands
    line = f"treegate approve {found.id} --digest {found.digest[:12]}"
    assert (waiting.value.code, waiting.value.next) == ("command-waits", line)
    with pytest.raises(treegate.Stale):
        reviewer.approve_sandbox(found.id, "0" * 64)
    with pytest.raises(treegate.Denied):
        author.approve_sandbox(found.id, found.digest)
    assert reviewer.approve_sandbox(found.id, found.digest[:12], "fine").decided_by == "reviewer"
    (*_, last) = author.follow_sandbox(found.id)
    assert (last.what.status, last.what.plan) == (0, None)
    other = author.ask_sandbox("Smith", ["sh", "-c", "echo ho"])
    assert reviewer.reject_sandbox(other.id, other.digest, "not today").state == "rejected"
    with pytest.raises(treegate.Rejected):
        author.ask_sandbox(["Smith"], ["sh", "-c", "echo ho"])


@runnable
def test_whoever_stops_a_command_keeps_what_it_did(small: None, door: Door):
    """By `watch`, as Ctrl-C does: it is ended, captured, and told to the end."""
    author, seen = door("author"), list[Any]()
    author.watch(lambda done, total: None, lambda: bool(seen))
    for event in author.run("Smith", ["sh", "-c", "touch new; echo begun; sleep 600"]):
        if isinstance(event.what, Output):
            seen.append(event)
    assert (event.what.why, event.what.plan_state) == ("cancelled", "pending")


@runnable
def test_a_command_of_names_that_are_not_utf8(small: None, door: Door, office: Path):
    """A word of a command is the bytes that it is; so is what it wrote, and the name of what it made."""
    name = os.fsdecode(b"caf\xe9.txt")
    author = door("author")
    events = list(author.run("Smith", ["sh", "-c", 'touch "$1"; echo "$1"', "sh", name]))
    assert b"".join(one.what.data for one in events if isinstance(one.what, Output)) == b"caf\xe9.txt\n"
    (effect,) = author.effects(events[-1].what.plan)
    assert untagged(effect.path) == f"Smith/{name}"


def test_plans_are_written_without_json(door: Door):
    """Pairs that swap, an edited sheet; a name that is not UTF-8 comes through as the bytes that it is."""
    author = door("author")
    swap = json.loads(author.write_moves("Smith", [Pair("scan1.pdf", "scan2.pdf"), Pair("scan2.pdf", "scan1.pdf")]))
    assert len(swap["operations"]) == 3
    rows = author.worksheet("Smith")
    assert [(row.path, row.is_dir) for row in rows if row.path == "notes.txt"] == [("notes.txt", False)]
    before = "".join(sheet(rows, "Smith"))
    edited = author.read_sheet("Smith", before.replace("notes.txt", "Notes.txt"), before)
    assert not edited.faults
    document = author.write_changes("Smith", edited.changes, "Rename")
    assert author.check(document).counts.moved == 1
    with pytest.raises(treegate.NotFound) as missing:
        author.worksheet("Smiht")
    assert (missing.value.code, missing.value.hint) == ("case-not-found", "did you mean 'Smith'?")


def test_names_that_are_not_utf8_come_through(door: Door, office: Path):
    """In effects, in the vault, in a sheet: as the bytes that they are."""
    name = os.fsdecode(b"caf\xe9.txt")
    (office / "projects/Smith" / name).write_text("x")
    author, reviewer = door("author"), door("reviewer")
    made = author.submit(plan({"op": "delete", "path": "caf%E9.txt", "raw": True}))
    reviewer.approve(made.id, made.digest)
    reviewer.apply(made.id)
    assert [one.path for one in reviewer.list_vault()] == [f"Smith/{name}"]
    (office / "projects/Smith" / name).write_text("y")
    assert name in {row.path for row in author.worksheet("Smith")}
    assert visible(name)


def test_the_log_is_read_verified_signed_and_exported(door: Door, tmp_path: Path):
    """Newest first and page by page; against a checkpoint that was kept; every row of it as a line."""
    author, operator = door("author"), door("operator")
    for number in range(3):
        author.submit(plan({"op": "mkdir", "path": f"New {number}"}))
    newest = operator.log(limit=4)
    assert [row.seq for row in newest] == list(range(operator.audit_head(), operator.audit_head() - 4, -1))
    assert operator.log(limit=2, before=newest[1].seq) == newest[2:]
    assert {row.event for row in operator.log("Smith")} == {"submitted", "previewed"}
    kept = tmp_path / "checkpoint.json"
    kept.write_bytes(json.dumps(json.loads(_json(operator.checkpoint()))).encode())
    found = operator.verify_audit([kept])
    assert (found.verified, found.vouched) == (True, newest[0].seq)
    assert len(list(operator.export_audit(2))) == operator.audit_head() - 2
    with pytest.raises(treegate.NotFound):
        operator.verify_audit([tmp_path / "missing.json"])
    with pytest.raises(treegate.Denied):
        author.checkpoint()
    assert door("admin").rekey().startswith("ed25519:")


def test_the_workspace_is_looked_after(door: Door):
    """doctor, fsck, settings, terms, for those who may; tokens made, listed and ended by admins."""
    author, reviewer, operator, admin = (door(role) for role in ROLES)
    found = [one for one in reviewer.doctor() if "when the machine stops" not in one.title]  # where it is in memory
    assert {one.severity for one in found} == {"note"}
    with pytest.raises(treegate.Denied):
        author.doctor()
    with pytest.raises(treegate.Denied):
        reviewer.doctor(deep=True)
    assert operator.doctor(deep=True)
    assert operator.fsck(dry=True) == operator.fsck() == []
    settings = operator.settings()
    assert ("vault.keep", "default") in {(one.key, one.origin) for one in settings.settings}
    assert settings.path.endswith("treegate.toml")
    with pytest.raises(treegate.Denied):
        author.settings()
    assert reviewer.terms().apply_on_approval
    assert (reviewer.asks_to_type(20), reviewer.asks_to_type(21)) == (False, True)
    made, text = admin.create_token("nina", Role.REVIEWER, ["Smith"])
    assert text.startswith("tg_")
    assert made in admin.list_tokens()
    with pytest.raises(treegate.Denied):
        operator.create_token("eve", Role.ADMIN)
    assert admin.revoke_token("nina").revoked_at is not None
    with pytest.raises(treegate.NotFound):
        admin.revoke_token("nobody")
    assert (author.actor.name, author.actor.role, author.actor.via) == ("author", Role.AUTHOR, "token")


@pytest.mark.parametrize("id", ["pl_nowhere", "..", "a/b", "%2e", "ünd"])
def test_what_is_not_there_is_not_found(door: Door, id: str):
    """Whatever an id looks like; also where a path could be read out of it."""
    with pytest.raises(treegate.NotFound):
        door("author").show(id)


def _json(value: Any) -> str:
    from treegate.render import jsons

    return jsons.dumps(value)
