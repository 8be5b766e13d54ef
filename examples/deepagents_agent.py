"""A deepagents agent that tidies a case: files at its top go into folders by their kind, with an index of them.

    python examples/deepagents_agent.py WORKSPACE CASE                      (no model, no network: a rule decides)
    python examples/deepagents_agent.py WORKSPACE CASE --model anthropic:claude-sonnet-5

Whatever decides, it changes no file: what it wrote and moved is handed in as one plan, whose preview is printed, and
which a person approves or rejects: `treegate review` in the workspace.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from deepagents import create_deep_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult

import treegate
from treegate.deepagents import PROMPT, TreegateBackend, draft_tools, with_scratch
from treegate.render import terminal

TASK = (
    "Tidy the top level of this case: move each file into a folder named after its extension, such as /pdf/, and "
    "write /INDEX.md, which lists what went where. Leave folders and hidden files alone. Then hand your changes in."
)
INDEX = "/INDEX.md"
MOST_TRIES = 3  # for one file


class Rule(BaseChatModel):
    """A chat model that follows a rule instead of a neural network: each next step from the messages so far."""

    @property
    def _llm_type(self) -> str:
        return "rule"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Rule:
        """It knows the tools."""
        return self

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=next_step(Steps(messages)))])


class Steps:
    """What was done so far: each call with what came of it."""

    def __init__(self, messages: list[BaseMessage]) -> None:
        answers = {one.tool_call_id: str(one.content) for one in messages if isinstance(one, ToolMessage)}
        calls = [call for one in messages if isinstance(one, AIMessage) for call in one.tool_calls]
        self.done = [(call, answers[str(call["id"])]) for call in calls if call["id"] in answers]

    def of(self, tool: str) -> Iterator[tuple[dict[str, Any], str]]:
        """The calls of one tool."""
        return ((call["args"], answer) for call, answer in self.done if call["name"] == tool)

    def last(self, tool: str) -> str | None:
        """What came of the last call of a tool."""
        return next((answer for _, answer in reversed(list(self.of(tool)))), None)


def next_step(steps: Steps) -> AIMessage:
    """The rule."""
    listing = steps.last("ls")
    if listing is None:
        return asking("First I look at what there is.", [("ls", {"path": "/"})])
    if moves := moves_to_make(steps, entries_of(listing)):
        return asking("These go into folders by their kind.", [("move_file", move) for move in moves])
    moved = [(move["source"], answer.rpartition(" to ")[2]) for move, answer in steps.of("move_file") if went(answer)]
    if not moved:
        return AIMessage("There is nothing to tidy: no file lies at the top of the case.")
    if steps.last("write_file") is None:
        return asking(
            "The index says what went where.", [("write_file", {"file_path": INDEX, "content": index(moved)})]
        )
    if steps.last("pending_changes") is None:
        return asking("I look at the changes as a whole.", [("pending_changes", {})])
    handed_in = steps.last("submit_changes")
    if handed_in is None:
        return asking("Now people decide.", [("submit_changes", words(moved, steps.last("pending_changes") or ""))])
    return AIMessage(report(json.loads(handed_in)))


def moves_to_make(steps: Steps, entries: list[str]) -> list[dict[str, str]]:
    """Each file that is to go somewhere, and did not yet; with another target where one was refused."""
    tried: dict[str, list[tuple[str, str]]] = {}
    for move, answer in steps.of("move_file"):
        tried.setdefault(move["source"], []).append((move["target"], answer))
    moves = []
    for path in entries:
        attempts = tried.get(path, [])
        if to_group(path) and not any(went(answer) for _, answer in attempts) and len(attempts) < MOST_TRIES:
            moves.append({"source": path, "target": next_target(path, attempts, entries)})
    return moves


def to_group(path: str) -> bool:
    name = PurePosixPath(path).name
    return not path.endswith("/") and not name.startswith(".") and path != INDEX and bool(kind_of(path))


def kind_of(path: str) -> str:
    return PurePosixPath(path).suffix.removeprefix(".").lower()


def next_target(path: str, attempts: list[tuple[str, str]], entries: list[str]) -> str:
    """The folder of its kind; after a refusal what that suggests, or else another name in that folder."""
    folder, name = f"/{kind_of(path)}", PurePosixPath(path)
    if not attempts:
        return folder if f"{folder}/" in entries else f"{folder}/{name.name}"
    suggestion = re.search(r"Suggestion: (\{.*\})", attempts[-1][1])
    if suggestion:
        return str(json.loads(suggestion[1])["to"])
    names = sum(bool(PurePosixPath(target).suffix) for target, _ in attempts)
    return f"{folder}/{name.stem} ({max(2, names + 1)}){name.suffix}"


def entries_of(listing: str) -> list[str]:
    """The paths of a listing; folders end in a slash."""
    try:
        found = ast.literal_eval(listing)
    except (ValueError, SyntaxError):
        return []
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def went(answer: str) -> bool:
    return not answer.startswith("Error")


def index(moved: list[tuple[str, str]]) -> str:
    return "# Index\n\n" + "".join(f"- `{target}` (was `{source}`)\n" for source, target in sorted(moved))


def words(moved: list[tuple[str, str]], preview: str) -> dict[str, str]:
    """What the people who decide are told."""
    kinds = sorted({kind_of(source) for source, _ in moved})
    summary = json.loads(preview).get("summary", "")
    return {
        "title": f"Sort {len(moved)} files by kind: {', '.join(kinds)}"[:120],
        "reason": f"Asked to tidy. {summary}",
    }


def report(told: dict[str, Any]) -> str:
    if "error" in told:
        return f"It was not handed in: {told['error']['message']}. {told.get('next', '')}"
    return f"Plan {told['plan']} is {told['state']}: {told.get('summary', '')} {told['next']}"


def asking(text: str, calls: list[tuple[str, dict[str, Any]]]) -> AIMessage:
    made = [ToolCall(name=name, args=args, id=f"call-{os.urandom(6).hex()}") for name, args in calls]
    return AIMessage(text, tool_calls=made)


def fingerprint(folder: Path) -> list[tuple[str, int, int]]:
    """Every entry below a folder with its size and the time it was changed."""
    found = [path for path in sorted(folder.rglob("*")) if ".treegate" not in path.parts]
    return [(str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("case")
    parser.add_argument("--model", help="a model as init_chat_model names it; without one, a rule decides")
    given = parser.parse_args()
    model: BaseChatModel = Rule()
    if given.model:
        from langchain.chat_models import init_chat_model

        model = init_chat_model(given.model)
    with treegate.open(given.workspace) as gate:
        gate.list_outcome(given.case, limit=1)  # a case that there is not ends this here, with the nearest name
        run(gate, given.case, model)


def run(gate: treegate.Gate, case: str, model: BaseChatModel) -> None:
    """Has the agent work, and prints what it says, the preview of its plan, and whether a file changed."""
    folder = gate.core.workspace.case_path(case)
    before = fingerprint(folder)
    backend = TreegateBackend(gate, case)
    agent = create_deep_agent(model, tools=draft_tools(backend), system_prompt=PROMPT, backend=with_scratch(backend))
    said = agent.invoke({"messages": [("user", TASK)]})["messages"]
    print(said[-1].text, end="\n\n")
    plan = backend.status().get("plan")
    if plan:
        print(terminal.preview(gate.show(plan).preview, width=100, color=False))
    changed = fingerprint(folder) != before
    print("Something on disk changed!" if changed else "Nothing on disk has changed.")


if __name__ == "__main__":
    try:
        main()
    except treegate.TreegateError as error:
        raise SystemExit(f"error[{error.code}]: {error.message}\n  {error.hint}") from None
