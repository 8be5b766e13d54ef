"""doctor, fsck, config, schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from treegate.interfaces.cli import common
from treegate.model.names import restated, visible

DOES_NOT_VERIFY = 10


@click.command("doctor")
@click.option("--deep", is_flag=True, help="Look at every entry of every case that the agent's OS user may change.")
@common.options
def doctor_command(deep: bool, workspace: str | None, state: str | None, as_json: bool) -> None:
    """What this mount can promise, found out by trying, and what to do about what it cannot; and whether the agent's
    OS user (`agent.user`) is kept out.

    Exit status 10 where something is wrong.
    """
    gate = common.open_gate(workspace, state)
    found = gate.doctor(deep=deep)
    _tell(found, as_json, "all is well: every promise holds here")
    if any(one.severity == "error" for one in found):
        raise click.exceptions.Exit(DOES_NOT_VERIFY)


@click.command("fsck")
@click.option("--dry-run", "dry", is_flag=True, help="Only look: write nothing.")
@common.options
def fsck_command(dry: bool, workspace: str | None, state: str | None, as_json: bool) -> None:
    """Whether database, journals, receipts, vault, reports and tree tell one story.

    Reports, manifests and rollback scripts that do not are made anew, and named; nothing else is changed. Exit status
    10 where something is wrong still.
    """
    gate = common.open_gate(workspace, state)
    found = gate.fsck(dry=dry)
    _tell(found, as_json, "records, vault, reports and tree tell one story")
    if found and not as_json and all(one.severity == "rebuilt" for one in found):
        common.say("everything else tells one story")
    if any(one.severity == "error" for one in found):
        raise click.exceptions.Exit(DOES_NOT_VERIFY)


def _tell(found: Iterable[Any], as_json: bool, fine: str) -> None:
    rows = list(found)
    if as_json:
        common.emit({"findings": rows})
        return
    say_findings(rows)
    if not rows:
        common.say(fine)


def say_findings(rows: Iterable[Any]) -> None:
    """What was found, and under each what to do about it."""
    for one in rows:
        common.say(f"{one.severity}: {restated(one.title)}")
        if one.advice:
            common.say(f"    {restated(one.advice)}")


@click.group("config")
def config_command() -> None:
    """The settings."""


@config_command.command("show")
@common.options
def show(workspace: str | None, state: str | None, as_json: bool) -> None:
    """Every setting, its value, and where that comes from."""
    rows = common.open_gate(workspace, state).settings().settings
    if as_json:
        common.emit({"settings": rows})
        return
    for row in rows:
        common.say(f"{row.key} = {visible(row.value)}    # {visible(row.origin)}")


@config_command.command("path")
@common.options
def path(workspace: str | None, state: str | None, as_json: bool) -> None:
    """Where the configuration file is."""
    found = common.open_gate(workspace, state).settings().path
    common.emit({"path": found}) if as_json else common.say(found)


@click.command("schema")
@click.argument("name", type=click.Choice(["plan", "preview", "receipt"]))
@click.option("--json", "as_json", is_flag=True, help="The same: it is a JSON document.")
def schema_command(name: str, as_json: bool) -> None:
    """The JSON Schema of a document."""
    from treegate.engine import receipts
    from treegate.model import plan, preview

    made = {"plan": plan.schema, "preview": preview.schema, "receipt": receipts.schema}[name]()
    common.emit(made)
