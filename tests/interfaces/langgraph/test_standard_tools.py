"""LangChain's own tests of tools, on each of ours."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests
from tests.interfaces.agent.toolwork import SORT, Bureau, smith

from treegate.langgraph import treegate_tools


def examples(plan: str) -> dict[str, dict[str, Any]]:
    """What each tool can be called with in the office, where this plan waits."""
    return {
        "list_files": {"case": "Smith", "folder": "Scans", "limit": 3},
        "find_files": {"case": "Smith", "match": "**/*.pdf"},
        "read_text": {"case": "Smith", "path": "Notes/todo.txt"},
        "file_info": {"case": "Smith", "path": "Notes/todo.txt"},
        "check_plan": {"plan": smith(SORT), "tree": "**"},
        "submit_plan": {"plan": smith(SORT)},
        "revise_plan": {"id": plan, "plan": smith({**SORT, "to": "Other/{name}"})},
        "withdraw_plan": {"id": plan, "comment": "no need"},
        "request_undo": {"run": plan},
        "plan_status": {"id": plan},
        "wait_for_decision": {"id": plan, "seconds": 0},
        "apply_plan": {"id": plan},
        "run_sandboxed": {"cases": ["Smith"], "command": "sh -c true", "seconds": 30},
        "run_status": {"id": plan},
        "execute_mutation_case": {"command": "sh -c true", "case_path": "projects/Smith", "tools": []},
    }


NAMES = list(examples(""))


class Standard:
    """One tool over the office, and what it is called with; errors that a tool tells are answers, too."""

    @pytest.fixture(autouse=True, params=NAMES)
    def chosen(self, request: pytest.FixtureRequest, bureau: Bureau) -> None:
        bureau.configure(sandbox_engine="bwrap")
        self.found = {tool.name: tool for tool in treegate_tools(bureau.reopened_agent())}[request.param]
        self.example = examples(self.prepared(bureau, request.param))[request.param]

    def prepared(self, bureau: Bureau, tool: str) -> str:
        """What the tool is to be called with: a plan that waits, is approved, or is carried out; or a command."""
        if tool == "run_status":
            return str(bureau.ask("run_sandboxed", cases=["Smith"], command="sh -c true")["id"])
        done = bureau.ask("submit_plan", plan=smith({"op": "mkdir", "path": "Kept"}))
        if tool in ("apply_plan", "request_undo"):
            bureau.rita.approve(done["plan"], done["digest"])
        if tool == "request_undo":
            bureau.ask("apply_plan", id=done["plan"])
        return str(done["plan"])

    @property
    def tool_constructor(self) -> BaseTool:
        return self.found

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return self.example


class TestUnit(Standard, ToolsUnitTests):
    """The unit tests."""


for _name in ("test_async_invoke_matches_output_schema", "test_async_invoke_no_tool_call"):
    pytest.mark.asyncio(getattr(ToolsIntegrationTests, _name))  # may be marked, and not overridden


class TestIntegration(Standard, ToolsIntegrationTests):
    """The integration tests."""


def test_each_tool_has_its_example(bureau: Bureau):
    assert {tool.name for tool in treegate_tools(bureau.agent)} == set(NAMES)
