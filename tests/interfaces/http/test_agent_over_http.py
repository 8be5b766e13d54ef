"""An agent's tools over a service: the same loop, and a service that is killed while the agent waits."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_service_killed import Serving
from tests.interfaces.agent.toolwork import smith

import treegate
from treegate.errors import Denied
from treegate.gate import Gate
from treegate.interfaces.agent import Toolset

MOVE = {"op": "move", "match": "scan*.pdf", "to": "Scans/{name}"}


class Served:
    """A service, an agent's tools over it, and a reviewer beside it."""

    def __init__(self, office: Path, environ: dict[str, str], token: Callable[..., str]) -> None:
        self.office, self.environ = office, environ
        self.serving = Serving(office, environ)
        self.client = treegate.connect(self.serving.address, token("agent", "author", ["Smith"]))
        self.tools = Toolset(self.client)
        self.reviewer = token("rita", "reviewer")

    def ask(self, name: str, **arguments: Any) -> dict[str, Any]:
        answer = self.tools.call(name, arguments)
        assert not answer.failed, answer.text
        return answer.value

    def approve(self, plan: dict[str, Any]) -> None:
        with Gate.open(self.office, {**self.environ, "TREEGATE_TOKEN": self.reviewer}) as gate:
            gate.approve(plan["plan"], plan["digest"])

    def killed_and_started(self) -> None:
        port = int(self.serving.address.rpartition(":")[2])
        self.serving.end(signal.SIGKILL)
        self.serving = Serving(self.office, self.environ, port)

    def close(self) -> None:
        self.client.close()
        self.serving.end(signal.SIGTERM)


@pytest.fixture
def served(office: Path, environ: dict[str, str], token: Callable[..., str]) -> Iterator[Served]:
    made = Served(office, {**environ, "TREEGATE_POLICY_APPLY_ON_APPROVAL": "false"}, token)
    yield made
    made.close()


def test_the_loop_over_a_service(served: Served):
    assert [one["case"] for one in served.ask("list_files")["data"]["cases"]] == ["Smith"]
    assert len(served.ask("find_files", case="Smith", match="*.pdf")["data"]["entries"]) == 5
    assert served.ask("read_text", case="Smith", path="scan1.pdf")["data"]["text"] == "Smith 1"
    assert served.ask("file_info", case="Smith", path="scan1.pdf")["data"]["size"] == 7
    told = served.ask("check_plan", plan=smith(MOVE), tree="**")
    assert len(told["data"]["tree"]["Smith"]) == 5
    plan = served.ask("submit_plan", plan=smith(MOVE))
    assert served.ask("plan_status")["plans"][0]["plan"] == plan["plan"]
    served.approve(plan)
    assert served.ask("wait_for_decision", id=plan["plan"])["decisions"][0]["reviewer"] == "rita"
    done = served.ask("apply_plan", id=plan["plan"])
    assert done["state"] == "applied"
    assert (served.office / "projects/Smith/Scans/scan0.pdf").exists()
    undo = served.ask("request_undo", run=done["run"])
    assert served.ask("withdraw_plan", id=undo["plan"])["state"] == "withdrawn"


def test_a_command_over_a_service(served: Served):
    line = "sh -c 'echo hello; mv scan0.pdf first.pdf'"
    told = served.ask("run_sandboxed", cases=["Smith"], command=line)
    assert told["data"]["output"] == "hello\n"
    assert told["plan_state"] == "pending"
    assert served.ask("run_status", id=told["id"])["exit_code"] == 0
    slow = served.ask("run_sandboxed", cases=["Smith"], command="sh -c 'echo a; sleep 2; echo b'", seconds=0.5)
    assert slow["state"] == "running"
    assert served.ask("run_status", id=slow["id"], seconds=30)["data"]["output"] == "a\nb\n"


def test_a_service_that_is_killed_while_an_agent_waits(served: Served):
    """It waits on, and hears of the decision that was made once the service is there again."""
    plan = served.ask("submit_plan", plan=smith(MOVE))
    heard: list[dict[str, Any]] = []
    waiting = threading.Thread(
        target=lambda: heard.append(served.ask("wait_for_decision", id=plan["plan"], seconds=120))
    )
    waiting.start()
    time.sleep(1)
    served.killed_and_started()
    served.approve(plan)
    waiting.join(60)
    assert not waiting.is_alive()
    assert heard[0]["state"] == "approved"


def test_a_service_that_is_gone_is_said_to_be(served: Served):
    served.serving.end(signal.SIGKILL)
    answer = served.tools.call("list_files", {"case": "Smith"})
    assert answer.failed
    assert answer.value["error"]["code"] == "server-unreachable"
    assert answer.value["error"]["hint"]
    served.serving = Serving(served.office, served.environ)


def test_a_reviewer_s_token_is_refused_to_an_agent(served: Served):
    with treegate.connect(served.serving.address, served.reviewer) as client, pytest.raises(Denied) as caught:
        Toolset(client)
    assert caught.value.code == "agent-not-author"
