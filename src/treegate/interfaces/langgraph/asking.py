"""Asking a person by an interrupt: the graph stops until they were asked, and treegate alone says what they decided.

What a graph is resumed with decides nothing. It says which decision somebody made, so that an answer to an older
question, or to that of another plan, is told from the right one; then treegate is asked.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from langgraph.types import Command, interrupt

from treegate.client import Client
from treegate.errors import UsageError
from treegate.gate import Gate
from treegate.interfaces.agent import following
from treegate.interfaces.agent.desk import Desk
from treegate.interfaces.agent.following import WaitForDecision
from treegate.render import markdown

KIND = "treegate-decision"
Verdict = Literal["approve", "reject", "request-changes"]
VERDICTS = get_args(Verdict)


def waited(desk: Desk, asked: WaitForDecision) -> dict[str, Any]:
    """Where a plan stands once it is decided; until then the graph is interrupted, again and again."""
    told = following.standing(desk, asked.id)
    note = ""
    while told["state"] in ("draft", "pending"):
        answer = interrupt(question(desk, told, note))
        note = _misunderstood(answer, told)
        told = following.standing(desk, asked.id)
    if asked.until == "applied" and told["state"] in ("approved", "applying"):
        return following.wait_for_decision(desk, asked)
    return told


def question(desk: Desk, told: dict[str, Any], note: str = "") -> dict[str, Any]:
    """What a person is asked: which plan, which digest, and the preview that shows what it would do."""
    shown = desk.door.show(told["plan"])
    asked = {
        "kind": KIND,
        "plan": told["plan"],
        "revision": told["revision"],
        "digest": told.get("digest", ""),
        "waiting_for": shown.waiting_for,
        "summary": shown.preview.summary,
        "preview": markdown.preview(shown.preview),
    }
    return asked | ({"note": note} if note else {})


def _misunderstood(answer: Any, told: dict[str, Any]) -> str:
    """Why the question is asked again, if it has to be."""
    if not isinstance(answer, dict) or answer.get("plan") != told["plan"]:
        return "the answer was not about this plan; treegate still waits for a decision on it"
    if answer.get("digest") != told.get("digest"):
        return "the answer was about another version of this plan; treegate still waits for a decision on this one"
    return "nobody has decided yet: resuming a graph decides nothing; treegate alone says what was decided"


def decide(reviewer: Gate | Client, asked: Any, verdict: Verdict, comment: str = "") -> Command[Any]:
    """Decides, as `reviewer`, on exactly what an interrupt showed, and gives what the graph is resumed with.

    `asked` is the interrupt, or its value; all but an approval needs a comment. Raises what the gate raises: Denied,
    Stale where there is a newer version.
    """
    value = getattr(asked, "value", asked)
    if not isinstance(value, dict) or value.get("kind") != KIND:
        hint = "pass the interrupt that wait_for_decision made"
        raise UsageError("this is no question of treegate's", code="not-a-question", hint=hint)
    if verdict not in VERDICTS:
        raise UsageError(f"{verdict!r} is no verdict", code="verdict-unknown", hint=f"one of {', '.join(VERDICTS)}")
    if verdict != "approve" and not comment.strip():
        hint = "say why, or what to change: the agent has nothing else to go by"
        raise UsageError(f"to {verdict} needs a comment", code="comment-needed", hint=hint)
    plan, digest = value["plan"], value["digest"]
    acts = {"approve": reviewer.approve, "reject": reviewer.reject, "request-changes": reviewer.request_changes}
    acts[verdict](plan, digest, comment)
    return Command(resume={"plan": plan, "digest": digest, "verdict": verdict})
