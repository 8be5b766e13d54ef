"""A graph that asks a person: by waiting, by an interrupt; what it is resumed with decides nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from graphwork import BEGIN, THREAD, agent, call, said, tool_messages
from langgraph.types import Command
from tests.interfaces.agent.toolwork import SORT, Bureau, smith

from treegate.errors import Denied, Stale, TreegateError, UsageError
from treegate.langgraph import decide, treegate_tools
from treegate.model.lifecycle import State

INDEX = {"op": "create", "path": "INDEX.md", "content": "# Index\n"}


@pytest.fixture
def asked(bureau: Bureau) -> tuple[Any, dict[str, Any], Any]:
    """A graph that was interrupted: it, the interrupt's value, and the plan as it was handed in."""
    done = bureau.ask("submit_plan", plan=smith(SORT))
    graph = agent([call("wait_for_decision", id=done["plan"])], treegate_tools(bureau.agent, ask="interrupt"))
    result = graph.invoke(BEGIN, THREAD)
    return graph, result["__interrupt__"][0].value, done


def test_a_graph_stops_and_shows_what_is_to_be_decided(asked: Any, bureau: Bureau):
    _, value, done = asked
    assert (value["plan"], value["digest"]) == (done["plan"], done["digest"])
    assert "Letters" in value["preview"]
    assert value["waiting_for"] == "a reviewer other than agent"


def test_what_a_reviewer_decided_goes_on_in_the_graph(asked: Any, bureau: Bureau):
    graph, value, done = asked
    result = graph.invoke(decide(bureau.rita, value, "approve", "fine"), THREAD)
    assert said(tool_messages(result)[0])["state"] == "approved"
    assert bureau.gate.plan(done["plan"]).state is State.APPROVED


def test_a_comment_that_asks_for_changes_arrives_as_one(asked: Any, bureau: Bureau):
    graph, value, _ = asked
    told = said(tool_messages(graph.invoke(decide(bureau.rita, value, "request-changes", "by year"), THREAD))[0])
    assert told["state"] == "changes-requested"
    assert told["decisions"][0]["comment"] == "by year"


def test_a_decision_made_elsewhere_counts_whatever_the_graph_is_resumed_with(asked: Any, bureau: Bureau):
    graph, _, done = asked
    bureau.rita.reject(done["plan"], done["digest"], "no")
    told = said(tool_messages(graph.invoke(Command(resume={"verdict": "approve"}), THREAD))[0])
    assert told["state"] == "rejected"


@pytest.mark.parametrize(
    "answer",
    [
        True,
        "approve",
        "approved",
        None,
        [],
        {"verdict": "approve"},
        {"type": "accept"},
        {"decisions": [{"type": "approve"}]},
        {"plan": "pl_other", "digest": "0" * 64, "verdict": "approve"},
    ],
)
def test_a_resume_approves_nothing(asked: Any, bureau: Bureau, answer: Any):
    graph, value, done = asked
    before = bureau.tree()
    result = graph.invoke(Command(resume=answer if answer is not None else {"nothing": 1}), THREAD)
    again = result["__interrupt__"][0].value
    assert (again["plan"], again["digest"]) == (value["plan"], value["digest"])
    assert again["note"]
    assert bureau.gate.plan(done["plan"]).state is State.PENDING
    assert bureau.tree() == before


def test_the_right_digest_without_a_decision_approves_nothing_either(asked: Any, bureau: Bureau):
    graph, value, done = asked
    for _ in range(3):
        resume = Command(resume={"plan": value["plan"], "digest": value["digest"], "verdict": "approve"})
        again = graph.invoke(resume, THREAD)["__interrupt__"][0].value
        assert "nobody has decided" in again["note"]
    assert bureau.gate.plan(done["plan"]).state is State.PENDING


def test_an_old_answer_is_not_one_to_a_newer_version(asked: Any, bureau: Bureau):
    """The plan is revised while the graph waits: an approval of what was shown before does not count for it."""
    graph, value, done = asked
    bureau.ask("revise_plan", id=done["plan"], plan=smith(SORT, INDEX))
    with pytest.raises(TreegateError) as caught:
        decide(bureau.rita, value, "approve")
    assert isinstance(caught.value, Stale)
    again = graph.invoke(Command(resume={"plan": value["plan"], "digest": value["digest"]}), THREAD)
    newer = again["__interrupt__"][0].value
    assert newer["digest"] != value["digest"]
    assert "another version" in newer["note"]
    result = graph.invoke(decide(bureau.rita, newer, "approve"), THREAD)
    assert said(tool_messages(result)[0])["revision"] == 2


def test_an_answer_counts_once(asked: Any, bureau: Bureau):
    graph, value, _ = asked
    resume = decide(bureau.rita, value, "approve")
    graph.invoke(resume, THREAD)
    result = graph.invoke(resume, THREAD)
    assert "__interrupt__" not in result
    assert len(tool_messages(result)) == 1


def test_who_may_not_decide_cannot_by_an_interrupt(asked: Any, bureau: Bureau):
    _, value, done = asked
    with pytest.raises(Denied):
        decide(bureau.agent, value, "approve")
    with pytest.raises(UsageError):
        decide(bureau.rita, {"plan": done["plan"]}, "approve")
    with pytest.raises(UsageError):
        decide(bureau.rita, value, "applaud")
    assert bureau.gate.plan(done["plan"]).state is State.PENDING


def test_a_graph_that_is_made_anew_goes_on_where_it_waited(bureau: Bureau):
    """The service that held the graph is gone; another one has the same checkpoints, and treegate has the rest."""
    from langgraph.checkpoint.memory import InMemorySaver

    done, saver = bureau.ask("submit_plan", plan=smith(SORT)), InMemorySaver()
    first = agent([call("wait_for_decision", id=done["plan"])], treegate_tools(bureau.agent, ask="interrupt"))
    first.checkpointer = saver
    first.invoke(BEGIN, THREAD)
    bureau.rita.approve(done["plan"], done["digest"])
    second = agent([], treegate_tools(bureau.reopened_agent(), ask="interrupt"))
    second.checkpointer = saver
    told = said(tool_messages(second.invoke(Command(resume="go on"), THREAD))[0])
    assert told["state"] == "approved"


def test_without_an_interrupt_the_call_waits_as_long_as_it_is_told(bureau: Bureau):
    done = bureau.ask("submit_plan", plan=smith(SORT))
    graph = agent([call("wait_for_decision", id=done["plan"], seconds=0.1)], treegate_tools(bureau.agent))
    told = said(tool_messages(graph.invoke(BEGIN, THREAD))[0])
    assert told["state"] == "pending"
    assert "not yet" in told["next"]


def test_an_error_is_a_message_with_the_status_of_one(bureau: Bureau):
    calls = [call("read_text", case="Smith", path="nowhere"), call("list_files", limit="lots")]
    result = agent(calls, treegate_tools(bureau.agent)).invoke(BEGIN, THREAD)
    missing, misfit = tool_messages(result)
    assert missing.status == "error"
    assert said(missing)["error"]["code"] == "file-not-found"
    assert said(misfit)["error"]["code"] == "arguments-invalid"


def test_tools_work_where_everything_is_asynchronous(bureau: Bureau):
    done = bureau.ask("submit_plan", plan=smith(SORT))
    graph = agent([call("wait_for_decision", id=done["plan"])], treegate_tools(bureau.agent, ask="interrupt"))

    async def story() -> Any:
        first = await graph.ainvoke(BEGIN, THREAD)
        resume = decide(bureau.rita, first["__interrupt__"][0], "approve")
        return await graph.ainvoke(resume, THREAD)

    assert said(tool_messages(asyncio.run(story()))[0])["state"] == "approved"
