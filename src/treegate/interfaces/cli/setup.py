"""init."""

from __future__ import annotations

import click

from treegate.interfaces.cli import common
from treegate.model.names import visible
from treegate.render import words


@click.command("init")
@click.argument("dir", metavar="DIR")
@click.option("--single", is_flag=True, help="DIR itself is the one case.")
@click.option("--solo", is_flag=True, help="One person works here: authors may approve their own plans.")
@click.option("--state", metavar="DIR", help="The state directory; else TREEGATE_STATE, or the default.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def init_command(dir: str, single: bool, solo: bool, state: str | None, as_json: bool) -> None:
    """Make or adopt a workspace: a folder with `projects/`, or whose folders are the cases; no file is touched."""
    from treegate.gate import Gate

    with Gate.init(dir, single=single, solo=solo, environ=common.environ(state)) as gate:
        cases = sorted(gate.core.workspace.cases())
        if as_json:
            common.emit(
                {
                    "workspace": gate.core.workspace.id,
                    "root": str(gate.root),
                    "state": str(gate.state),
                    "cases": cases,
                }
            )
            return
        held = words.plural(len(cases), "case")
        root, kept = visible(str(gate.root)), visible(str(gate.state))
        common.say(f"{root} is a workspace with {held}; its state is in {kept}")
        if state:
            common.say(f"name that state directory from now on: export TREEGATE_STATE={gate.state}")
        common.say("next: treegate doctor")
