"""check, submit, list, show."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from treegate.errors import PlanError, UsageError
from treegate.interfaces.cli import commands, common, running
from treegate.model.commands import CommandState
from treegate.model.lifecycle import State
from treegate.model.names import restated, visible
from treegate.model.operations import Operation
from treegate.model.plan import Plan
from treegate.model.preview import Preview
from treegate.render import jsons, terminal, words
from treegate.render.ink import Ink

PLAN_HAS_ERRORS = 3


@click.command("check")
@click.argument("plan")
@click.option("--fix", is_flag=True, help="Write the plan with all suggestions taken, beside it as PLAN.fixed.json.")
@click.option("-o", "--output", metavar="F", help="Where --fix writes: a file that is not there yet.")
@common.options
def check_command(
    plan: str, fix: bool, output: str | None, workspace: str | None, state: str | None, as_json: bool
) -> None:
    """What a plan would do to the tree as it is now; stored nowhere. Exit status 3 where it has errors.

    With --fix, what the suggestions changed is shown operation by operation.
    """
    document = common.read_document(plan)
    gate = common.open_gate(workspace, state)
    try:
        preview: Preview = gate.check(document)
    except PlanError as error:
        if fix and any(found.suggests for found in error.problems):
            mended = _fix(gate, plan, document, output, as_json)
            error.next = f"treegate check {shlex.quote(visible(str(mended['written'])))}" if mended["written"] else ""
        raise
    if not as_json:
        name = "PLAN" if plan == "-" else plan
        show_preview(preview, Plan.decode(document).operations, document=name)
    fixed = _fix(gate, plan, document, output, as_json) if fix and preview.problems else None
    if as_json:
        common.emit(preview if fixed is None else {**_members(preview), **fixed})
    if preview.errors:
        raise click.exceptions.Exit(PLAN_HAS_ERRORS)


def _members(preview: Preview) -> dict[str, Any]:
    import msgspec

    return dict(msgspec.to_builtins(preview))


def _fix(gate: Any, plan: str, document: bytes, output: str | None, as_json: bool) -> dict[str, Any]:
    """Writes the mended plan and says what is different in it; the same as members of a document."""
    done = gate.repair(document)
    if not done.taken:
        if not as_json:
            common.say("no problem has a suggestion to take")
        return {"written": None, "difference": []}
    beside = "plan.fixed.json" if plan == "-" else f"{plan.removesuffix('.json')}.fixed.json"
    target = _written(Path(output or beside), done.document, again=output is None)
    if not as_json:
        _tell_difference(done.difference)
        errors = sum(found.severity == "error" for found in done.problems)
        left = f"; {words.plural(errors, 'error')} left" if errors else ""
        common.say(f"took {words.plural(done.taken, 'suggestion')}: {visible(str(target))}{left}")
        common.say(f"next: treegate check {visible(str(target))}")
    return {"written": str(target), "difference": done.difference}


def _tell_difference(changed: list[Any]) -> None:
    """Each operation that the suggestions changed, as it was and as it is."""
    ink = Ink(common.color())
    for one in changed:
        common.say(ink(f"#{one.operation}", "head"))
        common.say(ink(f"  - {restated(jsons.dumps(one.was))}", "deleted"))
        common.say(ink(f"  + {restated(jsons.dumps(one.now))}", "good") if one.now is not None else "  dropped")


def _written(target: Path, document: bytes, *, again: bool) -> Path:
    """Puts a mended plan in place, whole; only over one that an earlier --fix left (`again`)."""
    from treegate.engine.workspace import replace_file

    if target.exists() and not again:
        text = f"{visible(str(target))} is there already"
        hint = "name another file: what is there stays"
        raise UsageError(text, code="file-exists", hint=hint, next="treegate check PLAN --fix")
    try:
        replace_file(target, document)
    except OSError as error:
        text = f"{visible(str(target))} cannot be written: {error.strerror}"
        hint = "name another file with -o"
        raise UsageError(text, code="file-unwritable", hint=hint, next="treegate check PLAN --fix") from None
    return target


@click.command("submit")
@click.argument("plan")
@click.option("--draft", is_flag=True, help="Only store it; `refresh` previews it.")
@common.options
def submit_command(plan: str, draft: bool, workspace: str | None, state: str | None, as_json: bool) -> None:
    """Hand in a plan (a file, or - for standard input). Stored as `invalid` with exit status 3 if it has errors."""
    document = common.read_document(plan)
    gate = common.open_gate(workspace, state)
    answer(gate, gate.submit(document, draft=draft), as_json)


def answer(gate: Any, done: Any, as_json: bool) -> None:
    """Prints what became of a plan that was just stored; exit status 3 where it has errors."""
    if as_json:
        common.emit(done)
    else:
        tell_submitted(gate, done)
    if done.state == State.INVALID:
        raise click.exceptions.Exit(PLAN_HAS_ERRORS)


def show_preview(
    preview: Preview,
    operations: Iterable[Operation],
    state: State = State.PENDING,
    run: str = "",
    document: str = "PLAN",
    commands: list[tuple[str, str]] | None = None,
) -> None:
    """A preview for a person, each grave effect with the `why` of its operation, and what to type next."""
    width, color = common.width(), common.color()
    if commands is None:
        commands = words.next_commands(preview, document, state, run)
    common.say(terminal.preview(preview, width=width, color=color, operations=operations, commands=commands))


def tell_submitted(gate: Any, done: Any) -> None:
    """What to say of a plan that was just stored."""
    if done.digest:
        show_preview(gate.show(done.id).preview, gate.document(done.id).operations, State(done.state))
    if done.waiting_for:
        common.say(f"{done.id} is {done.state} and waits for {visible(done.waiting_for)}.")


STATES = list(dict.fromkeys(one.value for one in (*State, *CommandState)))
_State = TypeVar("_State", State, CommandState)


@click.command("list")
@click.option("--case", help="Only plans that touch this case.")
@click.option("--in-state", "states", multiple=True, type=click.Choice(STATES), help="Only these.")
@click.option("--sandboxes", is_flag=True, help="Commands in sandboxes instead of plans.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--cursor", type=click.IntRange(0, 2**63 - 1), help="Where the next page begins.")
@common.options
def list_command(
    case: str | None,
    states: tuple[str, ...],
    sandboxes: bool,
    limit: int,
    cursor: int | None,
    workspace: str | None,
    state: str | None,
    as_json: bool,
) -> None:
    """Plans, newest first, and where they stand."""
    gate = common.open_gate(workspace, state)
    if sandboxes:
        commands.listing(gate, [_state(CommandState, one) for one in states], case, limit, cursor, as_json)
        return
    plans, after = gate.list_plans([_state(State, one) for one in states], case, limit, cursor)
    if as_json:
        common.emit({"plans": [row(plan) for plan in plans], "cursor": after})
        return
    for plan in plans:
        when = common.moment(plan.updated_at)
        title = visible(plan.title) or "(no title)"
        common.say(f"{plan.id}  {plan.state:<17}  {when}  {', '.join(map(visible, plan.cases))}: {title}")
    if not plans:
        common.say("no plans" + (" like that" if states or case else "; next: treegate submit PLAN"))
    if after is not None:
        common.say(f"more: treegate list --cursor {after}")


def _state(kind: type[_State], given: str) -> _State:
    """A state as it is typed: plans and commands have different ones."""
    try:
        return kind(given)
    except ValueError:
        what, known = "commands" if kind is CommandState else "plans", ", ".join(kind)
        raise UsageError(f"no {what} are ever {given}", code="state-unknown", hint=f"there are {known}") from None


def row(plan: Any) -> dict[str, Any]:
    """A stored plan as the commands print it."""
    return {
        "id": plan.id,
        "revision": plan.revision,
        "state": plan.state,
        "digest": plan.digest,
        "cases": plan.cases,
        "title": plan.title,
        "author": plan.author,
        "undo_of": plan.undo_of,
        "created_at": plan.created_at,
        "updated_at": plan.updated_at,
    }


@click.command("show")
@click.argument("id")
@click.option("--effects", is_flag=True, help="The full table of effects, paged.")
@click.option("--operations", is_flag=True, help="The table of operations, with what came of each.")
@click.option("--start", default=0, type=click.IntRange(0, 2**31), help="The first row of a page, from 0.")
@click.option("--count", default=100, show_default=True, type=click.IntRange(1, 100_000), help="Rows of a page.")
@click.option("--markdown", "as_markdown", is_flag=True, help="As Markdown.")
@common.options
def show_command(
    id: str,
    effects: bool,
    operations: bool,
    start: int,
    count: int,
    as_markdown: bool,
    workspace: str | None,
    state: str | None,
    as_json: bool,
) -> None:
    """A plan's preview; for a run_... the run's receipt; for an sb_... a command, and what came of it."""
    gate = common.open_gate(workspace, state)
    if id.startswith("run_"):
        running.tell(gate.applied(id), as_json)
        return
    if id.startswith("sb_"):
        commands.show(gate, id, as_json)
        return
    shown = gate.show(id)
    if effects:
        _show_effects(gate, shown, start, count, as_json, as_markdown)
    elif operations:
        _show_operations(gate, shown, start, count, as_json)
    elif as_json:
        common.emit(
            {
                "id": shown.plan.id,
                "state": shown.plan.state,
                "run": shown.run and shown.run.id,
                "preview": shown.preview,
            }
        )
    elif as_markdown:
        from treegate.render import markdown

        common.say(markdown.preview(shown.preview, operations=gate.document(shown.plan.id).operations))
    else:
        run = shown.run.id if shown.run else ""
        show_preview(shown.preview, gate.document(shown.plan.id).operations, shown.plan.state, run)
        common.say(f"{shown.plan.id} is {shown.plan.state}" + (f"; run {run}" if run else ""))


def _show_effects(gate: Any, shown: Any, start: int, count: int, as_json: bool, as_markdown: bool) -> None:
    page = list(gate.effects(shown.plan.id, start, count))
    total = shown.preview.counts.effects
    if as_json:
        common.emit({"effects": page, "start": start, "total": total})
    elif as_markdown:
        from treegate.render import markdown

        common.say(markdown.effects(page))
    else:
        common.say(terminal.effects(page, width=common.width(), color=common.color()))
        if start + count < total:
            common.say(f"more: treegate show {shown.plan.id} --effects --start {start + count}")


def _show_operations(gate: Any, shown: Any, start: int, count: int, as_json: bool) -> None:
    from itertools import islice

    from treegate.render.operations import operation_rows

    plan = gate.document(shown.plan.id)
    rows = islice(operation_rows(plan.operations, shown.preview.problems), start, start + count)
    if as_json:
        common.emit({"operations": [row._asdict() for row in rows], "start": start, "total": len(plan.operations)})
        return
    common.say(terminal.operations(rows, width=common.width(), color=common.color()))
    if start + count < len(plan.operations):
        common.say(f"more: treegate show {shown.plan.id} --operations --start {start + count}")
