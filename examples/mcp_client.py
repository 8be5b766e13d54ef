"""An agent over MCP: a client that starts `treegate mcp`, tidies a case by its tools, and waits for a person.

    python examples/mcp_client.py WORKSPACE CASE
    TREEGATE_TOKEN=... python examples/mcp_client.py --server URL CASE

A person decides meanwhile, at another shell (`treegate review`), in a browser, in Slack. What decides here what to do
is a few rules, where another program would ask a model: it goes by what the tools say, and knows no file beforehand.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import mcp
from mcp.client.stdio import StdioServerParameters, stdio_client

TREEGATE = str(Path(sys.executable).with_name("treegate"))


class Agent:
    """Calls tools, one after the other, and tells what it does."""

    def __init__(self, client: mcp.Client) -> None:
        self._client = client

    async def ask(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What a tool says."""
        answer = await self._client.call_tool(tool, arguments)
        told: dict[str, Any] = dict(answer.structured_content or {})
        if "error" in told and tool == "find_files":  # without them there is nothing to do
            sys.exit(f"{told['error']['message']}: {told['error'].get('hint', '')}")
        print(f"{tool}: {told.get('error', {}).get('code') or told.get('state') or told.get('summary') or 'ok'}")
        return told

    async def plan_for(self, case: str) -> dict[str, Any]:
        """Folders by extension, for the files that lie loose: one operation with `match` for each kind."""
        names = [name async for name in self.loose(case)]
        kinds = Counter(name.rpartition(".")[2] for name in names)
        moves = [
            {"op": "move", "match": f"*.{kind}", "count": count, "to": f"{kind.upper()} files/{{name}}"}
            if count > 1
            else one_by_name(next(name for name in names if name.endswith(f".{kind}")), f"{kind.upper()} files/")
            for kind, count in sorted(kinds.items())
        ]
        return {"case": case, "title": "Sort what lies loose by its kind", "operations": moves}

    async def loose(self, case: str) -> AsyncIterator[str]:
        """The files that lie directly in a case."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.ask("find_files", case=case, match="*.*", cursor=cursor)
            for entry in page["data"]["entries"]:
                if isinstance(entry["path"], str):
                    yield entry["path"]
            cursor = page.get("next")

    async def mended(self, plan: dict[str, Any]) -> dict[str, Any]:
        """The plan with every suggestion taken, until there is none."""
        for _ in range(10):
            told = await self.ask("check_plan", plan=plan)
            problems = [*told.get("problems", ())]
            better = {one["operation"]: one["suggestion"] for one in problems if "suggestion" in one}
            if told.get("valid") or not better:
                break
            print(f"  taken: {', '.join(one['code'] for one in problems)}")
            operations = [better.get(number, one) for number, one in enumerate(plan["operations"], 1)]
            plan = {**plan, "operations": [one for one in operations if one is not None]}
        return plan

    async def decided(self, plan: str) -> dict[str, Any]:
        """Where a plan stands once a person decided on it."""
        told: dict[str, Any] = {"state": "pending"}
        while told.get("state") == "pending":
            told = await self.ask("wait_for_decision", id=plan, seconds=20)
        return told


def one_by_name(name: str, folder: str) -> dict[str, Any]:
    """One file, as one thinks of `mv`; that is not how a plan is written, and treegate says how it is."""
    return {"op": "rename", "path": name, "to": f"{folder}{name}"}


async def tidy(client: mcp.Client, case: str) -> None:
    """The whole loop."""
    agent = Agent(client)
    tools = (await client.list_tools()).tools
    print(f"{len(tools)} tools: {', '.join(tool.name for tool in tools)}")
    plan = await agent.mended(await agent.plan_for(case))
    if not plan["operations"]:
        print("nothing lies loose there")
        return
    done = await agent.ask("submit_plan", plan=plan)
    if "plan" not in done:
        print(f"refused: {done['error']['message']}")
        return
    preview = await client.read_resource(f"treegate://plans/{done['plan']}/preview")
    print(getattr(preview.contents[0], "text", ""))
    print(f"{done['plan']} waits: treegate approve {done['plan']} --digest {done['digest'][:12]}", flush=True)
    told = await agent.decided(done["plan"])
    if told["state"] == "approved":
        told = await agent.ask("apply_plan", id=done["plan"])
    if told["state"] == "applying":  # the approval began it
        told = await agent.ask("wait_for_decision", id=done["plan"], until="applied")
    words = [one["comment"] for one in told.get("decisions", ()) if one.get("comment")]
    print(f"{told.get('state')}: {told.get('run') or ' '.join(words) or told.get('next')}")


async def main() -> None:
    parser = argparse.ArgumentParser(description="an agent over MCP")
    parser.add_argument("workspace", nargs="?", help="a workspace on this machine")
    parser.add_argument("case")
    parser.add_argument("--server", help="a service instead")
    options = parser.parse_args()
    where = ["--server", options.server] if options.server else ["--workspace", options.workspace]
    started = StdioServerParameters(command=TREEGATE, args=["mcp", *where], env=dict(os.environ))
    async with mcp.Client(stdio_client(started)) as client:
        await tidy(client, options.case)


if __name__ == "__main__":
    asyncio.run(main())
