"""An agent of deepagents on the backend: what its own tools make of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from deepagents import FilesystemPermission, create_deep_agent
from deepwork import Office
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from test_deep_sandbox import SMALL, runnable

from treegate.deepagents import TreegateBackend, TreegateSandbox, draft_tools, with_scratch

Call = tuple[str, dict[str, Any]]


class Doing(BaseChatModel):
    """A model that makes some calls, one after the other, and is done."""

    calls: list[Any]

    @property
    def _llm_type(self) -> str:
        return "doing"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Doing:
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        made = sum(isinstance(one, ToolMessage) for one in messages)
        message = AIMessage("done")
        if made < len(self.calls):
            name, given = self.calls[made]
            message = AIMessage("", tool_calls=[ToolCall(name=name, args=given, id=f"call{made}")])
        return ChatResult(generations=[ChatGeneration(message=message)])


def answers(backend: TreegateBackend, *calls: Call, twins: bool = False, **more: Any) -> list[str]:
    """What an agent was told, call by call."""
    agent = create_deep_agent(
        Doing(calls=list(calls)), tools=draft_tools(backend), backend=with_scratch(backend), **more
    )
    given = {"messages": [("user", "go")]}
    told = asyncio.run(agent.ainvoke(given)) if twins else agent.invoke(given)
    return [str(one.content) for one in told["messages"] if isinstance(one, ToolMessage)]


@pytest.mark.parametrize("twins", [False, True])
def test_the_tools_of_deepagents_work_on_the_draft(backend: TreegateBackend, office: Office, twins: bool):
    before = office.tree()
    told = answers(
        backend,
        ("write_file", {"file_path": "/n/new.txt", "content": "one\ntwo\n"}),
        ("edit_file", {"file_path": "/n/new.txt", "old_string": "two", "new_string": "2"}),
        ("read_file", {"file_path": "/n/new.txt"}),
        ("move_file", {"source": "/n/new.txt", "target": "/Notes/"}),
        ("delete", {"file_path": "/Scans"}),
        ("ls", {"path": "/Notes"}),
        ("glob", {"pattern": "*.txt"}),
        ("grep", {"pattern": "2"}),
        ("submit_changes", {"title": "t"}),
        twins=twins,
    )
    assert "one\n2" in told[2]
    assert told[3] == "Moved /n/new.txt to /Notes/new.txt"
    assert told[5] == "['/Notes/deep/', '/Notes/new.txt', '/Notes/todo.md']"
    assert told[6] == "['/Notes/new.txt', '/a.txt']"
    assert "/Notes/new.txt" in told[7]
    assert '"state":"pending"' in told[8]
    assert office.tree() == before


@pytest.mark.parametrize("twins", [False, True])
def test_what_is_refused_reaches_the_agent_as_one_error(backend: TreegateBackend, twins: bool):
    told = answers(
        backend,
        ("ls", {"path": "/nope"}),
        ("read_file", {"file_path": "/.treegate"}),
        ("write_file", {"file_path": "/Notes", "content": ""}),
        ("delete", {"file_path": "/nope"}),
        ("edit_file", {"file_path": "/a.txt", "old_string": "zeta", "new_string": "x"}),
        ("grep", {"pattern": "x", "path": "/a.txt/../../.."}),
        twins=twins,
    )
    assert [one.startswith("Error") for one in told] == [True] * 6
    assert not any(one.startswith("Error: Error") for one in told)


def test_large_answers_are_put_aside_and_not_into_the_case(backend: TreegateBackend, office: Office):
    office.put("Smith/big.txt", "".join(f"needle {number} {'x' * 300}\n" for number in range(2000)))
    (told,) = answers(backend, ("grep", {"pattern": "needle", "output_mode": "content"}))
    assert len(told) < 100_000
    assert backend.pending()["operations"] == []


def test_rules_about_paths_hold_for_names_of_any_bytes(backend: TreegateBackend):
    closed = FilesystemPermission(operations=["read", "write"], paths=["/Notes", "/Notes/**"], mode="deny")
    told = answers(
        backend,
        ("read_file", {"file_path": "/Notes/todo.md"}),
        ("read_file", {"file_path": "/raw:Notes/todo.md"}),
        ("read_file", {"file_path": "/raw:%4Eotes/todo.md"}),
        ("read_file", {"file_path": "/a.txt"}),
        permissions=[closed],
    )
    assert not any("two [x]" in one for one in told)
    assert "alpha" in told[3]


@runnable
@pytest.mark.parametrize("twins", [False, True])
def test_an_agent_runs_commands_and_is_told_of_their_plan(office: Office, twins: bool):
    office.configure(**SMALL)
    told = answers(
        TreegateSandbox(office.gate, "Smith"),
        ("execute", {"command": "wc -l < a.txt; rm Scans/1.pdf", "timeout": 20}),
        ("write_file", {"file_path": "/x", "content": "x"}),
        ("execute", {"command": "cat x"}),
        twins=twins,
    )
    assert told[0].startswith("3\n")
    assert "treegate: what it did is plan pl_" in told[0]
    assert "[Command succeeded with exit code 0]" in told[0]
    assert "submit_changes" in told[2]
    assert "[Command failed with exit code 126]" in told[2]
