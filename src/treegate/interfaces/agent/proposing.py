"""Proposing: a plan checked beforehand, handed in, revised, taken back; a run to be undone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta

from treegate.errors import PlanError
from treegate.interfaces.agent import telling
from treegate.interfaces.agent.desk import Desk
from treegate.interfaces.agent.tool import Taken, Tool
from treegate.model.plan import Plan as Document

PlanId = Annotated[str, Meta(description="A plan's id, pl_…", max_length=64)]
Plan = Annotated[
    dict[str, Any] | str | None,
    Meta(
        description='The plan: {"case": "Smith", "title": …, "reason": …, "operations": [{"op": "move", "from": …, '
        '"to": …}, …]}. Operations: mkdir, move, rename, copy, create, replace, delete, symlink, set. Paths are '
        'within the case. Move many files with one: {"op": "move", "match": "Scans/*.pdf", "to": "Letters/{name}"}.'
    ),
]
File = Annotated[str, Meta(description="Instead of `plan`: a file that holds it, such as reorg_plan.json.")]
_MOST_SEEN, _MOST_CASES = 200, 5


class CheckPlan(Taken, frozen=True, kw_only=True):
    """A plan that is only looked at."""

    plan: Plan = None
    path: File = ""
    tree: Annotated[
        str | bool,
        Meta(description="Also list what would then be there: true for all, or a glob such as `Letters/*` or `**/`."),
    ] = ""


class SubmitPlan(Taken, frozen=True, kw_only=True):
    """A plan that is handed in."""

    plan: Plan = None
    path: File = ""


class RevisePlan(Taken, frozen=True, kw_only=True):
    """A new version of a plan."""

    id: PlanId
    plan: Plan = None
    path: File = ""


class WithdrawPlan(Taken, frozen=True, kw_only=True):
    """A plan that is taken back."""

    id: PlanId
    comment: Annotated[str, Meta(description="Why.", max_length=2000)] = ""


class RequestUndo(Taken, frozen=True, kw_only=True):
    """A run that is to be undone."""

    run: Annotated[str, Meta(description="A run's id, run_…, or its plan's.", max_length=64)]
    paths: Annotated[list[str], Meta(description="Only what it did at these paths, which begin with the case.")] = []


def check_plan(desk: Desk, asked: CheckPlan) -> dict[str, Any]:
    """What a plan would do; on request, what the case would then look like."""
    document, cases = desk.document(asked.plan, asked.path), list[str]()
    try:
        preview = desk.door.check(document)
        told, cases = telling.preview(preview), preview.cases
    except PlanError as error:  # what is not written as a plan is has problems, too
        if not error.problems:
            raise
        told = {"valid": False, "summary": error.message, **telling.listed(error.problems)}
    told["next"] = "submit_plan hands it in" if told["valid"] else telling.mending(told)
    if asked.tree and "counts" in told:
        match = "**" if asked.tree is True else asked.tree
        told["data"] = {**told.get("data", {}), "tree": _tree(desk, document, match, cases or _named(document))}
    return told


def _named(document: bytes) -> list[str]:
    """The case that a plan names, though it does nothing in it."""
    case = Document.decode(document).case
    return [case] if case else []


def _tree(desk: Desk, document: bytes, match: str, cases: Sequence[str]) -> dict[str, Any]:
    """What a glob would mean, in each case that the plan touches."""
    told: dict[str, Any] = {}
    for case in cases[:_MOST_CASES]:
        page = desk.door.find_in_outcome(case, match, document, limit=_MOST_SEEN)
        told[case] = [one.path if one.was is None else {"path": one.path, "was": one.was} for one in page.entries]
        if page.next is not None:
            told["more"] = "narrow `tree` to see the rest"
    return told


def submit_plan(desk: Desk, asked: SubmitPlan) -> dict[str, Any]:
    """Hands a plan in, for people to decide on."""
    return telling.submitted(desk.door.submit(desk.document(asked.plan, asked.path)))


def revise_plan(desk: Desk, asked: RevisePlan) -> dict[str, Any]:
    """A new version of a plan; it is decided on anew."""
    return telling.submitted(desk.door.revise(asked.id, desk.document(asked.plan, asked.path)))


def withdraw_plan(desk: Desk, asked: WithdrawPlan) -> dict[str, Any]:
    """Takes a plan back."""
    return telling.standing(desk.door.withdraw(asked.id, asked.comment), "", ())


def request_undo(desk: Desk, asked: RequestUndo) -> dict[str, Any]:
    """Hands in the plan that takes a run back."""
    undo = desk.door.undo(asked.run, asked.paths)
    also = {"data": {"also_undone": undo.also}} if undo.also else {}
    return telling.submitted(undo.submitted) | {"undoes": undo.run, "effects": undo.effects} | also


TOOLS = (
    Tool(
        name="check_plan",
        says="See what a plan would do, without handing it in: counts, patterns, every problem with its correction.",
        takes=CheckPlan,
        does=check_plan,
        reads=True,
        repeats=True,
        tells_data=True,
    ),
    Tool(
        name="submit_plan",
        says="Hand a plan in. Nothing changes until a person approves exactly what its preview shows.",
        takes=SubmitPlan,
        does=submit_plan,
    ),
    Tool(
        name="revise_plan",
        says="Hand in a new version of your plan, after changes were asked for, or it was invalid, stale or expired.",
        takes=RevisePlan,
        does=revise_plan,
    ),
    Tool(
        name="withdraw_plan",
        says="Take your plan back before it is carried out.",
        takes=WithdrawPlan,
        does=withdraw_plan,
        repeats=True,
    ),
    Tool(
        name="request_undo",
        says="Ask for a run to be taken back: hands in the plan that does so, which a person decides on.",
        takes=RequestUndo,
        does=request_undo,
    ),
)
