"""serve: the service, beside the workspace."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import click

from treegate.interfaces.cli import common

PORT = 8473


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    help="The port; 0 is any free one, which is printed.",
)
@click.option("--login", is_flag=True, help="Print an address that logs you in, once, as the user of this shell.")
@common.here
def serve_command(host: str, port: int, login: bool, workspace: str | None, state: str | None, as_json: bool) -> None:
    """The API and the review pages, for the workspace; Ctrl-C ends it once what is under way is done."""
    from treegate.engine.workspace import find

    environ = common.environ(state)
    root = Path(workspace) if workspace else find(Path.cwd(), environ)
    run(root, environ, host, port, login=login, as_json=as_json)


def run(
    root: Path, environ: Mapping[str, str], host: str, port: int, *, login: bool, as_json: bool, more: int = 0
) -> None:
    """Serves a workspace until it is told to stop; of `more` ports after the one that is named, any will do."""
    from treegate.gate import Gate
    from treegate.interfaces.http import serving

    once = ""
    with Gate.open(root, environ) as gate:
        if login:
            once = f"/ui/login?once={gate.invite()}"
    found = serving.listen(host, port, more)

    def said(address: str) -> None:
        if as_json:
            common.emit({"address": address, "login": f"{address}{once}" if once else None})
        else:
            common.say(f"Treegate listens at {address}/ui/ (Ctrl-C ends it)")
            if once:
                common.say(f"\n  Open this, once, to be logged in:  {address}{once}\n")
            if once and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
                number = address.rpartition(":")[2]
                common.say(f"  From another machine first:        ssh -L {number}:{host}:{number} THIS-MACHINE\n")

    with contextlib.suppress(KeyboardInterrupt):
        serving.serve(root, environ, found, said)
