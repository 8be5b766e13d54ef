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


YEAR_10000 = 253_402_300_800_000  # milliseconds since 1970; the calendar of datetime ends before


def options(command: F) -> F:
    """`--json`, `--workspace` and `--state`, which every command on a workspace takes."""
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
    """The gate of the workspace that the command line, the environment or the current folder names."""
    from treegate.engine.workspace import find
    from treegate.gate import Gate

    found = environ(state)
    root = Path(workspace) if workspace else find(Path.cwd(), found)
    gate = Gate.open(root, found)
    click.get_current_context().call_on_close(gate.close)
    return gate


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

    return file.read(MOST_BYTES + 1)


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
