"""Stock-taking: whether plans, runs, decisions and tokens agree, and whether what live plans need is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from treegate.engine import tablefile, tokens
from treegate.engine.probe import Finding
from treegate.engine.store.records import Decision, Run, StoredPlan, StoredPreview
from treegate.errors import TreegateError
from treegate.gate import plans
from treegate.gate.core import Core
from treegate.model.actors import Role
from treegate.model.lifecycle import AS_PREVIEWED, LIVE, UNFINISHED, State

_DATABASE = "restore a backup of the database"
_ANEW = "have the plan previewed anew, or hand it in once more"
_OF_RUN = UNFINISHED | {State.APPLIED, State.UNDONE}  # states that a plan shares with its run


def checked(core: Core) -> Iterator[Finding]:
    """What does not agree, or is not there."""
    runs: dict[str, list[Run]] = {}
    for run in core.store.runs():
        runs.setdefault(run.plan, []).append(run)
    for plan in core.store.list_plans(limit=1 << 30)[0]:
        try:
            yield from _plan(core, plan, runs.get(plan.id, []))
        except TreegateError as error:
            yield Finding("error", f"plan {plan.id}: {error.message}", error.hint or _DATABASE)
    yield from _tokens(core)


def _plan(core: Core, plan: StoredPlan, runs: list[Run]) -> Iterator[Finding]:
    yield from _states(plan, runs)
    previews = {one.seq: one for one in core.store.previews(plan.id)}
    current = None if plan.preview is None else previews.get(plan.preview)
    if plan.preview is not None and (current is None or current.digest != plan.digest):
        yield Finding("error", f"plan {plan.id} names a preview that is not its own", _DATABASE)
    for decision in core.store.decisions(plan.id):
        yield from _decision(decision, previews, {run.id for run in runs})
    if current is not None and plan.state in AS_PREVIEWED - UNFINISHED:
        yield from _table(core, plan, current)
    if plan.state in LIVE:
        yield from _contents(core, plan)


def _states(plan: StoredPlan, runs: list[Run]) -> Iterator[Finding]:
    """A plan that was carried out is where its newest run is, and no other run of it is under way."""
    newest = runs[0] if runs else None
    if plan.state in _OF_RUN and (newest is None or newest.state is not plan.state):
        told = "has no run" if newest is None else f"its run {newest.id} is {newest.state.value}"
        yield Finding("error", f"plan {plan.id} is {plan.state.value}, and {told}", _DATABASE)
    for run in runs:
        if run.state in UNFINISHED and plan.state is not run.state:
            text = f"run {run.id} is {run.state.value}, and its plan {plan.id} is {plan.state.value}"
            yield Finding("error", text, _DATABASE)


def _decision(one: Decision, previews: dict[int, StoredPreview], runs: set[str]) -> Iterator[Finding]:
    where = f"the decision of {one.reviewer} on plan {one.plan}"
    preview = previews.get(one.preview)
    if preview is None or preview.digest != one.digest:
        yield Finding("error", f"{where} is on a digest that its preview does not have", _DATABASE)
    if one.consumed_by is not None and one.consumed_by not in runs:
        yield Finding("error", f"{where} was used by run {one.consumed_by}, which there is not", _DATABASE)
    if one.role == Role.AUTHOR.value:
        yield Finding("error", f"{where} is an author's, who may not decide", _DATABASE)


def _table(core: Core, plan: StoredPlan, preview: StoredPreview) -> Iterator[Finding]:
    """What an approved plan would be carried out by."""
    try:
        tablefile.read(core.table_path(preview.table_digest), preview.table_digest)
    except FileNotFoundError:
        yield Finding("error", f"the step table of plan {plan.id} is gone: it cannot be carried out", _ANEW)
    except TreegateError as error:
        yield Finding("error", f"plan {plan.id} cannot be carried out: {error.message}", _ANEW)


def _contents(core: Core, plan: StoredPlan) -> Iterator[Finding]:
    """The contents that a plan brings, kept by their SHA-256."""
    for sha256 in sorted(plans.decode(core.store.document(plan.id, plan.revision)).blobs()):
        if core.blobs.size(sha256) is None:
            yield Finding("error", f"the content {sha256[:12]}… that plan {plan.id} brings is gone", _ANEW)
        elif not core.blobs.sound(sha256):
            yield Finding("error", f"the content {sha256[:12]}… that plan {plan.id} brings was changed", _ANEW)


def _tokens(core: Core) -> Iterator[Finding]:
    """A name stands for one person in every decision."""
    now = core.clock()
    valid = Counter(token.name for token in tokens.tokens(core.store) if tokens.holds(token, now))
    for name, count in sorted(valid.items()):
        if count > 1:
            text = f"{count} valid tokens bear the name {name!r}: nobody can tell whose decisions are whose"
            yield Finding("error", text, "revoke all but one: `treegate token list`")
