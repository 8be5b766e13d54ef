"""execute_mutation_case: a command on one case, told to the graph while it runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from graphwork import BEGIN, THREAD, agent, call, said, tool_messages
from tests.interfaces.agent.toolwork import Bureau

from treegate.langgraph import treegate_tools

SLOW = 'python3 -u -c \'import time; print(1); time.sleep(1.5); print(2); open("/case/made", "w").close()\''


@pytest.fixture
def commands(fast: Path) -> Any:
    made = Bureau(fast)
    made.configure(sandbox_engine="bwrap")
    made.agent = made.reopened_agent()
    yield made
    made.close()


def run(bureau: Bureau, **arguments: Any) -> Any:
    return agent([call("execute_mutation_case", **arguments)], treegate_tools(bureau.agent))


def test_its_schema_is_the_one_that_was_agreed_on(bureau: Bureau):
    tool = next(one for one in treegate_tools(bureau.agent) if one.name == "execute_mutation_case")
    schema = tool.tool_call_schema.model_json_schema()["properties"]
    assert list(schema) == ["command", "case_path", "tools"]
    assert schema["tools"]["default"] == []
    assert schema["command"]["type"] == schema["case_path"]["type"] == "string"


def test_output_streams_to_the_graph_while_the_command_runs(commands: Bureau):
    graph, heard = run(commands, command=SLOW, case_path="projects/Smith"), []
    for told in graph.stream(BEGIN, THREAD, stream_mode="custom"):
        heard.append((time.monotonic(), told))
    assert "".join(one["text"] for _, one in heard) == "1\n2\n"
    assert heard[-1][0] - heard[0][0] > 1
    assert {one["tool"] for _, one in heard} == {"execute_mutation_case"}


def test_exit_code_log_and_plan_are_told_and_nothing_is_changed(commands: Bureau):
    before = commands.tree()
    result = run(commands, command="sh -c 'rm Notes/todo.txt; echo gone; exit 3'", case_path="projects/Smith")
    told = said(tool_messages(result.invoke(BEGIN, THREAD))[0])
    assert told["exit_code"] == 3
    assert told["data"]["output"] == "gone\n"
    assert (commands.root / told["log"][0]).read_text().count("gone") >= 1
    assert told["plan_state"] == "pending"
    assert commands.tree() == before
    assert commands.gate.plan(told["plan"]).author == "agent"


def test_an_interpreter_that_is_not_listed_is_refused(commands: Bureau):
    result = run(commands, command="perl -e 1", case_path="projects/Smith").invoke(BEGIN, THREAD)
    message = tool_messages(result)[0]
    assert message.status == "error"
    assert said(message)["error"]["code"] == "interpreter-not-allowed"


@pytest.mark.parametrize("path", ["", ".", "..", "projects", "projects/Smith/Notes", "a/b", "/etc", "projects/../x"])
def test_what_names_no_case_is_refused(commands: Bureau, path: str):
    message = tool_messages(run(commands, command="sh -c true", case_path=path).invoke(BEGIN, THREAD))[0]
    assert message.status == "error"
    assert said(message)["error"]["code"] in ("not-a-case", "case-not-allowed", "case-not-found")


@pytest.mark.parametrize("path", ["Smith", "projects/Smith", "projects/Smith/", "/srv/office/projects/Smith"])
def test_a_case_is_named_in_the_usual_ways(commands: Bureau, path: str):
    told = said(tool_messages(run(commands, command="sh -c ls", case_path=path).invoke(BEGIN, THREAD))[0])
    assert told["exit_code"] == 0
    assert "Scans" in told["data"]["output"]
