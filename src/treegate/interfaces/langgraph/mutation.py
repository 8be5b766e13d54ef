"""`execute_mutation_case`: a command on one case, its output told to the graph while it comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from langgraph.config import get_stream_writer
from msgspec import Meta

from treegate.errors import UsageError
from treegate.gate.sandboxing.events import Output
from treegate.interfaces.agent import running
from treegate.interfaces.agent.desk import Desk
from treegate.interfaces.agent.listening import Transcript
from treegate.interfaces.agent.tool import Taken, Tool

NAME = "execute_mutation_case"
Tell = Callable[[dict[str, Any]], None]


class MutationCase(Taken, frozen=True, kw_only=True):
    """A command and the case that it sees."""

    command: Annotated[
        str,
        Meta(description="The command line; the case is /case, tools are in /tools: "
             "python /tools/create_file_inventory.py --root /case"),
    ]  # fmt: skip
    case_path: Annotated[str, Meta(description="The case's folder, such as projects/Smith.")]
    tools: Annotated[list[str], Meta(description="Of the workspace's Tools/, only these; none named: all.")] = []


def execute_mutation_case(desk: Desk, asked: MutationCase) -> dict[str, Any]:
    """Runs a command on one case; what it changes there becomes a plan."""
    case = case_of(asked.case_path)
    command = desk.door.ask_sandbox((case,), running.words_of(asked.command), asked.tools)
    if not running.may_follow(command):
        return {"id": command.id, "state": command.state.value} | running.otherwise(command)
    transcript, tell = Transcript(), _stream()
    for event in desk.door.follow_sandbox(command.id):
        transcript.take(event.what)
        if isinstance(event.what, Output):
            tell({
                "tool": NAME,
                "id": command.id,
                "stream": event.what.stream,
                "text": event.what.data.decode("utf-8", "replace"),
            })  # fmt: skip
    return {"id": command.id} | running.heard(transcript)


def case_of(path: str) -> str:
    """The case that a path names: its own name, or the folder below projects/; raises UsageError."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if "projects" in parts:
        parts = parts[len(parts) - parts[::-1].index("projects") :]
    elif path.startswith("/"):
        parts = parts[-1:]
    if len(parts) != 1 or parts[0] == "..":
        hint = "name the case's own folder, such as projects/Smith"
        raise UsageError(f"{path!r} does not name a case", code="not-a-case", hint=hint)
    return parts[0]


def _stream() -> Tell:
    """Where the graph hears of what comes; nowhere outside of one."""
    try:
        return get_stream_writer()
    except (RuntimeError, KeyError):
        return lambda told: None


TOOL = Tool(
    name=NAME,
    says="Run a command on one case in a sandbox, with the office's own tools. What it changes becomes a plan for a "
    "person to decide on; the answer has its exit code, its output, and where its log is.",
    takes=MutationCase,
    does=execute_mutation_case,
    tells_data=True,
)
