"""The middleware: what an agent's other tools would do to the workspace becomes a plan, or is refused with advice.

- A shell's command runs in a sandbox (`run_sandboxed`).
- A tool that is given a path in a case works on a copy of that case; what it changed there becomes a plan, and each
  further change its next version. So such tools see what they changed, and nobody else does before it is approved.
- Whatever else a tool tries on the workspace from Python is refused, and said with what to do instead.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from langgraph.types import Command

from treegate.client import Client
from treegate.errors import Denied, TreegateError, UsageError
from treegate.gate import Gate
from treegate.interfaces.agent import Toolset, telling
from treegate.interfaces.agent.guarding import Guard, Refused, guarded
from treegate.interfaces.agent.places import Places
from treegate.interfaces.agent.toolset import answer_of
from treegate.interfaces.agent.workbench import Workbench
from treegate.interfaces.langgraph.tools import CHANNEL, TreegateTool
from treegate.model.actors import Action
from treegate.render import jsons

# Tools that run what they are given in a shell, and the argument that holds it.
SHELLS: Mapping[str, str] = {
    **dict.fromkeys(("shell", "bash", "sh", "execute", "run_command", "execute_command"), "command"),
    "run_shell_command": "command",
    "terminal": "commands",
}
# Tools that only read: they need no copy where nothing is changed yet.
READERS = frozenset({
    *("read_file", "list_directory", "file_search", "ls", "glob", "grep", "glob_search", "grep_search", "view"),
})  # fmt: skip

Result = ToolMessage | Command[Any]
Handler = Callable[[ToolCallRequest], Result]
AsyncHandler = Callable[[ToolCallRequest], Awaitable[Result]]


class TreegateMiddleware(AgentMiddleware[Any, Any, Any]):
    """For `create_agent(..., middleware=[TreegateMiddleware(gate)])`.

    `shells` are further tools that run commands (name -> argument), `readers` further ones that only read. Over a
    service there is nothing to copy: `root`, the workspace as this process sees it, says what is guarded.
    """

    def __init__(
        self,
        door: Gate | Client,
        *,
        root: Path | str | None = None,
        shells: Mapping[str, str] | None = None,
        readers: Collection[str] = (),
        title: str = "What an agent's tools changed",
    ) -> None:
        super().__init__()
        self._toolset = Toolset(door, channel=CHANNEL)
        self._shells = {**SHELLS, **(shells or {})}
        self._readers = READERS | set(readers)
        gate = self._toolset.desk.door
        self._bench = Workbench(self._toolset.desk, title) if isinstance(gate, Gate) else None
        self._root, self._places = _where(gate, root)
        self._one_at_a_time = threading.Lock()  # may be let go by another thread than took it

    def wrap_tool_call(self, request: ToolCallRequest, handler: Handler) -> Result:
        """Passes a call on, to where it may do what it does."""
        try:
            way = self._way(request)
            if way.shell:
                return self._sandboxed(request)
            if way.case:
                with self._one_at_a_time:
                    return self._on_copy(request, handler, way.case)
        except TreegateError as error:
            return _refused(request, telling.error(error))
        return handler(request) if way.ours else self._guarded(request, handler)

    async def awrap_tool_call(self, request: ToolCallRequest, handler: AsyncHandler) -> Result:
        """The same for a graph that is run asynchronously; what takes long here is done in a thread."""
        try:
            way = await asyncio.to_thread(self._way, request)
            if way.shell:
                return await asyncio.to_thread(self._sandboxed, request)
            if way.case:
                await asyncio.to_thread(self._one_at_a_time.acquire)
                try:
                    return await self._aon_copy(request, handler, way.case)
                finally:
                    self._one_at_a_time.release()
        except TreegateError as error:
            return _refused(request, telling.error(error))
        return await (handler(request) if way.ours else self._aguarded(request, handler))

    def _way(self, request: ToolCallRequest) -> _Way:
        """Where a call goes."""
        name = request.tool_call["name"]
        if isinstance(request.tool, TreegateTool):
            return _Way(ours=True)
        if name in self._shells:
            return _Way(shell=True)
        self._toolset.desk.renew()
        case = self._case(request.tool_call["args"])
        if case and self._bench is not None and (name not in self._readers or self._bench.has(case)):
            return _Way(case=case)
        return _Way()

    # -- a shell

    def _sandboxed(self, request: ToolCallRequest) -> ToolMessage:
        given = request.tool_call["args"].get(self._shells[request.tool_call["name"]])
        line = "\n".join(given) if isinstance(given, list) else str(given or "")
        cases = sorted(self._places.named_in(line)) if self._places else []
        cases = cases or self._only_case()
        line = self._places.seen_inside(line, cases) if self._places else line
        answer = self._toolset.call("run_sandboxed", {"cases": cases, "command": line})
        return _message(request, answer.text, answer.value, failed=answer.failed)

    def _only_case(self) -> list[str]:
        found = [one.case for one in self._toolset.desk.door.cases() if isinstance(one.case, str)]
        if len(found) != 1:
            hint = "name the case's folder in the command, or call run_sandboxed with `cases`"
            raise UsageError("the command names no case", code="no-case", hint=hint)
        return found

    def _case(self, arguments: Any) -> str:
        """The case that a call is about; "" for none. Raises Denied for one that the agent may not see."""
        cases = self._places.cases(arguments) if self._places else set()
        door = self._toolset.desk.door
        if isinstance(door, Gate):
            door.actor.require(Action.READ, cases)
            self._refuse_state(arguments, door)
        if len(cases) > 1:
            hint = "hand in a plan: submit_plan moves and copies between cases"
            raise UsageError("the call is about several cases", code="several-cases", hint=hint)
        return next(iter(cases), "")

    def _refuse_state(self, arguments: Any, gate: Gate) -> None:
        """Raises Denied for a call that names the state directory, in which decisions are kept."""
        if Places(gate.state).within(arguments):
            text, hint = "the state directory is treegate's own", "no tool is to read or write there"
            raise Denied(text, code="state-untouchable", hint=hint)

    # -- a copy

    def _on_copy(self, request: ToolCallRequest, handler: Handler, case: str) -> Result:
        moved, folder = self._moved(request, case)
        try:
            result = self._guarded(moved, handler)
        finally:  # what it did before it failed is seen by whoever decides, too
            plan = self._bench_of(case).hand_in(case)
        return self._telling(request, case, folder, result, plan)

    async def _aon_copy(self, request: ToolCallRequest, handler: AsyncHandler, case: str) -> Result:
        moved, folder = await asyncio.to_thread(self._moved, request, case)
        try:
            result = await self._aguarded(moved, handler)
        finally:
            plan = await asyncio.to_thread(self._bench_of(case).hand_in, case)
        return self._telling(request, case, folder, result, plan)

    def _bench_of(self, case: str) -> Workbench:
        assert self._bench is not None, case
        return self._bench

    def _moved(self, request: ToolCallRequest, case: str) -> tuple[ToolCallRequest, Path]:
        """A call that is about a copy of a case instead of the case, and where that copy is."""
        assert self._places is not None
        folder = self._bench_of(case).copy(case).folder
        arguments = self._places.moved(request.tool_call["args"], case, folder)
        return request.override(tool_call={**request.tool_call, "args": arguments}), folder

    def _telling(
        self, request: ToolCallRequest, case: str, folder: Path, result: Result, told: dict[str, Any] | None
    ) -> Result:
        """What a tool said, and the plan that its changes are; paths as the agent knows them."""
        assert self._places is not None
        shown = (str(folder), str(self._places.projects / case))
        if isinstance(result, ToolMessage):
            return _with_plan(result, told, shown)
        update = result.update if isinstance(result.update, dict) else {}
        messages = [
            _with_plan(one, told, shown)
            if isinstance(one, ToolMessage) and one.tool_call_id == request.tool_call["id"]
            else one
            for one in update.get("messages", ())
        ]
        return dataclasses.replace(result, update={**update, "messages": messages}) if messages else result

    # -- the guard

    def _guarded(self, request: ToolCallRequest, handler: Handler) -> Result:
        if self._root is None:
            return handler(request)
        result: Result | None = None
        with guarded(self._root) as guard, suppress(Refused):
            result = handler(request)
        return _outcome(request, guard, result)

    async def _aguarded(self, request: ToolCallRequest, handler: AsyncHandler) -> Result:
        if self._root is None:
            return await handler(request)
        result: Result | None = None
        with guarded(self._root) as guard, suppress(Refused):
            result = await handler(request)
        return _outcome(request, guard, result)

    def close(self) -> None:
        """Lets the copies go; their plans stay."""
        if self._bench is not None:
            self._bench.close()


class _Way(NamedTuple):
    """Where a call goes: to our own tools, to a sandbox, to a copy of a case; else to itself, guarded."""

    ours: bool = False
    shell: bool = False
    case: str = ""


def _where(door: Gate | Client, root: Path | str | None) -> tuple[Path | None, Places | None]:
    """What is guarded, and where the cases are, as far as this process sees them."""
    if isinstance(door, Gate):
        return door.root, Places(door.core.workspace.projects)
    return (None, None) if root is None else (Path(root), Places(Path(root) / "projects"))


def _with_plan(message: ToolMessage, told: dict[str, Any] | None, shown: tuple[str, str]) -> ToolMessage:
    """A tool's message with the plan behind it; `shown` are the copy's folder, and the case's."""
    note = "" if told is None else jsons.dumps({"treegate": told})
    if isinstance(message.content, str):
        text = message.content.replace(*shown)
        content: Any = f"{text}\n\n{note}" if note else text
    else:
        blocks = [_shown(block, shown) for block in message.content]
        content = [*blocks, {"type": "text", "text": note}] if note else blocks
    artifact = told if told is not None and message.artifact is None else message.artifact
    return message.model_copy(update={"content": content, "artifact": artifact})


def _shown(block: Any, shown: tuple[str, str]) -> Any:
    if isinstance(block, str):
        return block.replace(*shown)
    if isinstance(block, dict) and isinstance(block.get("text"), str):
        return {**block, "text": block["text"].replace(*shown)}
    return block


def _outcome(request: ToolCallRequest, guard: Guard, result: Result | None) -> Result:
    """What a tool said, unless it tried what it may not."""
    return _refused(request, _tried(guard)) if result is None or guard.attempts else result


def _tried(guard: Guard) -> dict[str, Any]:
    """What is said of a tool that tried to change what it may not."""
    paths = list(dict.fromkeys(path for one in guard.attempts for path in one.paths))[:20]
    hint = "hand in a plan with submit_plan: mkdir, move, copy, create, replace, delete; or name files by whole paths"
    error = {"code": "change-refused", "message": "the tool tried to change files of the workspace", "hint": hint}
    return {"error": error, "data": {"paths": paths}}


def _refused(request: ToolCallRequest, told: dict[str, Any]) -> ToolMessage:
    return _message(request, answer_of(told).text, told, failed=True)


def _message(request: ToolCallRequest, text: str, value: dict[str, Any], *, failed: bool) -> ToolMessage:
    return ToolMessage(
        text,
        tool_call_id=request.tool_call["id"],
        name=request.tool_call["name"],
        status="error" if failed else "success",
        artifact=value,
    )
