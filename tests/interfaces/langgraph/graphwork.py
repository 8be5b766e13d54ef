"""Graphs for tests: an agent whose model does what a test tells it, one message after the other."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver


class Told(GenericFakeChatModel):
    """A model that says what it was told to, whatever tools it is given."""

    def bind_tools(self, tools: Any, **more: Any) -> Told:
        return self


_numbers = itertools.count(1)


def call(name: str, **arguments: Any) -> AIMessage:
    """A message that calls one tool."""
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": f"call-{next(_numbers)}"}])


def agent(messages: Sequence[AIMessage], tools: Sequence[Any], **more: Any) -> Any:
    """An agent that says these, and then that it is done."""
    model = Told(messages=iter([*messages, AIMessage("done")]))
    return create_agent(model, list(tools), checkpointer=InMemorySaver(), **more)


THREAD = {"configurable": {"thread_id": "one"}}
BEGIN = {"messages": [("user", "go")]}


def tool_messages(result: dict[str, Any]) -> list[ToolMessage]:
    return [one for one in result["messages"] if isinstance(one, ToolMessage)]


def said(message: ToolMessage) -> dict[str, Any]:
    """The JSON that a tool said."""
    return dict(json.loads(str(message.content)))
