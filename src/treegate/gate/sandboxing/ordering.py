"""Orders: what a runner is told of a command, and what its failures are called."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from treegate.engine.sandbox import abilities, toolbox
from treegate.engine.sandbox.order import Case, Failed, Order
from treegate.engine.sandboxes import Sandbox
from treegate.errors import Denied, Stale, TreegateError, UsageError
from treegate.gate.core import Core
from treegate.gate.sandboxing.looking import SCRATCH
from treegate.model import commands

DOCUMENT = "plan.json"  # in the folder of a command: the plan that it comes to


def order_of(core: Core, found: Sandbox, folder: Path) -> Order:
    """The order for a command, with its own copy of its tools; raises Stale where one is not what it was."""
    config = core.config.sandbox
    core.workspace.check_marker()
    scratch = folder / SCRATCH
    scratch.mkdir(mode=0o700)
    tools = _tools(core, found, folder / SCRATCH / "tools")
    return Order(
        id=found.id,
        command=found.command,
        cases=tuple(case_of(core, case) for case in found.cases),
        engine="docker" if config.helper else abilities.engine(found.engine, found.image),
        scratch=str(scratch),
        blobs=str(core.state / "blobs"),
        document=str(folder / DOCUMENT),
        image=found.image,
        tools=tools,
        limits=found.may_use,
        reads=found.reads,
        host_workspace=config.known_to_docker(os.path.realpath(core.workspace.root)),
        title=commands.title_of(found.command),
        reason=f"Run in a sandbox as {found.id}",
    )


def case_of(core: Core, case: str) -> Case:
    """A case as a command sees it."""
    folder = os.path.realpath(core.workspace.case_path(case))
    return Case(name=case, folder=folder, hidden=tuple(sorted(core.workspace.reserved)))


def _tools(core: Core, found: Sandbox, target: Path) -> str:
    """An own copy of the tools that the command was allowed on, and of its script."""
    seen, where = found.seen_tools, tuple(core.workspace.folders.tools.split("/"))
    if not seen:
        return ""
    script = seen[-1] if found.script is not None else None
    toolbox.copy(core.workspace.root, where, (tool for tool in seen if tool is not script), target)
    if script is not None and found.script is not None:
        toolbox.put(target, script.path, found.script)
    return str(target)


_KINDS: tuple[tuple[type[TreegateError], Collection[str]], ...] = (
    (Denied, ("not-readable",)),
    (UsageError, ("case-too-large-to-copy", "case-has-mount")),
    (Stale, ("tools-changed",)),
)


def error_of(failed: Failed) -> TreegateError:
    """What a runner could not do, as an error of ours."""
    kind = next((kind for kind, codes in _KINDS if failed.code in codes), TreegateError)
    return kind(failed.message, code=failed.code, hint=failed.hint, next="treegate doctor")
