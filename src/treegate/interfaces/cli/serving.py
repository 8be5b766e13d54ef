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
@click.option("--host", help="The address to listen on; else service.host of the configuration, 127.0.0.1.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"The port; 0 is any free one, which is printed. Else service.port of the configuration, {PORT}.",
)
@click.option("--login", is_flag=True, help="Print an address that logs you in, once, as the user of this shell.")
@common.here
def serve_command(
    host: str | None, port: int | None, login: bool, workspace: str | None, state: str | None, as_json: bool
) -> None:
    """The API and the review pages, for the workspace; Ctrl-C ends it once what is under way is done."""
    from treegate.engine.workspace import find

    environ = common.environ(state)
    root = Path(workspace) if workspace else find(Path.cwd(), environ)
    run(root, environ, host, port, login=login, as_json=as_json)


def run(
    root: Path,
    environ: Mapping[str, str],
    host: str | None,
    port: int | None,
    *,
    login: bool,
    as_json: bool,
    more: int = 0,
) -> None:
    """Serves a workspace until it is told to stop; of `more` ports after the one that is named, any will do."""
    from treegate.gate import Gate
    from treegate.interfaces.http import serving
    from treegate.interfaces.notify import doors

    given = {"TREEGATE_SERVICE_HOST": host, "TREEGATE_SERVICE_PORT": None if port is None else str(port)}
    environ = {**environ, **{name: value for name, value in given.items() if value is not None}}
    with Gate.open(root, environ) as gate:
        config = gate.core.config.service
        doors.check(gate.core.config, environ)
        once = f"/ui/login?once={gate.invite()}" if login else ""
    found = serving.listen(config.host, config.port, more)

    def said() -> None:
        address = config.public_url or serving.address_of(found)
        if as_json:
            common.emit({"address": address, "login": f"{address}{once}" if once else None})
            return
        number = found.getsockname()[1]
        if config.port not in {0, number}:
            common.say(f"Port {config.port} is taken; {number} is the next one that is free.")
        common.say(f"Treegate listens at {address}/ui/ (Ctrl-C ends it)")
        if once:
            common.say(f"\n  Open this, once, to be logged in:  {address}{once}\n")
        if once and not (config.public_url or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            common.say(f"  From another machine first:        ssh -L {number}:{config.host}:{number} THIS-MACHINE\n")

    with contextlib.suppress(KeyboardInterrupt):
        serving.serve(root, environ, config, found, said)
    if not as_json:
        common.say("\nTreegate has ended; nothing is under way. Started again, it goes on.")
