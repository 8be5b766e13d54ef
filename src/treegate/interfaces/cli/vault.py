"""vault list, restore, prune."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from treegate.interfaces.cli import common, plans
from treegate.model.names import visible
from treegate.model.retention import BACKUP
from treegate.render import retention, words
from treegate.render.retention import CaseTotal

if TYPE_CHECKING:
    from treegate.gate import Gate
    from treegate.gate.keeping import Held
    from treegate.gate.terms import Terms


@click.group("vault")
def vault_command() -> None:
    """What was deleted or replaced, and until when it is kept."""


@vault_command.command("list")
@click.argument("run", required=False, default="")
@click.option("--case", help="Only what came from this case.")
@common.options
def list_kept(run: str, case: str | None, workspace: str | None, state: str | None, as_json: bool) -> None:
    """What the vault keeps, oldest first, and when and why each entry will go.

    An entry has the number that the preview and the manifest use too. `prune` takes what goes "at the next prune".
    """
    gate = common.open_gate(workspace, state)
    kept = gate.list_vault(run, case)
    cases = retention.cases(kept)
    if as_json:
        common.emit({"entries": kept, "cases": cases})
        return
    terms = gate.terms()
    for one in kept:
        common.say(_line(one, terms))
    for total in cases if len(cases) > 1 else ():
        common.say(f"{visible(total.case)}: {_total(total)}")
    common.say(_total(retention.in_all(cases)))


def _line(one: Held, limits: Terms) -> str:
    size, goes = words.size(one.size), retention.goes(one, limits)
    copy = "  (backup)" if one.kind == BACKUP else ""
    return f"{one.run}  {one.entry:>6}  {size:>10}  {goes}  {visible(one.path)}{copy}"


def _total(total: CaseTotal) -> str:
    going = f"; {words.size(total.due)} would go at the next prune" if total.due else ""
    return f"{words.plural(total.entries, 'entry', 'entries')}, {words.size(total.size)}{going}"


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
@click.option("--yes", is_flag=True, help="Do not ask; without a terminal nothing is asked anyway.")
@click.option("--trust-clock", is_flag=True, help="The clock is right, though later times are on record.")
@common.options
def prune(
    dry_run: bool, yes: bool, trust_clock: bool, workspace: str | None, state: str | None, as_json: bool
) -> None:
    """Let go what `vault list` says is due; never what a live plan or an unfinished run names.

    With it goes what nothing needs any more: the vault folders of old runs that keep nothing, and step tables and
    contents of plans that can no longer be carried out.
    """
    gate = common.open_gate(workspace, state)
    if not (dry_run or yes or as_json) and common.interactive():
        _ask(gate, trust_clock)
    gone, left = gate.prune(dry=dry_run, trust_clock=trust_clock)
    if as_json:
        cleared = {"runs": left.runs, "files": len(left.files)}
        common.emit({"pruned": gone, "cleared": cleared, "dry_run": dry_run})
        return
    terms = gate.terms()
    for one in gone:
        common.say(_line(one, terms))
    verb = "would be let go" if dry_run else "let go"
    common.say(f"{words.plural(len(gone), 'entry', 'entries')} {verb}")
    if left.folders:
        common.say(f"besides: {words.plural(len(left.runs), 'vault folder')} of runs that keep nothing any more")
    if left.files:
        common.say(f"besides: {words.plural(len(left.files), 'file')} of plans that are over")


def _ask(gate: Gate, trust_clock: bool) -> None:
    """Shows what would go, by today's date, and asks: a clock that is far ahead lets everything go at once."""
    going = gate.prune(dry=True, trust_clock=trust_clock).entries
    if not going:
        return
    terms = gate.terms()
    for one in going:
        common.say(_line(one, terms))
    size = words.size(sum(one.size for one in going))
    entries = words.plural(len(going), "entry", "entries")
    today = common.moment(terms.now)
    click.confirm(f"Today is {today}. Let {entries} ({size}) go for good?", abort=True, err=True)
