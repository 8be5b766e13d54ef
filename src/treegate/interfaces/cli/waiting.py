"""status, wait, pause, resume."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from treegate.errors import UsageError
from treegate.interfaces.cli import commands, common, plans
from treegate.model.names import visible
from treegate.render import words
from treegate.render.ink import Ink
from treegate.render.text import clip, inert, wrap


@click.command("status")
@click.option("--case", help="Only this case.")
@common.options
def status_command(case: str | None, workspace: str | None, state: str | None, as_json: bool) -> None:
    """What waits for whom, oldest first; what is paused; which runs are unfinished."""
    gate = common.open_gate(workspace, state)
    found = gate.status(case)
    if as_json:
        common.emit(document(found))
        return
    ink = Ink(common.color())
    for one in found.paused:
        common.say(ink("paused", "warning") + f": {_paused(one)}")
    for run in found.unrecovered:
        what = "unfinished" if run.state == "needs-recovery" else "under way, or its process died"
        common.say(ink(what, "error") + f": {run.id} on {_cases(run.cases)}; next: treegate recover")
    mine = [item for item in found.waiting if item.mine]
    others = [item for item in found.waiting if not item.mine]
    for head, items in ((f"Waits for you, {visible(gate.actor.name)}", mine), ("Waits for others", others)):
        if items:
            common.say(ink(f"{head} ({len(items)})", "title"))
        for item in items:
            _tell(item)
    if found.more:
        common.say(f"and {found.more:,} more: treegate list")
    for one in found.commands:
        common.say(ink("command", "title") + f"  {commands.row(one)}")
    if not found.waiting and not found.commands:
        common.say("no plan waits for anybody")
    elif any(item.plan.state == "pending" for item in mine):
        common.say("next: treegate review")
    elif asks := [one for one in found.commands if one.mine]:
        common.say(f"next: treegate show {asks[0].id}")


def document(found: Any) -> dict[str, Any]:
    """The status as one document."""
    waiting = [
        {**plans.row(item.plan), "summary": item.summary, "waiting_for": item.waiting_for, "mine": item.mine}
        for item in found.waiting
    ]
    runs = [{"run": run.id, "plan": run.plan, "state": run.state, "cases": run.cases} for run in found.unrecovered]
    return {
        "paused": found.paused,
        "unrecovered": runs,
        "waiting": waiting,
        "more": found.more,
        "commands": found.commands,
    }


def _tell(item: Any) -> None:
    plan, width = item.plan, common.width()
    title = inert(plan.title) or "(no title)"
    age = words.age(datetime.fromtimestamp(plan.updated_at / 1000, UTC), datetime.now(UTC))
    common.say(clip(f"  {plan.id}  {plan.state:<17}  {age:<14}  {_cases(plan.cases)}: {title}", width))
    for line in wrap(inert(item.summary), width - 6, 2) if item.summary else ():
        common.say(f"      {line}")
    if item.waiting_for and not item.mine:
        common.say(clip(f"      waits for {inert(item.waiting_for)}", width))


def _cases(cases: tuple[str, ...]) -> str:
    return words.listed([visible(case) for case in cases])


def _paused(one: Any) -> str:
    what = f"case {visible(one.case)}" if one.case else "the whole workspace"
    why = f": {inert(one.comment)}" if one.comment else ""
    return f"{what}, by {visible(one.actor)}, {common.moment(one.at)}{why}"


@click.command("wait")
@click.argument("id")
@click.option("--until", required=True, type=click.Choice(["decided", "applied"]), help="What is waited for.")
@click.option("--timeout", metavar="T", help='For how long, such as "10m"; else as long as it takes.')
@common.options
def wait_command(
    id: str, until: str, timeout: str | None, workspace: str | None, state: str | None, as_json: bool
) -> None:
    """Wait until a plan is decided, or applied.

    Exit status 11 if the time is up first; 12 rejected, 13 expired, 5 stale, 4 sent back or withdrawn, 6 rolled back.
    """
    gate = common.open_gate(workspace, state)
    plan = gate.wait(id, until, None if timeout is None else seconds(timeout))
    common.emit(plans.row(plan)) if as_json else common.say(f"{plan.id} is {plan.state}")


def seconds(text: str) -> float:
    """A timeout as it is typed: so many seconds, or a duration."""
    from treegate.model.measures import parse_duration

    try:
        return int(text) if text.isascii() and text.isdecimal() else parse_duration(text) / 1000
    except ValueError as error:
        raise UsageError(f"--timeout: {error}", next="treegate --help") from None


@click.command("pause")
@click.option("--case", help="Only this case.")
@click.option("-c", "--comment", default="", help="Why: whoever is held reads it.")
@common.options
def pause_command(case: str | None, comment: str, workspace: str | None, state: str | None, as_json: bool) -> None:
    """Let no run begin, whatever the door, until it is resumed; a run that is under way ends as it would have."""
    gate = common.open_gate(workspace, state)
    _tell_pauses(gate.pause(case, comment), as_json)


@click.command("resume")
@click.option("--case", help="Only this case.")
@common.options
def resume_command(case: str | None, workspace: str | None, state: str | None, as_json: bool) -> None:
    """Lift the pause of the workspace, or of one case; each is lifted as it was made."""
    gate = common.open_gate(workspace, state)
    _tell_pauses(gate.resume(case), as_json)


def _tell_pauses(found: list[Any], as_json: bool) -> None:
    if as_json:
        common.emit({"paused": found})
        return
    for one in found:
        common.say(f"paused: {_paused(one)}")
    if not found:
        common.say("nothing is paused")
