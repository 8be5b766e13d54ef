"""init."""

from __future__ import annotations

import click

from treegate.interfaces.cli import care, common
from treegate.model.names import visible
from treegate.render import words


@click.command("init")
@click.argument("dir", metavar="DIR")
@click.option("--single", is_flag=True, help="DIR itself is the one case.")
@click.option("--solo", is_flag=True, help="One person works here: authors may approve their own plans.")
@click.option(
    "--agent-user", default="", metavar="NAME", help="The OS user of agents: kept out of what is treegate's own."
)
@click.option("--state", metavar="DIR", help="The state directory; else TREEGATE_STATE, or the default.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def init_command(dir: str, single: bool, solo: bool, agent_user: str, state: str | None, as_json: bool) -> None:
    """Make or adopt a workspace: a folder with `projects/`, or whose folders are the cases; no file is touched.

    With --agent-user, what that user could still change in the cases is said, with the command to mend it.
    """
    from treegate.gate import Gate

    with Gate.init(dir, single=single, solo=solo, agent_user=agent_user, environ=common.environ(state)) as gate:
        cases = sorted(gate.core.workspace.cases())
        found = gate.agent_openings() if agent_user else []
        if as_json:
            common.emit(
                {
                    "workspace": gate.core.workspace.id,
                    "root": str(gate.root),
                    "state": str(gate.state),
                    "cases": cases,
                    "agent_user": agent_user or None,
                    "findings": found,
                }
            )
            return
        held = words.plural(len(cases), "case")
        root, kept = visible(str(gate.root)), visible(str(gate.state))
        common.say(f"{root} is a workspace with {held}; its state is in {kept}")
        if state:
            common.say(f"name that state directory from now on: export TREEGATE_STATE={gate.state}")
        if agent_user:
            care.say_findings(found)
            common.say(_kept_out(visible(agent_user), bool(found)))
        common.say("next: treegate doctor")


def _kept_out(user: str, open: bool) -> str:
    if open:
        return f"{user} cannot enter the state directory; `treegate doctor --deep` says when the rest is closed too"
    return f"{user} cannot enter the state directory, nor write .treegate, projects and the folders of the cases"
