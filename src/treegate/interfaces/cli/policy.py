"""policy explain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from treegate.interfaces.cli import common
from treegate.model.effects import untagged
from treegate.model.names import restated, visible

SHOWN = 20  # refused paths that are listed


@click.group("policy")
def policy_command() -> None:
    """The rules of the workspace."""


@policy_command.command("explain")
@click.argument("plan")
@common.options
def explain(plan: str, workspace: str | None, state: str | None, as_json: bool) -> None:
    """Which rule asks what of a plan and which does not, with the figures; PLAN is a file, `-`, or a plan's id."""
    gate = common.open_gate(workspace, state)
    in_file = plan == "-" or Path(plan).is_file()
    found = gate.explain_document(common.read_document(plan)) if in_file else gate.explain(plan)
    if as_json:
        common.emit(found)
        return
    for line in _lines(found):
        common.say(line)


def _lines(found: Any) -> Iterator[str]:
    yield f"{found.plan} ({found.state})" if found.plan else "not handed in"
    yield restated(found.summary)
    if found.policy_changed:
        yield f"policy has changed since the preview; next: treegate refresh {found.plan}"
    yield ""
    yield from _approvals(found)
    yield ""
    yield "Limits"
    for limit in found.limits:
        where = f" in {visible(limit.case)}" if limit.case else ""
        mark = "PASSED" if limit.passed else "ok"
        yield f"  {mark:<7}{limit.limit}{where}: {limit.found} of {limit.allowed}"
    for message in found.problems:
        yield f"  {restated(message)}"
    yield ""
    yield from _paths(found)


def _approvals(found: Any) -> Iterator[str]:
    whose = "the author's own counts" if found.own else f"not by {visible(found.author)}"
    yield f"Approvals ({whose}; good for {found.expires})"
    for rule in found.rules:
        if not rule.matches:
            yield f"  no     {visible(rule.rule)}: {restated(rule.why)}"
            continue
        people = f" from {', '.join(map(visible, rule.people))}" if rule.people else ""
        given = f"; approved by {', '.join(map(visible, rule.given))}" if rule.given else ""
        missing = f"; {rule.missing} missing" if rule.missing else ""
        word = "asks" if rule.required else "spares"
        yield f"  {word:<7}{visible(rule.rule)}: {rule.required}{people}{given}{missing}"
        if rule.why != f"{rule.rule}.required = {rule.required}":
            yield f"         because {restated(rule.why)}"
    for name, members in found.groups.items():
        yield f"  group  {visible(name)}: {', '.join(map(visible, members)) or 'nobody'}"
    if found.waiting_for:
        yield f"  waits for {visible(found.waiting_for)}"


def _paths(found: Any) -> Iterator[str]:
    yield "Paths"
    yield f"  allowed:   {', '.join(map(visible, found.allow)) or 'none'}"
    yield f"  protected: {', '.join(map(visible, found.protect)) or 'none'}"
    for one in found.paths[:SHOWN]:
        yield f"  REFUSED {visible(untagged(one.path or ''))}: {restated(one.why)}"
    if len(found.paths) > SHOWN:
        yield f"  and {len(found.paths) - SHOWN:,} more refused"
    if not found.paths:
        yield "  nothing that the plan touches is refused"
