"""The tools as LangChain knows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast, get_args

from langchain_core.tools import BaseTool, ToolException
from pydantic import PrivateAttr, ValidationError

from treegate.client import Client
from treegate.errors import TreegateError, UsageError
from treegate.gate import Gate
from treegate.interfaces.agent import Tool, Toolset, following, telling
from treegate.interfaces.agent.following import WaitForDecision
from treegate.interfaces.agent.tool import Answer
from treegate.interfaces.agent.toolset import answer_of
from treegate.interfaces.langgraph import mutation
from treegate.interfaces.langgraph.arguments import model_of
from treegate.interfaces.langgraph.asking import waited
from treegate.render import jsons

CHANNEL = "langgraph"
Ask = Literal["waiting", "interrupt"]


class TreegateTool(BaseTool):
    """One of the tools; its answer is one JSON object, which is the artifact, too."""

    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    _toolset: Toolset = PrivateAttr()

    def __init__(self, tool: Tool, toolset: Toolset) -> None:
        super().__init__(
            name=tool.name,
            description=tool.description,
            args_schema=model_of(tool),
            handle_tool_error=True,
            handle_validation_error=_misfit,
        )
        self._toolset = toolset

    def _run(self, **arguments: Any) -> tuple[str, dict[str, Any]]:
        answer = self._toolset.call(self.name, arguments)
        if answer.failed:
            raise ToolException(answer.text)
        return answer.text, answer.value


def treegate_tools(door: Gate | Client, *, ask: Ask = "waiting", plans: Path | str | None = None) -> list[BaseTool]:
    """All tools over a gate or a service, for `create_agent(model, tools)`; nothing here decides.

    `ask` says how people are asked where the agent waits for them. By `waiting`, they decide in a browser, in Slack
    or at the shell while the call waits; by `interrupt` the graph stops, and whoever runs it resumes it (`decide`).
    Either way it is treegate that says what was decided. `plans` is a folder from which plans may be read.
    Raises Denied where the token of a service is not an author's.
    """
    if ask not in get_args(Ask):
        hint = f"one of {', '.join(get_args(Ask))}"
        raise UsageError(f"{ask!r} is no way to ask people", code="ask-unknown", hint=hint)
    toolset = _Streaming(door, channel=CHANNEL, plans=plans)
    toolset.asks = ask
    return [TreegateTool(tool, toolset) for tool in toolset.tools]


class _Streaming(Toolset):
    """The tools in a graph: people may be asked by an interrupt, and output goes to the graph's stream."""

    tools = (*Toolset.tools, mutation.TOOL)
    asks: Ask = "waiting"

    def call(self, name: str, arguments: Any = None) -> Answer:
        """What a tool says; an interrupt goes through."""
        if name == following.WAIT.name and self.asks == "interrupt":
            return self._asked(arguments)
        return super().call(name, arguments)

    def _asked(self, arguments: Any) -> Answer:
        try:
            self.desk.renew()
            value = waited(self.desk, cast(WaitForDecision, following.WAIT.read(arguments)))
        except TreegateError as error:
            value = telling.error(error)
        return answer_of(value)


def _misfit(error: ValidationError | Any) -> str:
    """Arguments that do not fit, in the words of every other error."""
    first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
    where = ".".join(map(str, first["loc"]))
    text = f"the argument {where!r} does not fit: {first['msg']}" if where else first["msg"]
    told = {"code": "arguments-invalid", "message": text, "hint": "see the tool's description for what it takes"}
    return jsons.dumps({"error": told})
