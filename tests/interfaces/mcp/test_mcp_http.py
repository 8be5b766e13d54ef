"""`treegate mcp --http`: who may come in, what each of them sees, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import mcp
import pytest
from agentwork import ERAS, PLAN, Office, code, said
from mcp.client.streamable_http import streamable_http_client

pytest.importorskip("fastapi", reason="the extra `service` is not installed")

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
TAKES = {"Accept": "application/json, text/event-stream"}


@asynccontextmanager
async def connected(address: str, token: str, mode: str = "auto") -> AsyncIterator[mcp.Client]:
    """A client that shows a token."""
    async with (
        httpx2.AsyncClient(headers=bearer(token), timeout=60) as http,
        mcp.Client(streamable_http_client(address, http_client=http), mode=mode) as client,
    ):
        yield client


def bearer(token: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


def asked(address: str, headers: dict[str, str]) -> httpx2.Response:
    """What a bare request is answered."""
    return httpx2.post(address, json=LIST, headers=TAKES | headers, timeout=60)


@pytest.mark.parametrize("mode", ERAS)
def test_each_token_sees_its_own_cases(office: Office, mode: str):
    """At the same time, over the same server."""
    address = office.listening()
    ada, bob = office.token("ada", cases=["Smith"]), office.token("bob", cases=["Jones"])

    async def live() -> list[Any]:
        async with connected(address, ada, mode) as one, connected(address, bob, mode) as other:
            clients = (one, other)
            seen = [said(await client.call_tool("list_files", {})) for client in clients]
            assert code(await other.call_tool("list_files", {"case": "Smith"})) == "case-not-allowed"
            plan = said(await one.call_tool("submit_plan", {"plan": PLAN}))["plan"]
            assert code(await other.call_tool("plan_status", {"id": plan})) in {"case-not-allowed", "plan-not-found"}
            assert office.gate.plan(plan).author == "ada"
            return [[case["case"] for case in told["data"]["cases"]] for told in seen]

    assert asyncio.run(live()) == [["Smith"], ["Jones"]]


def test_without_a_token_nobody_comes_in(office: Office):
    """The answer says how to show one, and what is wrong."""
    address = office.listening()
    for shown, expected in (
        ({}, "token-needed"),
        ({"Authorization": "Bearer"}, "token-needed"),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, "token-needed"),
        ({"Authorization": "Bearer tg_unknown"}, "token-unknown"),
    ):
        answer = asked(address, shown)
        assert (answer.status_code, answer.json()["code"]) == (401, expected)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_only_authors_come_in(office: Office):
    """A token that can do more than propose is none for an agent."""
    address = office.listening()
    for role in ("reviewer", "operator", "admin"):
        answer = asked(address, bearer(office.token(f"rita-{role}", role)))
        assert (answer.status_code, answer.json()["code"]) == (403, "agent-not-author")


def test_the_token_of_whoever_began_it_is_nobodys(office: Office):
    """A request never acts as the process, whatever its environment holds."""
    begun = office.begin(
        *("mcp", "--http", "--port", "0", "--json", "--workspace", str(office.root)), token=office.token("ada")
    )
    assert begun.stdout is not None
    assert asked(json.loads(begun.stdout.readline())["address"], {}).status_code == 401


def test_a_revoked_token_is_out_at_once(office: Office):
    """Every request is looked at anew."""
    address, token = office.listening(), office.token("ada")
    assert asked(address, bearer(token)).status_code == 200
    office.gate.revoke_token("ada")
    answer = asked(address, bearer(token))
    assert (answer.status_code, answer.json()["code"]) == (401, "token-revoked")


def test_requests_for_other_names_are_refused(office: Office):
    """DNS rebinding makes a browser believe that any name is this machine."""
    address, shown = office.listening(), bearer(office.token("ada"))
    for header, status in (
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
    ):
        assert asked(address, shown | header).status_code == status


def test_a_body_is_bounded(office: Office):
    """What is larger is not even held."""
    headers = bearer(office.token("ada")) | TAKES | {"Content-Type": "application/json"}
    answer = httpx2.post(office.listening(), content=b" " * (17 << 20), headers=headers, timeout=60)
    assert answer.status_code == 413


def test_no_session_is_kept(office: Office):
    """So there is nothing to listen to, and nothing to end."""
    address, shown = office.listening(), bearer(office.token("ada"))
    for method in ("GET", "DELETE", "PUT"):
        answer = httpx2.request(method, address, headers=shown, timeout=60)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_there_is_nothing_at_other_paths(office: Office):
    """Neither with a token nor without."""
    address = office.listening().removesuffix("/mcp")
    assert httpx2.post(f"{address}/", headers=bearer(office.token("ada"))).status_code == 404
    assert httpx2.get(f"{address}/.well-known/oauth-protected-resource").status_code == 404


@pytest.mark.parametrize("mode", ERAS)
def test_a_client_hears_that_the_server_was_killed(office: Office, mode: str):
    """A call that waits ends with an error."""
    plan = office.gate.submit(json.dumps({"version": 1, **PLAN})).id
    address, token = office.listening(), office.token("ada")

    async def live() -> None:
        async with connected(address, token, mode) as client:
            call = asyncio.ensure_future(client.call_tool("wait_for_decision", {"id": plan, "seconds": 300}))
            await asyncio.sleep(1)
            office.servers[-1].send_signal(signal.SIGKILL)
            await asyncio.wait_for(call, 30)

    with pytest.raises(Exception) as caught:
        asyncio.run(live())
    assert not isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("mode", ERAS)
def test_a_client_does_not_notice_that_the_server_began_again(office: Office, mode: str):
    """There is no session to lose."""
    address, token = office.listening(), office.token("ada")
    port = address.rpartition(":")[2].removesuffix("/mcp")

    async def live() -> None:
        async with connected(address, token, mode) as client:
            before = said(await client.call_tool("list_files", {}))
            office.servers[-1].send_signal(signal.SIGKILL)
            office.servers[-1].wait(20)
            await asyncio.to_thread(office.listening, "--port", port)
            assert said(await client.call_tool("list_files", {})) == before

    asyncio.run(live())


def test_it_ends_though_a_call_waits(office: Office):
    """Told to end, it lets nobody wait for a person."""
    plan = office.gate.submit(json.dumps({"version": 1, **PLAN})).id
    address, token = office.listening(), office.token("ada")

    answers: list[Any] = []

    async def live() -> None:
        async with connected(address, token) as client:
            call = asyncio.ensure_future(client.call_tool("wait_for_decision", {"id": plan, "seconds": 300}))
            for _ in range(3):  # once these are answered, what was asked before has come there, too
                said(await client.call_tool("plan_status", {"id": plan}))
            office.servers[-1].send_signal(signal.SIGTERM)
            answers.append(said(await asyncio.wait_for(call, 20)))

    began = time.monotonic()
    with contextlib.suppress(BaseExceptionGroup):  # the server may be gone as the client says goodbye
        asyncio.run(live())
    assert [answer["state"] for answer in answers] == ["pending"]
    assert office.servers[-1].wait(20) == 0
    assert time.monotonic() - began < 20


def test_behind_a_service(office: Office):
    """The tokens are the service's; each request acts as its own."""
    serving = office.begin("serve", "--port", "0", "--json", "--workspace", str(office.root))
    assert serving.stdout is not None
    service = json.loads(serving.stdout.readline())["address"]
    begun = office.begin("mcp", "--http", "--port", "0", "--json", "--server", service)
    assert begun.stdout is not None
    address = json.loads(begun.stdout.readline())["address"]

    async def live() -> Any:
        async with connected(address, office.token("ada", cases=["Smith"])) as client:
            return said(await client.call_tool("list_files", {}))

    assert [one["case"] for one in asyncio.run(live())["data"]["cases"]] == ["Smith"]
    assert asked(address, {}).status_code == 401
    assert asked(address, bearer("tg_unknown")).json()["code"] == "token-unknown"
    assert asked(address, bearer(office.token("rita", "reviewer"))).status_code == 403
