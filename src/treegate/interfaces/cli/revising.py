"""revise, refresh, withdraw, reduce, diff."""

from __future__ import annotations

from typing import Any

import click

from treegate.interfaces.cli import common, deciding, plans
from treegate.model.names import visible
from treegate.render import comparison, words
from treegate.render.lines import effect_line

_SHOWN = 40  # effects that are listed before a plan is reduced


@click.command("revise")
@click.argument("id")
@click.argument("plan")
@click.option("--from", "expected", type=click.IntRange(1, 2**31), metavar="REV", help="Only if this is the newest.")
@common.options
def revise_command(
    id: str, plan: str, expected: int | None, workspace: str | None, state: str | None, as_json: bool
) -> None:
    """Hand in a new version of a plan (a file, or - for standard input); it keeps its id and starts undecided."""
    document = common.read_document(plan)
    gate = common.open_gate(workspace, state)
    plans.answer(gate, gate.revise(id, document, expected), as_json)


@click.command("refresh")
@click.argument("id")
@common.options
def refresh_command(id: str, workspace: str | None, state: str | None, as_json: bool) -> None:
    """Preview a plan anew, on the tree as it is now; of one that was approved, only what changed since is shown."""
    gate = common.open_gate(workspace, state)
    done = gate.refresh(id)
    known = None if as_json else gate.since_approved(done.id)
    if known is None:
        plans.answer(gate, done, as_json)
        return
    common.say(comparison.comparison(known, width=common.width(), color=common.color()).rstrip("\n"))
    common.say(f"{done.id} is {done.state}{deciding.waits(gate, done)}")
    if done.state == "invalid":
        raise click.exceptions.Exit(plans.PLAN_HAS_ERRORS)


@click.command("withdraw")
@click.argument("id")
@click.option("-c", "--comment", default="", help="Why.")
@common.options
def withdraw_command(id: str, comment: str, workspace: str | None, state: str | None, as_json: bool) -> None:
    """Take a plan back, for good, before a run began on it."""
    gate = common.open_gate(workspace, state)
    plan = gate.withdraw(id, comment)
    common.emit(plans.row(plan)) if as_json else common.say(f"{plan.id} is {plan.state}")


@click.command("reduce")
@click.argument("id")
@click.option(
    "--leave-out", "leave_out", multiple=True, required=True, metavar="E",
    help="An effect (e17) or a pattern (p3), as `show` has them; several with commas, or given again.",
)  # fmt: skip
@click.option("--digest", metavar="D", help="The digest that they are taken from; else the current one.")
@click.option("--dry-run", is_flag=True, help="Only say what would fall, and what would remain.")
@common.options
def reduce_command(
    id: str,
    leave_out: tuple[str, ...],
    digest: str | None,
    dry_run: bool,
    workspace: str | None,
    state: str | None,
    as_json: bool,
) -> None:
    """Make a new revision of a plan without some of its effects, and without what depends on them.

    What falls with them is shown first. Whoever reduces a plan adds nothing to it, and may still approve it.
    """
    gate = common.open_gate(workspace, state)
    wanted = [one.strip() for given in leave_out for one in given.split(",") if one.strip()]
    found = gate.reduction(id, wanted, digest or "")
    if dry_run and as_json:
        common.emit(found)
        return
    if not as_json:
        tell_reduction(found)
    if dry_run:
        return
    if common.interactive() and not as_json:
        click.confirm("Leave these out?", abort=True, err=True)
    plans.answer(gate, gate.reduce(found.id, wanted, found.digest), as_json)


def tell_reduction(found: Any) -> None:
    """What leaving something out of a plan comes to."""
    width = common.width()
    common.say(f"left out: {words.plural(len(found.left_out), 'effect')}")
    for effect in found.left_out[:_SHOWN]:
        common.say(f"  {effect.id:<6} {effect.effect:<9} {effect_line(effect, width - 20)}")
    _more(len(found.left_out))
    if found.falls:
        common.say(f"falls with them: {words.plural(len(found.falls), 'effect')}")
    for one in found.falls[:_SHOWN]:
        common.say(f"  {one.effect.id:<6} {one.effect.effect:<9} {effect_line(one.effect, width - 20)}")
        common.say(f"         {visible(one.why)}")
    _more(len(found.falls))
    common.say(f"what remains: {visible(found.summary)}")


def _more(count: int) -> None:
    if count > _SHOWN:
        common.say(f"  and {count - _SHOWN:,} more")


@click.command("diff")
@click.argument("id")
@click.argument("rev", required=False, type=click.IntRange(1, 2**31))
@click.option("--to", type=click.IntRange(1, 2**31), metavar="REV", help="The later revision; else the newest.")
@common.options
def diff_command(
    id: str, rev: int | None, to: int | None, workspace: str | None, state: str | None, as_json: bool
) -> None:
    """What is different now from what was approved (or, if nothing was, from what was previewed).

    With REV: how the newest revision differs from that one.
    """
    gate = common.open_gate(workspace, state)
    found = gate.diff(id, rev, to)
    if as_json:
        common.emit(found)
    else:
        common.say(comparison.comparison(found, width=common.width(), color=common.color()).rstrip("\n"))
