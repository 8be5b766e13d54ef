"""apply, undo, recover."""

from __future__ import annotations

import click

from treegate.interfaces.cli import common, deciding, plans, running
from treegate.model.names import visible


@click.command("apply")
@click.argument("id")
@click.option(
    "--verify", is_flag=True, help="Hash every touched content before and after, and hold the accounts together."
)
@common.options
def apply_command(id: str, verify: bool, workspace: str | None, state: str | None, as_json: bool) -> None:
    """Carry out what was approved; asked again, it gives the same run. Ctrl-C takes back what was begun."""
    gate = common.open_gate(workspace, state)
    running.tell(running.applied(gate, id, verify=verify), as_json)


@click.command("undo")
@click.argument("run", required=False, default="")
@click.option(
    "--path", "paths", multiple=True, metavar="P", help="Only what the run did at this path; may be repeated."
)
@click.option("--now", is_flag=True, help="Approve and apply the inverse plan at once, where policy lets you.")
@common.options
def undo_command(
    run: str, paths: tuple[str, ...], now: bool, workspace: str | None, state: str | None, as_json: bool
) -> None:
    """The plan that takes a run back (the last one, if none is named): previewed and approved like any other."""
    gate = common.open_gate(workspace, state)
    made = gate.undo(run, paths)
    done = made.submitted
    if made.also and not as_json:
        common.say("has to go along: " + ", ".join(visible(path) for path in made.also[:10]) + _more(made.also))
    applied = None
    if now and done.state == "pending":
        deciding.identify(gate, common.interactive() and not as_json, "undo --now")
        plan = gate.approve(done.id, done.digest, "undo --now")
        if plan.state == "approved":
            applied = running.applied(gate, done.id)
    if as_json:
        document = {name: getattr(done, name) for name in done.__struct_fields__}
        common.emit({**document, "undo_of": made.run, "also": made.also, "applied": applied})
    elif applied is not None:
        running.tell(applied, False)
    else:
        plans.tell_submitted(gate, done)
    if done.state == "invalid":
        raise click.exceptions.Exit(plans.PLAN_HAS_ERRORS)


def _more(paths: list[str]) -> str:
    return f" and {len(paths) - 10} more" if len(paths) > 10 else ""


@click.command("recover")
@click.argument("run", required=False, default="")
@click.option("--back", is_flag=True, help="Take back what was done, even where the run could be finished.")
@common.options
def recover_command(run: str, back: bool, workspace: str | None, state: str | None, as_json: bool) -> None:
    """Bring unfinished runs to an end: finished if the tree still fits, else taken back."""
    gate = common.open_gate(workspace, state)
    with running.stoppable(gate):
        done = gate.recover(run, back=back)
    if as_json:
        common.emit({"runs": done})
        return
    for one in done:
        running.tell(one, False)
    if not done:
        common.say("nothing to recover: no run is unfinished")
