"""Running commands in sandboxes: what one did becomes a plan that people decide on, like any other."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from treegate.errors import Denied
from treegate.interfaces.agent import telling
from treegate.interfaces.agent.desk import Desk
from treegate.interfaces.agent.following import MOST_SECONDS
from treegate.interfaces.agent.listening import Transcript
from treegate.interfaces.agent.tool import Taken, Tool
from treegate.model.commands import CUT_SHORT, State

Seconds = Annotated[
    float, Meta(ge=0, le=MOST_SECONDS, description="How long to wait in this call; the command goes on after that.")
]
_SHELL = re.compile(r"[|&;<>()$`*?\[\]{}~#!\n]")  # what words alone do not say


class RunSandboxed(Taken, frozen=True, kw_only=True):
    """A command, and the cases that it sees."""

    cases: Annotated[
        list[str], Meta(min_length=1, description="The cases it sees: one at /case, several at /cases/NAME.")
    ]
    command: Annotated[
        str | list[str],
        Meta(description='A command line, such as "python /tools/inventory.py --root /case", or its words.'),
    ]
    tools: Annotated[list[str], Meta(description="Of the workspace's Tools/, only these, at /tools.")] = []
    timeout: Annotated[float, Meta(ge=0, description="Seconds after which it is ended; 0: the most allowed.")] = 0.0
    seconds: Seconds = 60.0


class RunStatus(Taken, frozen=True, kw_only=True):
    """A command that was asked for."""

    id: Annotated[str, Meta(description="Its id, sb_…", max_length=64)]
    seconds: Seconds = 30.0


def run_sandboxed(desk: Desk, asked: RunSandboxed) -> dict[str, Any]:
    """Runs a command on a view of its cases."""
    command = asked_for(desk.door, asked.cases, asked.command, asked.tools, timeout=asked.timeout or None)
    return _followed(desk, command, asked.seconds)


def asked_for(door: Any, cases: Sequence[str], command: str | list[str], tools: Sequence[str], **how: Any) -> Any:
    """The command as it was asked for; a line that policy takes only from a shell is given to one."""
    try:
        return door.ask_sandbox(cases, words_of(command), tools, **how)
    except Denied as error:
        if error.code != "interpreter-not-allowed" or not isinstance(command, str):
            raise
        return door.ask_sandbox(cases, ["sh", "-c", command], tools, **how)


def run_status(desk: Desk, asked: RunStatus) -> dict[str, Any]:
    """What came of a command; begins one that was approved meanwhile."""
    return _followed(desk, desk.door.sandbox(asked.id), asked.seconds)


def words_of(command: str | list[str]) -> list[str]:
    """The words of a command line; one that needs a shell for that gets one."""
    if not isinstance(command, str):
        return list(command)
    if not _SHELL.search(command):
        try:
            return shlex.split(command)
        except ValueError:  # a quotation without its end: the shell says so, as it does to everybody
            pass
    return ["sh", "-c", command]


def _followed(desk: Desk, command: Any, seconds: float) -> dict[str, Any]:
    told: dict[str, Any] = {"id": command.id, "state": command.state.value}
    if not may_follow(command):
        return told | otherwise(command)
    listener = desk.listeners.to(command.id)
    listener.wait(seconds)
    if listener.error is not None:
        return told | telling.error(listener.error)
    return told | heard(listener.transcript)


def may_follow(command: Any) -> bool:
    """Whether a command runs, has run, or may."""
    return command.state in (State.APPROVED, State.RUNNING, State.ENDED, State.FAILED)


def heard(transcript: Transcript) -> dict[str, Any]:
    """What was heard of a command so far."""
    data = {"data": {"output": transcript.output()}}
    if transcript.finished is None:
        return data | {"state": "running", "next": "run_status waits on"}
    return data | finished(transcript.finished)


def otherwise(command: Any) -> dict[str, Any]:
    """A command that does not run now, and what to do about that."""
    if command.state is State.WAITING:
        return {
            "waiting_for": command.waiting_for,
            "next": "a person has to approve the command first; run_status begins it then",
        }
    told = {"comment": command.comment} if command.comment else {}
    return told | ({"error": command.error} if command.error else {})


def finished(found: Any) -> dict[str, Any]:
    """What came of a command."""
    told: dict[str, Any] = {"state": found.state, "exit_code": found.status}
    if found.why in CUT_SHORT:
        told["cut_short"] = CUT_SHORT[found.why]
    if found.error is not None:
        told["error"] = msgspec.to_builtins(found.error)
    if found.logs:
        told["log"] = list(found.logs)
    if found.plan is None:
        return told | {"next": "it changed nothing, so there is no plan"}
    told |= {"plan": found.plan, "plan_state": found.plan_state, "summary": found.summary}
    if found.warnings:
        told["warnings"] = found.warnings
    return told | {"next": f"nothing is changed yet; {telling.next_of(found.plan_state)}"}


TOOLS = (
    Tool(
        name="run_sandboxed",
        says="Run a command in a sandbox that sees only the named cases, and no network. What it changes there is "
        "kept as a plan for a person to decide on; the case itself stays as it is until then.",
        takes=RunSandboxed,
        does=run_sandboxed,
        tells_data=True,
    ),
    Tool(
        name="run_status",
        says="What came of a command in a sandbox: its state, its output, its exit code, the plan it became.",
        takes=RunStatus,
        does=run_status,
        repeats=True,
        tells_data=True,
    ),
)
