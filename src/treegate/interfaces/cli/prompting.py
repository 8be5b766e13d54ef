"""prompt: what an agent has to be told, for its system prompt."""

from __future__ import annotations

import click

from treegate.interfaces.cli import common


@click.command("prompt")
@click.option("--json", "as_json", is_flag=True, help='One JSON document: {"prompt": ...}.')
def prompt_command(as_json: bool) -> None:
    """One page for an agent's system prompt: how it has files changed, and how a plan is written."""
    from importlib.resources import files

    text = files("treegate.interfaces").joinpath("agent", "prompt.md").read_text(encoding="utf-8")
    if as_json:
        common.emit({"prompt": text})
    else:
        click.echo(text, nl=False)
