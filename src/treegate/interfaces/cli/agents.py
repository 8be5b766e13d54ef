"""mcp: the tools of agents, as a server of the Model Context Protocol."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from treegate.interfaces.cli import common
from treegate.interfaces.mcp import configs

HOST, PORT = "127.0.0.1", 8474
_TOKEN = "TREEGATE_TOKEN"


@click.command("mcp")
@click.option("--http", "over_http", is_flag=True, help="Over streamable HTTP, for agents with tokens; else stdio.")
@click.option("--host", default=HOST, show_default=True, help="With --http: the address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="With --http: the port; 0 is any."
)
@click.option("--plans", metavar="DIR", help="Over stdio, plans may be read from here; else from the current folder.")
@click.option(
    "--print-config",
    "client",
    type=click.Choice(configs.CLIENTS),
    help="Print what to put into a client's configuration, and end.",
)
@common.options
def mcp_command(
    over_http: bool,
    host: str,
    port: int,
    plans: str | None,
    client: str | None,
    workspace: str | None,
    state: str | None,
    as_json: bool,
) -> None:
    """The tools of agents for MCP clients: look, propose, wait, carry out what a person approved. None approves.

    Over stdio, the client begins this itself. Over HTTP each request carries the bearer token of an author.
    """
    url = common.server(click.get_current_context(), workspace, state)
    if client:
        _print(client, _way(url, workspace, state, plans, f"http://{_host(host)}:{port}/mcp" if over_http else ""))
    elif over_http:
        _over_http(url, workspace, state, host, port, as_json)
    else:
        _over_stdio(url, workspace, state, plans)


def _over_stdio(url: str, workspace: str | None, state: str | None, plans: str | None) -> None:
    with _extras("mcp"):
        from treegate.interfaces.mcp import stdio
        from treegate.interfaces.mcp.seat import Ending, Seat
        from treegate.interfaces.mcp.seats import Seats
    gate = common.open_gate(workspace, state)
    ending, folder = Ending(), Path(plans or ".").resolve()
    if not url and gate.actor.via == "token":  # which may be revoked while this runs
        seats = Seats(gate, ending, plans=folder)
        seats.of(os.environ[_TOKEN])
        stdio.serve(lambda: seats.of(os.environ[_TOKEN]), ending, seats.finish)
    else:
        seat = Seat(gate, ending, plans=folder)
        stdio.serve(lambda: seat, ending, seat.threads.finish)


def _over_http(url: str, workspace: str | None, state: str | None, host: str, port: int, as_json: bool) -> None:
    with _extras("mcp,service"):
        from treegate.engine.config import Service
        from treegate.interfaces.http import hosts, serving
        from treegate.interfaces.mcp import http
        from treegate.interfaces.mcp.seat import Ending
        from treegate.interfaces.mcp.seats import Seats
    ending = Ending()
    door = url or _nobody(workspace, common.environ(state))
    config = Service(host=host) if isinstance(door, str) else door.core.config.service
    found = serving.listen(host, port, next="treegate mcp --http --port 0")
    address = f"{serving.address_of(found)}/mcp"

    def said() -> None:
        if as_json:
            common.emit({"address": address})
        else:
            common.say(f"Treegate answers agents at {address} (Ctrl-C ends it)")

    names = hosts.names(config) | ({host.lower()} - hosts.ANY)
    http.serve(Seats(door, ending), ending, found, config, names, said)


def _nobody(workspace: str | None, environ: Mapping[str, str]) -> Any:
    """The gate of a workspace, which is only ever used as somebody: not as whoever began this process."""
    from treegate.engine.workspace import find
    from treegate.gate import Gate

    root = Path(workspace) if workspace else find(Path.cwd(), environ)
    gate = Gate.open(root, {name: value for name, value in environ.items() if name != _TOKEN})
    click.get_current_context().call_on_close(gate.close)
    return gate


@contextlib.contextmanager
def _extras(names: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        from treegate.mcp import missing

        raise missing(names) from error


def _way(url: str, workspace: str | None, state: str | None, plans: str | None, address: str) -> configs.Way:
    """How a client of this machine reaches the server."""
    if address:
        return configs.Way(url=address)
    args = ["mcp", *(["--server", url] if url else ["--workspace", _found(workspace, state)])]
    named = {"--state": None if url else common.environ(state).get("TREEGATE_STATE"), "--plans": plans}
    args += [word for name, folder in named.items() if folder for word in (name, str(Path(folder).resolve()))]
    return configs.Way(_program(), tuple(args), token=bool(url) or _TOKEN in os.environ)


def _found(workspace: str | None, state: str | None) -> str:
    from treegate.engine.workspace import find

    return str((Path(workspace) if workspace else find(Path.cwd(), common.environ(state))).resolve())


def _program() -> str:
    """The program that runs now, by its absolute path."""
    beside = Path(sys.executable).with_name("treegate")
    return str(beside if beside.exists() else Path(sys.argv[0]).resolve())


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _print(client: str, way: configs.Way) -> None:
    made = configs.written(client, way)
    click.echo(made.text)
    click.echo(f"# put this into {made.place}", err=True)
    if not (way.token or way.url):
        click.echo(
            f"# without {_TOKEN} in its environment, the agent is yours, and proposes under a name of its own",
            err=True,
        )
    click.echo("# a token for an agent: treegate token create --name NAME --role author", err=True)
