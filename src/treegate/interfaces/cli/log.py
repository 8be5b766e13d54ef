"""log."""

from __future__ import annotations

from typing import Any

import click

from treegate.interfaces.cli import common
from treegate.render import history
from treegate.render.text import hanging

LEFT = 25  # columns of the time, before what happened then
EVENT = 33  # columns of number and time


@click.command("log")
@click.option("--case", default="", metavar="C", help="Only what concerns this case.")
@click.option("--path", default="", metavar="P", help="The whole life of what is, or was, at this path.")
@click.option("--limit", default=50, type=click.IntRange(min=1), metavar="N", help="So many of the newest events.")
@common.options
def log_command(case: str, path: str, limit: int, workspace: str | None, state: str | None, as_json: bool) -> None:
    """What happened: the newest events, or the whole life of a file through every move, in this case and others."""
    gate = common.open_gate(workspace, state)
    if path:
        lives = gate.history(path, case)
        if as_json:
            common.emit({"lives": lives})
            return
        for line in history.lives(path, lives):
            for part in hanging(line, common.width(), LEFT):
                common.say(part)
        if not lives:
            common.say("no run ever touched that path, and nothing is there")
        return
    rows = gate.log(case, limit)
    if as_json:
        common.emit({"events": [_plain(row) for row in rows]})
        return
    for row in reversed(rows):
        for part in hanging(history.event(row), common.width(), EVENT):
            common.say(part)


def _plain(row: Any) -> dict[str, Any]:
    """A row with its data as an object, and what it says in words."""
    fields = {name: getattr(row, name) for name in row.__struct_fields__}
    return {**fields, "data": history.data_of(row), "says": history.saying(row)}
