"""What all commands share: their options, the gate they open, how they print."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from treegate.render import jsons

F = TypeVar("F", bound=Callable[..., Any])


SERVER = "TREEGATE_SERVER"  # also what the context of a command keeps its --server under
YEAR_10000 = 253_402_300_800_000  # milliseconds since 1970; the calendar of datetime ends before


def options(command: F) -> F:
    """What every command on a workspace takes: where that is, here or behind a service, and `--json`."""
    return click.option(
        "--server",
        metavar="URL",
        expose_value=False,
        callback=_noted,
        help="A service that has the workspace; else TREEGATE_SERVER. TREEGATE_TOKEN says who you are there.",
    )(here(command))


def _noted(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    ctx.meta[SERVER] = value


def here(command: F) -> F:
    """What the commands take that work on a workspace of this machine."""
    for option in reversed(
        (
            click.option("--workspace", metavar="DIR", help="The workspace; else found from here upwards."),
            click.option("--state", metavar="DIR", help="The state directory; else TREEGATE_STATE, or the default."),
            click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."),
        )
    ):
        command = option(command)
    return command


def environ(state: str | None) -> dict[str, str]:
    """The environment, with what the command line says of it."""
    found = dict(os.environ)
    if state:
        found["TREEGATE_STATE"] = str(Path(state).absolute())
    return found


def open_gate(workspace: str | None, state: str | None) -> Any:
    """The gate of the workspace that the command line, the environment or the current folder names, in this order.

    One behind a service is a `Client`, which does and answers the same.
    """
    gate = _opened(workspace, state)
    click.get_current_context().call_on_close(gate.close)
    return gate


def _opened(workspace: str | None, state: str | None) -> Any:
    if url := server(click.get_current_context(), workspace, state):
        from treegate.client import Client

        return Client(url, os.environ.get("TREEGATE_TOKEN", ""))
    from treegate.engine.workspace import find
    from treegate.gate import Gate

    found = environ(state)
    return Gate.open(Path(workspace) if workspace else find(Path.cwd(), found), found)


def server(ctx: click.Context, workspace: str | None, state: str | None) -> str:
    """The address of the service that is meant; "" for none. The command line goes before the environment."""
    from treegate.errors import UsageError

    named = ctx.meta.get(SERVER)
    if named and (workspace or state):
        text, hint = "--server and a workspace of this machine are named", "name one of them"
        raise UsageError(text, code="server-and-workspace", hint=hint)
    return str(named or ("" if workspace or state else os.environ.get(SERVER, "")))


def say(text: str = "") -> None:
    """Prints for a person."""
    click.echo(text)


def emit(value: Any) -> None:
    """Prints the one JSON document."""
    click.echo(jsons.dumps(value))


def color() -> bool:
    """Whether to use colour: on a terminal, unless NO_COLOR says otherwise (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def width() -> int:
    """The width to write for, in columns."""
    return shutil.get_terminal_size((100, 24)).columns


def interactive() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def moment(milliseconds: int) -> str:
    """A time (milliseconds since 1970) for people: UTC, to the minute."""
    if milliseconds >= YEAR_10000:
        return "after the year 9999"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _bounded(file: BinaryIO) -> bytes:
    """What a file holds, to one byte more than a plan may have: the gate then says that it is too large."""
    from treegate.gate.plans import MOST_BYTES

    pieces, left = [], MOST_BYTES + 1  # piece by piece, for room for all that is asked for is taken at once
    while piece := file.read(min(left, 1 << 20)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def read_document(plan: str) -> bytes:
    """The bytes of a plan: a file, or `-` for standard input."""
    from treegate.errors import NotFound, UsageError

    try:
        if plan == "-":
            return _bounded(sys.stdin.buffer)
        with open(plan, "rb") as file:
            return _bounded(file)
    except FileNotFoundError:
        raise NotFound(f"there is no file {plan!r}", code="file-missing", next="treegate check --help") from None
    except OSError as error:
        raise UsageError(f"{plan}: {error.strerror}", code="file-unreadable", next="treegate check --help") from None
