"""approve, reject, request-changes, revoke."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from treegate.errors import Busy, Denied, NotFound, UsageError
from treegate.interfaces.cli import commands, common, plans, running
from treegate.model.lifecycle import State
from treegate.model.names import visible

_DIGEST = click.option("--digest", metavar="D", help="The digest meant; else the current one.")


@click.command("approve")
@click.argument("id")
@click.option(
    "--digest", metavar="D", help="The digest approved, from 12 characters; without a terminal it is needed."
)
@click.option("-c", "--comment", default="", help="A word on it.")
@common.options
def approve_command(
    id: str, digest: str | None, comment: str, workspace: str | None, state: str | None, as_json: bool
) -> None:
    """Say yes to exactly what the preview shows. On a terminal it is shown and asked; else give --digest and a
    reviewer's token in TREEGATE_TOKEN."""
    gate = common.open_gate(workspace, state)
    at_terminal = common.interactive() and not as_json
    identify(gate, at_terminal, "approve")
    if id.startswith("sb_"):
        commands.approve(gate, id, digest, comment, as_json)
        return
    if digest is None:
        if not at_terminal:
            raise UsageError("without a terminal, --digest is needed", code="digest-needed", next=f"show {id}")
        digest = _asked(gate, id)
    plan = gate.approve(id, digest, comment)
    applied, held = carried_out(gate, plan)
    if as_json:
        common.emit({**plans.row(gate.plan(plan.id)), "run": applied.run if applied else None, "applied": applied})
    elif applied is not None:
        running.tell(applied, False)
    else:
        common.say(held or f"{plan.id} is {plan.state}{waits(gate, plan)}")


def carried_out(gate: Any, plan: Any) -> tuple[Any, str]:
    """The run of a plan that was just approved, if the last approval starts it; or what keeps it from beginning."""
    if plan.state is not State.APPROVED or not gate.applies_on_approval():
        return None, ""
    try:
        return running.applied(gate, plan.id), ""
    except Busy as error:
        if error.code != "paused":
            raise
        return None, f"{plan.id} is approved, and not carried out: {error.message}"


def identify(gate: Any, at_terminal: bool, verb: str) -> None:
    """A person at a terminal is the OS user; anything else has to show a token."""
    if not at_terminal and gate.actor.via != "token":
        raise Denied(
            f"without a terminal, `{verb}` needs a reviewer's token in TREEGATE_TOKEN",
            code="token-needed",
            hint="an agent that runs as this user could otherwise decide on its own plans",
            next="treegate token create --name NAME --role reviewer",
        )


def _asked(gate: Any, id: str) -> str:
    """The digest of the preview, once it was shown and the person said yes."""
    shown = gate.show(id)
    plans.show_preview(shown.preview, gate.document(shown.plan.id).operations)
    if shown.plan.digest is None:
        raise NotFound(
            f"{shown.plan.id} has no preview", code="not-previewed", next=f"treegate refresh {shown.plan.id}"
        )
    click.confirm(f"Approve exactly this ({shown.plan.digest[:12]})?", abort=True, err=True)
    return str(shown.plan.digest)


@click.command("reject")
@click.argument("id")
@click.option(
    "-c", "--comment", required=True, help="Why: the author reads it, and the digest stays refused with it."
)
@_DIGEST
@common.options
def reject_command(
    id: str, comment: str, digest: str | None, workspace: str | None, state: str | None, as_json: bool
) -> None:
    """Say no to what the preview shows, and why."""
    gate = common.open_gate(workspace, state)
    if id.startswith("sb_"):
        identify(gate, common.interactive() and not as_json, "reject")
        commands.tell(gate.reject_sandbox(id, digest or gate.sandbox(id).digest, comment), as_json)
        return
    _decide(gate, "reject", gate.reject, id, digest, comment, as_json)


@click.command("request-changes")
@click.argument("id")
@click.option("-c", "--comment", required=True, help="What is to be changed: the author reads it.")
@_DIGEST
@common.options
def request_changes_command(
    id: str, comment: str, digest: str | None, workspace: str | None, state: str | None, as_json: bool
) -> None:
    """Send a plan back to its author, who revises it; the new revision starts undecided."""
    gate = common.open_gate(workspace, state)
    _decide(gate, "request-changes", gate.request_changes, id, digest, comment, as_json)


@click.command("revoke")
@click.argument("id")
@click.option("-c", "--comment", default="", help="A word on it.")
@_DIGEST
@common.options
def revoke_command(
    id: str, comment: str, digest: str | None, workspace: str | None, state: str | None, as_json: bool
) -> None:
    """Take your own approval back, as long as no run has begun on it."""
    gate = common.open_gate(workspace, state)
    _decide(gate, "revoke", gate.revoke, id, digest, comment, as_json)


def _decide(
    gate: Any,
    verb: str,
    act: Callable[[str, str, str], Any],
    id: str,
    digest: str | None,
    comment: str,
    as_json: bool,
) -> None:
    identify(gate, common.interactive() and not as_json, verb)
    plan = act(id, digest or gate.plan(id).digest or "", comment)
    if as_json:
        common.emit(plans.row(plan))
    else:
        common.say(f"{plan.id} is {plan.state}{waits(gate, plan)}")


def waits(gate: Any, plan: Any) -> str:
    """For whom a plan waits, to be added to a sentence."""
    found = gate.waiting_for(plan.id)
    return f" and waits for {visible(found)}" if found else ""
