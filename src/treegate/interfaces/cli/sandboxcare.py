"""sandbox build-image, sweep, helper: what commands in sandboxes need besides their workspace."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from treegate.errors import UsageError
from treegate.interfaces.cli import common

_TAG = "treegate-mutator:latest"


@click.group("sandbox")
def sandbox_command() -> None:
    """What commands in sandboxes need: an image for Docker, and nothing left of those that were killed."""


@sandbox_command.command("build-image")
@click.option("--from-host", is_flag=True, help="From this machine's Python and what it needs, without a registry.")
@click.option("--tag", default=_TAG, show_default=True, metavar="T", help="What the image is called.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def build_image(from_host: bool, tag: str, as_json: bool) -> None:
    """Make the Docker image that commands run in, and try it out.

    It holds Python and its library, packages that scripts use, as far as they are installed here (openpyxl, pillow,
    pypdf, python-docx), a shell and its tools. deploy/mutator/Dockerfile makes a fuller one, with a registry.
    """
    if not from_host:
        text = "say --from-host; or build deploy/mutator/Dockerfile, which fetches what it needs"
        raise UsageError(text, code="usage", next="treegate sandbox build-image --from-host")
    from treegate.engine.sandbox import images

    made = images.build_from_host(tag)
    if as_json:
        common.emit({"tag": made.tag, "id": made.id, "bytes": made.size})
        return
    common.say(f"{made.tag} is made, {made.size / (1 << 20):.0f} MiB, and Python runs in it ({made.id[:19]})")


@sandbox_command.command("sweep")
@common.here
def sweep(workspace: str | None, state: str | None, as_json: bool) -> None:
    """Clear away what sandboxes left whose process was killed: containers, volumes, mounts, control groups, files.

    Each command and each start of the service does so too. What still runs is left alone.
    """
    gate = common.open_gate(workspace, state)
    done = gate.sweep_sandboxes()
    if as_json:
        common.emit({"removed": done})
        return
    for line in done or ["nothing was left of any"]:
        common.say(line)


@sandbox_command.command("helper")
@click.option("--socket", "path", required=True, metavar="PATH", help="Where it listens; sandbox.helper names it.")
@common.here
def helper(path: str, workspace: str | None, state: str | None, as_json: bool) -> None:
    """Hold Docker's socket for a service that must not have it, and run its commands; Ctrl-C ends it.

    It takes cases by name, and no path, image or limit but those of its own configuration. It runs as the service's
    user, in the group that may use Docker.
    """
    from treegate.engine.sandbox.helper import Helper, Known
    from treegate.engine.workspace import find
    from treegate.gate import Gate

    environ = common.environ(state)
    with Gate.open(Path(workspace) if workspace else find(Path.cwd(), environ), environ) as gate:
        core = gate.core
        serving = Helper(Known(core.workspace, core.state, core.config.sandbox), path)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: serving.close())
        common.emit({"socket": path}) if as_json else common.say(f"commands are taken at {path} (Ctrl-C ends it)")
        serving.serve()
