"""What a workspace offers at the TAB key: ids with where they stand, cases, files. Read only, and quickly."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from treegate.interfaces.cli import common
from treegate.model.lifecycle import TABLE, UNFINISHED, Event, State
from treegate.model.names import visible

_RUN_STATES: dict[str, Iterable[State]] = {"undo": (State.APPLIED,), "recover": UNFINISHED}
_TITLE = 60  # characters of a title beside an id


class Place(NamedTuple):
    """The workspace of a half-typed command line, and its state directory."""

    root: Path
    state: Path

    @classmethod
    def of(cls, ctx: click.Context) -> Place:
        """By --workspace and --state as far as they are typed, or as for every command; raises if there is none."""
        from treegate.engine import workspace

        named, state = ctx.params.get("workspace"), ctx.params.get("state")
        if common.server(ctx, named, state):
            raise LookupError("a key at the shell asks nobody on the network")
        environ = common.environ(state)
        root = Path(named) if named else workspace.find(Path.cwd(), environ)
        return cls(root, workspace.state_directory(workspace.read_marker(root).workspace, environ))


def plans(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """The plans that the command can do something with, newest first; `show` takes runs too."""
    from treegate.engine import glance

    database = _database(ctx)
    found = glance.plans(database, incomplete, _states(ctx.info_name or ""))
    if ctx.info_name == "show":
        found += glance.runs(database, incomplete)
    return [_id(row) for row in found]


def _states(command: str) -> list[State]:
    """The states in which the lifecycle lets the command's event happen; none where it is no event."""
    if command not in set(Event):
        return []
    return [state for state, events in TABLE.items() if Event(command) in events]


def runs(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """The runs that the command can do something with, newest first."""
    from treegate.engine import glance

    wanted = _RUN_STATES.get(ctx.info_name or "", ())
    return [_id(row) for row in glance.runs(_database(ctx), incomplete, wanted)]


def _database(ctx: click.Context) -> Path:
    from treegate.engine.workspace import DATABASE

    return Place.of(ctx).state / DATABASE


def _id(row: tuple[str, str, str]) -> CompletionItem[str]:
    id, state, title = row
    return CompletionItem(id, help=f"{state}: {visible(title)[:_TITLE]}" if title else state)


def cases(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """The cases by name; one that no shell could be given back is left out."""
    from treegate.engine import configfile
    from treegate.engine.workspace import Workspace, read_marker

    root, state = Place.of(ctx)
    workspace = Workspace(root, read_marker(root), state, configfile.load(state, os.environ))
    return [
        CompletionItem(name)
        for name in sorted(workspace.cases())
        if name.startswith(incomplete) and name.isprintable()
    ]


def files(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """Whatever files the shell knows."""
    return [CompletionItem(incomplete, type="file")]


def folders(ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
    """Whatever folders the shell knows."""
    return [CompletionItem(incomplete, type="dir")]


_BY_NAME: dict[str, Callable[[click.Context, str], list[CompletionItem[str]]]] = {
    "id": plans,
    "run": runs,
    "case": cases,
    "cases": cases,
    "plan": files,
    "F": files,
    "DIR": folders,
    "[DIR]": folders,
}


class Offer(click.types.StringParamType):
    """The type of a text parameter of which the workspace knows what it may be."""

    def __init__(self, of: Callable[[click.Context, str], list[CompletionItem[str]]]) -> None:
        self.of = of

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """What begins with what was typed."""
        return self.of(ctx, incomplete)


def prepare(command: click.Command) -> click.Command:
    """The command with types that know the workspace, by what its parameters are called: their name, or metavar."""
    for param in command.params:
        of = _BY_NAME.get(param.metavar or "") or _BY_NAME.get(param.name or "")
        if of and type(param.type) is click.types.StringParamType:
            param.type = Offer(of)
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        prepare(inner)
    return command
