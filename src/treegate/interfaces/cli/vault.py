"""vault list, restore, prune."""

from __future__ import annotations

import click

from treegate.interfaces.cli import common, plans
from treegate.model.names import visible
from treegate.render import words


@click.group("vault")
def vault_command() -> None:
    """What was deleted or replaced, and until when it is kept."""


@vault_command.command("list")
@click.argument("run", required=False, default="")
@click.option("--case", help="Only what came from this case.")
@common.options
def list_kept(run: str, case: str | None, workspace: str | None, state: str | None, as_json: bool) -> None:
    """What the vault keeps, oldest first; each entry by the number that the preview and the manifest use too."""
    gate = common.open_gate(workspace, state)
    kept = gate.list_vault(run, case)
    if as_json:
        common.emit({"entries": kept})
        return
    for one in kept:
        until = common.moment(one.until) if one.until is not None else "for good"
        common.say(f"{one.run}  {one.entry:>6}  {words.size(one.size):>10}  until {until}  {visible(one.path)}")
    common.say(f"{words.plural(len(kept), 'entry', 'entries')}, {words.size(sum(one.size for one in kept))}")


@vault_command.command("restore")
@click.argument("run")
@click.argument("entry", nargs=-1, type=int)
@click.option("--to", default="", metavar="PATH", help="Where to put the one entry, from the case's name on.")
@common.options
def restore(
    run: str, entry: tuple[int, ...], to: str, workspace: str | None, state: str | None, as_json: bool
) -> None:
    """A plan that puts kept entries of a run back where they were (or one of them elsewhere)."""
    gate = common.open_gate(workspace, state)
    done = gate.restore(run, entry, to)
    if as_json:
        common.emit(done)
    else:
        plans.tell_submitted(gate, done)
    if done.state == "invalid":
        raise click.exceptions.Exit(plans.PLAN_HAS_ERRORS)


@vault_command.command("prune")
@click.option("--dry-run", is_flag=True, help="Only say what would be let go.")
@common.options
def prune(dry_run: bool, workspace: str | None, state: str | None, as_json: bool) -> None:
    """Let go what retention no longer keeps; never what a live plan or an unfinished run names.

    With it goes what nothing needs any more: the vault folders of old runs that keep nothing, and step tables and
    contents of plans that can no longer be carried out.
    """
    gate = common.open_gate(workspace, state)
    gone, left = gate.prune(dry=dry_run)
    if as_json:
        cleared = {"runs": left.runs, "files": len(left.files)}
        common.emit({"pruned": gone, "cleared": cleared, "dry_run": dry_run})
        return
    for one in gone:
        common.say(f"{one.run}  {one.entry:>6}  {words.size(one.size):>10}  {visible(one.path)}")
    verb = "would be let go" if dry_run else "let go"
    common.say(f"{words.plural(len(gone), 'entry', 'entries')} {verb}")
    if left.folders:
        common.say(f"besides: {words.plural(len(left.runs), 'vault folder')} of runs that keep nothing any more")
    if left.files:
        common.say(f"besides: {words.plural(len(left.files), 'file')} of plans that are over")
