"""`treegate mcp` over stdio: a process that a client begins, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from typing import Any

import mcp
import pytest
from agentwork import ERAS, MOVE, PLAN, Office, code, over_stdio, said
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError

from treegate.model.lifecycle import State

HELLO = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class Spoken:
    """A server that is spoken to line by line."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.say(HELLO)
        self.server = self.heard()["result"]["serverInfo"]
        self.say(READY)

    def say(self, message: dict[str, Any]) -> None:
        """Sends a message."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def call(self, number: int, name: str, /, **arguments: Any) -> None:
        """Asks for a tool."""
        params = {"name": name, "arguments": arguments}
        self.say({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})

    def heard(self) -> dict[str, Any]:
        """The next message."""
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found


def spoken(office: Office, *args: str, token: str = "") -> Spoken:
    """A server that has said hello."""
    return Spoken(office.begin("mcp", "--workspace", str(office.root), *args, token=token))


def waiting(office: Office) -> str:
    """A plan that waits for a decision."""
    return str(office.gate.submit(json.dumps({"version": 1, **PLAN})).id)


@pytest.mark.parametrize("mode", ERAS)
def test_the_whole_loop(office: Office, mode: str):
    """Looked, checked, handed in; changes asked for, revised; approved by a person, waited for, carried out."""

    async def live() -> None:
        async with over_stdio(office.program(token=office.token("ada")), mode) as client:
            assert said(await client.call_tool("list_files", {"case": "Smith"}))["data"]["entries"]
            assert said(await client.call_tool("check_plan", {"plan": PLAN}))["valid"]
            made = said(await client.call_tool("submit_plan", {"plan": PLAN}))
            rita.request_changes(made["plan"], made["digest"], "not the first")
            asked = said(await client.call_tool("wait_for_decision", {"id": made["plan"], "seconds": 20}))
            assert asked["decisions"][0]["comment"] == "not the first"
            again = {"case": "Smith", "operations": [MOVE | {"match": "scan[12].pdf"}]}
            made = said(await client.call_tool("revise_plan", {"id": made["plan"], "plan": again}))
            assert code(await client.call_tool("apply_plan", {"id": made["plan"]})) == "not-approved"
            rita.approve(made["plan"], made["digest"])
            told = said(await client.call_tool("wait_for_decision", {"id": made["plan"], "seconds": 20}))
            assert told["state"] == "approved"
            assert said(await client.call_tool("apply_plan", {"id": made["plan"]}))["state"] == "applied"

    with office.person("rita") as rita:
        asyncio.run(live())
    assert office.there("Smith/scan0.pdf")
    assert office.there("Smith/Scans/scan2.pdf")


def test_a_plan_is_read_from_the_folder_of_plans(office: Office):
    """From the current folder, or the one that is named; from nowhere else."""
    plans = office.root.parent / "plans"
    plans.mkdir()
    (plans / "reorg_plan.json").write_text(json.dumps({"version": 1, **PLAN}))

    async def live(*more: str) -> Any:
        async with over_stdio(office.program(*more)) as client:
            return await client.call_tool("check_plan", {"path": "reorg_plan.json"})

    assert said(asyncio.run(live("--plans", str(plans))))["valid"]
    assert code(asyncio.run(live())) == "plan-file-not-found"


def test_it_ends_when_its_stdin_does(office: Office):
    """At once, even while a call waits for a person; with status 0, and nothing but protocol said on stdout."""
    server = spoken(office)
    server.call(1, "wait_for_decision", id=waiting(office), seconds=300)
    time.sleep(0.5)
    began = time.monotonic()
    rest, _ = server.process.communicate(timeout=30)
    assert server.process.returncode == 0
    assert time.monotonic() - began < 10
    assert {json.loads(line)["jsonrpc"] for line in rest.splitlines()} <= {"2.0"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told_to(office: Office, number: int):
    """Its stdin still open, a call still waiting."""
    server = spoken(office)
    server.call(1, "wait_for_decision", id=waiting(office), seconds=300)
    time.sleep(0.5)
    server.process.send_signal(number)
    assert server.process.wait(20) == 0


def test_what_is_no_message_does_not_end_it(office: Office):
    """Nor what is no JSON; stdout holds messages only."""
    server = spoken(office)
    assert server.process.stdin is not None
    server.process.stdin.write(b"no json\n\xff\xfe\n[]\n{}\n")
    server.call(7, "list_files")
    heard = server.heard()
    while heard.get("id") != 7:
        heard = server.heard()
    assert heard["result"]["isError"] is False


def approved(office: Office) -> str:
    """A plan of many files that a person approved."""
    for number in range(3000):
        office.put(f"Smith/f{number}.txt", "")
    sorted_away = {"op": "move", "match": "f*.txt", "to": "Sorted/"}
    plan = office.gate.submit(json.dumps({"version": 1, "case": "Smith", "operations": [sorted_away]}))
    with office.person("rita") as rita:
        rita.approve(plan.id, plan.digest or "")
    return str(plan.id)


def begun(office: Office, plan: str) -> Spoken:
    """A server that carries it out right now."""
    server = spoken(office)
    server.call(1, "apply_plan", id=plan)
    while office.gate.plan(plan).state is State.APPROVED:
        time.sleep(0.002)
    return server


def test_a_run_is_finished_when_stdin_ends(office: Office):
    """What people approved is carried out, though nobody hears of it any more."""
    plan = approved(office)
    begun(office, plan).process.communicate(timeout=60)
    assert office.gate.plan(plan).state is State.APPLIED
    assert [one for one in office.gate.fsck() if one.severity == "error"] == []


def test_a_run_is_taken_back_when_a_signal_comes(office: Office):
    """Unless it was as good as done; no file is ever in between."""
    plan = approved(office)
    server = begun(office, plan)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0
    state = office.gate.plan(plan).state
    assert state in {State.ROLLED_BACK, State.APPLIED}
    assert office.there("Smith/f0.txt") == office.there("Smith/f2999.txt") == (state is State.ROLLED_BACK)
    assert [one for one in office.gate.fsck() if one.severity == "error"] == []


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_a_command_ends_with_the_server(office: Office):
    """Nothing that was run in a sandbox is left behind."""
    server = spoken(office)
    server.call(1, "run_sandboxed", cases=["Smith"], command=["sh", "-c", "sleep 283; true"], seconds=200)
    until = time.monotonic() + 30
    while not sleeping() and time.monotonic() < until:
        time.sleep(0.05)
    if not sleeping():
        pytest.skip("no command runs in a sandbox here")
    server.process.communicate(timeout=60)
    assert not sleeping()


def sleeping() -> bool:
    """Whether the command runs."""
    return subprocess.run(["pgrep", "-f", "sleep 283"], capture_output=True).returncode == 0


def test_a_client_hears_that_its_server_was_killed(office: Office):
    """A call that waits ends with an error; another server goes on with the same plan."""
    plan = waiting(office)

    async def live() -> None:
        async with over_stdio(office.program()) as client:
            call = asyncio.ensure_future(client.call_tool("wait_for_decision", {"id": plan, "seconds": 300}))
            await asyncio.sleep(0.5)
            os.kill(server_of(office), signal.SIGKILL)
            with pytest.raises(MCPError):
                await asyncio.wait_for(call, 20)

    async def again() -> str:
        async with over_stdio(office.program()) as client:
            return str(said(await client.call_tool("plan_status", {"id": plan}))["state"])

    asyncio.run(live())
    assert asyncio.run(again()) == "pending"


def server_of(office: Office) -> int:
    """The id of the one server that a client began here."""
    asked = subprocess.run(["pgrep", "-f", f"treegate mcp --workspace {office.root}"], capture_output=True, text=True)
    (found,) = asked.stdout.split()
    return int(found)


def test_a_token_that_is_revoked_holds_no_longer(office: Office):
    """Not even in a server that runs."""
    server = spoken(office, token=office.token("ada"))
    server.call(1, "list_files")
    assert server.heard()["result"]["isError"] is False
    office.gate.revoke_token("ada")
    server.call(2, "list_files")
    assert server.heard()["result"]["structuredContent"]["error"]["code"] == "token-revoked"


def test_a_token_of_a_reviewer_begins_no_server(office: Office):
    """An agent is only ever an author."""
    begun = office.begin("mcp", "--workspace", str(office.root), "--json", token=office.token("rita", "reviewer"))
    out, _ = begun.communicate(timeout=30)
    assert begun.returncode == 4
    assert json.loads(out)["error"]["code"] == "agent-not-author"


def test_behind_a_service(office: Office):
    """The tools work on a workspace elsewhere, as whoever TREEGATE_TOKEN names there."""
    pytest.importorskip("fastapi", reason="the extra `service` is not installed")
    serving = office.begin("serve", "--port", "0", "--json", "--workspace", str(office.root))
    assert serving.stdout is not None
    address = json.loads(serving.stdout.readline())["address"]
    parameters = office.program()
    parameters.args = ["mcp", "--server", address]
    parameters.env = {**office.environ, "TREEGATE_TOKEN": office.token("ada", cases=["Jones"])}

    async def live() -> Any:
        async with mcp.Client(stdio_client(parameters)) as client:
            await client.read_resource("treegate://cases/Jones/tree")
            return said(await client.call_tool("list_files", {}))

    assert [one["case"] for one in asyncio.run(live())["data"]["cases"]] == ["Jones"]
