"""What agents are told, short: previews, problems with their corrections, where plans stand, what reviewers said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from treegate.engine.store.records import StoredPlan, Verdict
from treegate.errors import TreegateError
from treegate.gate.decisions import DecisionMade
from treegate.gate.outcomes import Entry
from treegate.gate.plans import Submitted
from treegate.model.lifecycle import State
from treegate.model.names import visible
from treegate.model.preview import Pattern, Preview
from treegate.model.problems import Problem

MOST_PROBLEMS, MOST_PATTERNS = 20, 6
_WORD = 2000  # characters of a reviewer's comment

# What to do next, by the state that a plan is in.
NEXT: dict[State, str] = {
    State.DRAFT: "it is stored and not previewed; revise_plan hands in a version that is",
    State.INVALID: "mend the problems (take each `suggestion`), then revise_plan",
    State.PENDING: "a person has to decide: wait_for_decision",
    State.CHANGES_REQUESTED: "do what the reviewer asks for, then revise_plan",
    State.APPROVED: "apply_plan, unless somebody else carries it out; plan_status tells",
    State.REJECTED: "a person said no: do not hand in the same again; ask what is wanted, or propose something else",
    State.EXPIRED: "nobody decided, or carried it out, in time; that is no refusal: revise_plan asks again",
    State.WITHDRAWN: "it was taken back; submit_plan hands in another",
    State.STALE: "files changed since: look again, then revise_plan",
    State.APPLYING: "it is being carried out: wait_for_decision with until=applied",
    State.APPLIED: "it is done; request_undo asks to take it back",
    State.ROLLED_BACK: "it failed midway and everything is as before: look again, then revise_plan",
    State.NEEDS_RECOVERY: "a run was interrupted: an operator has to recover it",
    State.UNDONE: "it was taken back",
}


def next_of(state: str) -> str:
    """What to do about a plan in a state."""
    return NEXT[State(state)]


def error(found: TreegateError) -> dict[str, Any]:
    """An error: what was found, what to do, and of a plan each problem with its correction."""
    told: dict[str, Any] = {"code": found.code, "message": visible(found.message[:_WORD])}
    if found.hint:
        told["hint"] = visible(found.hint[:_WORD])
    if problems := getattr(found, "problems", ()):
        told |= listed(problems)
    return {"error": told}


def listed(problems: Sequence[Problem]) -> dict[str, Any]:
    """Problems, the worst first, as many as help."""
    ordered = sorted(problems, key=lambda one: one.severity != "error")
    told: dict[str, Any] = {}
    if ordered:
        told["problems"] = [_problem(one) for one in ordered[:MOST_PROBLEMS]]
    if len(ordered) > MOST_PROBLEMS:
        told["more_problems"] = len(ordered) - MOST_PROBLEMS
    return told


def _problem(found: Problem) -> dict[str, Any]:
    told: dict[str, Any] = {"code": found.code, "severity": found.severity}
    if found.operation is not None:
        told["operation"] = found.operation
    told["message"] = visible(found.message)
    if found.hint:
        told["hint"] = visible(found.hint)
    if found.suggests and not _deletes_otherwise(found):
        told["suggestion"] = found.suggestion  # null: drop the operation
    return told


def _deletes_otherwise(found: Problem) -> bool:
    """Whether a suggestion has another thing deleted, or more: whoever asked for it has to say so, not a model."""
    return found.code != "near-miss" and (found.suggestion or {}).get("op") == "delete"


def mending(told: dict[str, Any]) -> str:
    """What to do about the problems that are told."""
    suggested = any("suggestion" in one for one in told.get("problems", ()))
    return (
        "take each `suggestion`, then check_plan again" if suggested else "mend the problems, then check_plan again"
    )


def preview(found: Preview) -> dict[str, Any]:
    """What a plan would do, in numbers and patterns, and what is wrong with it."""
    counts = msgspec.to_builtins(found.counts)
    told: dict[str, Any] = {
        "valid": found.valid,
        "summary": visible(found.summary),
        "counts": {key: value for key, value in counts.items() if value},
        **listed(found.problems),
    }
    if found.weak:
        told["weaker_here"] = [visible(one.message) for one in found.weak]
    if found.patterns:
        told["data"] = {"patterns": [_pattern(one) for one in found.patterns[:MOST_PATTERNS]]}
        if found.pattern_count > MOST_PATTERNS:
            told["more_patterns"] = found.pattern_count - MOST_PATTERNS
    return told


def _pattern(found: Pattern) -> dict[str, Any]:
    if found.effect == "made":  # `to` is where the folders are made
        return {"effect": "made", "count": found.count, "paths": [one.path for one in found.examples[:3]]}
    told: dict[str, Any] = {"effect": found.effect, "count": found.count, "to": found.to}
    if found.source is not None:
        told["from"] = found.source
    return told


def submitted(found: Submitted) -> dict[str, Any]:
    """What became of a plan that was handed in."""
    told: dict[str, Any] = {
        "plan": found.id,
        "revision": found.revision,
        "state": found.state,
        "digest": found.digest,
        "summary": visible(found.summary),
        **listed(found.problems),
    }
    if found.waiting_for:
        told["waiting_for"] = visible(found.waiting_for)
    told["next"] = NEXT[State(found.state)]
    return told


def standing(plan: StoredPlan, waiting_for: str, said: Iterable[DecisionMade]) -> dict[str, Any]:
    """Where a plan stands, and what was said of its newest revision."""
    told: dict[str, Any] = {"plan": plan.id, "revision": plan.revision, "state": plan.state.value}
    if plan.digest:
        told["digest"] = plan.digest
    if waiting_for:
        told["waiting_for"] = visible(waiting_for)
    if words := [_said(one) for one in said if one.revision == plan.revision]:
        told["decisions"] = words
    told["next"] = NEXT[plan.state]
    return told


def _said(one: DecisionMade) -> dict[str, Any]:
    told: dict[str, Any] = {"reviewer": visible(one.reviewer), "verdict": one.verdict.value}
    if one.comment:
        told["comment"] = one.comment[:_WORD]
    if one.verdict is Verdict.REQUEST_CHANGES and one.pins:
        told["about"] = [
            {"id": pin.id, "operations": list(pin.operations), "path": pin.path} for pin in one.pins[:MOST_PROBLEMS]
        ]
    return told


def entry(found: Entry, path: Any) -> dict[str, Any]:
    """An entry of a case: folders and links are marked, files have their size."""
    told: dict[str, Any] = {"path": path}
    if found.kind != "file":
        told["kind"] = found.kind
    else:
        told["size"] = found.size
        if found.mtime is not None:
            told["modified"] = moment(found.mtime)
    if found.was is not None:
        told["was"] = found.was
    if found.new:
        told["new"] = True
    return told


def moment(milliseconds: int) -> str:
    """A time as models read it best: UTC, to the minute."""
    try:
        return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%dT%H:%MZ}"
    except (OverflowError, ValueError, OSError):
        return str(milliseconds)
