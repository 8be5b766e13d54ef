"""completion."""

from __future__ import annotations

import click

from treegate.interfaces.cli import common


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def completion_command(shell: str, as_json: bool) -> None:
    """Print the script that makes a shell complete commands, options, ids, cases and files at the TAB key.

    For bash, add this line to ~/.bashrc: eval "$(treegate completion bash)"

    For zsh, add this line to ~/.zshrc, after compinit: eval "$(treegate completion zsh)"

    For fish, once: treegate completion fish > ~/.config/fish/completions/treegate.fish
    """
    from treegate.interfaces.cli import completing

    script = completing.script(shell)
    if as_json:
        common.emit({"shell": shell, "script": script})
    else:
        common.say(script.rstrip("\n"))
