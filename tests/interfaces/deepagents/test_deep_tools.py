"""The tools for a draft, as an agent calls them, and the public face."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest
from deepagents.backends import CompositeBackend
from deepwork import Office, decided, paths
from langchain_core.tools import BaseTool

from treegate.deepagents import PROMPT, TreegateBackend, TreegateSandbox, draft_tools, with_scratch


@pytest.fixture
def tools(backend: TreegateBackend) -> dict[str, BaseTool]:
    return {tool.name: tool for tool in draft_tools(backend)}


def told(tool: BaseTool, **given: Any) -> dict[str, Any]:
    """What a tool says, called both ways: the second answer counts."""
    found: dict[str, Any] = json.loads(tool.invoke(given))
    return found


def test_each_tool_says_what_it_is_for_and_what_it_takes(tools: dict[str, BaseTool]):
    assert list(tools) == ["move_file", "pending_changes", "submit_changes", "discard_changes", "plan_status"]
    for tool in tools.values():
        assert len(tool.description) > 60
        for one in tool.args.values():
            assert one["description"]
    assert all(name in PROMPT for name in ("submit_changes",))


def test_an_agent_moves_looks_hands_in_and_waits(tools: dict[str, BaseTool], office: Office):
    assert tools["move_file"].invoke({"source": "/Scans", "target": "/Old/"}) == "Moved /Scans to /Old/Scans"
    seen = told(tools["pending_changes"])
    assert seen["changes"] == [{"op": "move", "from": "/Scans", "to": "/Old/Scans"}]
    assert seen["valid"] is True
    plan = told(tools["submit_changes"], title="Tidy", reason="asked to")["plan"]
    assert office.gate.plan(plan).title == "Tidy"
    assert told(tools["plan_status"], wait=0.2)["state"] == "pending"
    decided(office, plan, "reject", "no")
    assert told(tools["submit_changes"])["error"]["code"] == "already-rejected"
    assert told(tools["discard_changes"]) == {"discarded": 1}
    assert told(tools["plan_status"])["next"] == "there are no changes"


def test_what_goes_wrong_is_told_with_what_to_do(tools: dict[str, BaseTool]):
    assert "Suggestion:" in tools["move_file"].invoke({"source": "/a.txt", "target": "/Notes"})
    assert told(tools["submit_changes"])["error"]["hint"]


def test_tools_are_called_side_by_side(tools: dict[str, BaseTool], backend: TreegateBackend):
    async def work() -> list[Any]:
        moves = [("/a.txt", "/1/"), ("/Notes", "/2/"), ("/Scans/1.pdf", "/3/"), ("/Scans/2.pdf", "/4/")]
        return await asyncio.gather(*(tools["move_file"].ainvoke({"source": a, "target": b}) for a, b in moves))

    assert all(one.startswith("Moved") for one in asyncio.run(work()))
    assert len(backend.pending()["operations"]) == 4


def test_what_an_agent_puts_aside_is_no_change_to_the_case(backend: TreegateBackend):
    beside = with_scratch(backend)
    assert isinstance(beside, CompositeBackend)
    assert beside.artifacts_root == "/.scratch"
    assert "/.scratch/" in paths(beside.ls("/"))
    assert beside.write("/x.txt", "x").error is None
    assert paths(backend.glob("x.txt")) == ["/x.txt"]


def test_without_deepagents_its_absence_is_an_error_with_a_hint():
    code = """
import sys
sys.modules["deepagents"] = None
import treegate.deepagents
from treegate.errors import UsageError
try:
    treegate.deepagents.TreegateBackend
except UsageError as error:
    print(error.code, "|", error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "extra-missing | pip install 'treegate[deepagents]'\n"


def test_the_face_loads_nothing_before_it_is_needed():
    code = "import sys, treegate.deepagents; print([one for one in sys.modules if one.startswith('langchain')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_face_has_what_it_says():
    import treegate.deepagents as face

    assert all(hasattr(face, name) for name in face.__all__)
    assert issubclass(TreegateSandbox, TreegateBackend)
    with pytest.raises(AttributeError, match="no attribute"):
        face.nothing  # noqa: B018
