"""The inspector of MCP at the command line: a client that is not ours, in another language."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from agentwork import PLAN, TREEGATE, Office

from treegate.interfaces.agent import Toolset

# The newest that works with a node of this major version or above, whatever its `engines` asks for; tried with
# 18.20 (Debian 12 has 18), 20.20 and 22.23. Version 2 needs what node 18 does not have.
VERSIONS = {20: "2.12.0", 18: "1.0.3"}
SECONDS = 120  # to fetch it, too


@cache
def inspector() -> tuple[str, ...]:
    """The command that begins it; skips where there is none to be had."""
    if shutil.which("node") is None or shutil.which("npx") is None:
        pytest.skip("node and npx are not installed")
    major = int(
        subprocess.run(["node", "-p", "process.versions.node"], capture_output=True, text=True).stdout.split(".")[0]
    )
    version = next((version for least, version in VERSIONS.items() if major >= least), "")
    if not version:
        pytest.skip(f"node {major} is too old for any inspector")
    command = ("npx", "--yes", f"@modelcontextprotocol/inspector@{version}", "--cli")
    try:
        tried = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        pytest.skip(f"the inspector {version} was not fetched in {SECONDS} s")
    if tried.returncode:
        pytest.skip(f"the inspector {version} cannot be had: {tried.stderr.strip()[-300:]}")
    return command


def inspected(office: Office, *args: str) -> Any:
    """What the inspector prints of a request to a server that it begins."""
    server = [TREEGATE, "mcp", "--workspace", str(office.root), "--state", str(office.state)]
    done = subprocess.run(
        [*inspector(), *server, *args],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, **office.environ},
    )
    assert done.returncode in {0, 1, 5}, done.stderr
    return json.loads(done.stdout)


def called(office: Office, name: str, **arguments: Any) -> Any:
    """What a tool says through it."""
    words = [value if isinstance(value, str) else json.dumps(value) for value in arguments.values()]
    given = [word for key, value in zip(arguments, words, strict=True) for word in ("--tool-arg", f"{key}={value}")]
    return inspected(office, "--method", "tools/call", "--tool-name", name, *given)


def test_it_lists_every_tool(office: Office):
    """With what each takes."""
    found = inspected(office, "--method", "tools/list")["tools"]
    assert {one["name"] for one in found} == {one.name for one in Toolset.tools}
    assert {one["inputSchema"]["type"] for one in found} == {"object"}


def test_it_calls_every_tool(office: Office):
    """Each answers with one object; those that look and propose do not fail."""
    (Path(office.root) / "plan.json").write_text(json.dumps({"version": 1, **PLAN}))
    works = {
        "list_files": {"case": "Smith"},
        "find_files": {"case": "Smith", "match": "*.pdf"},
        "read_text": {"case": "Smith", "path": "scan0.pdf"},
        "file_info": {"case": "Smith", "path": "scan0.pdf"},
        "check_plan": {"plan": PLAN},
        "submit_plan": {"plan": PLAN},
    }
    found = {name: called(office, name, **given) for name, given in works.items()}
    assert {name: one["isError"] for name, one in found.items()} == dict.fromkeys(works, False)
    plan = found["submit_plan"]["structuredContent"]["plan"]
    found |= {
        "plan_status": called(office, "plan_status", id=plan),
        "wait_for_decision": called(office, "wait_for_decision", id=plan, seconds=0),
        "revise_plan": called(office, "revise_plan", id=plan, plan=PLAN),
        "apply_plan": called(office, "apply_plan", id=plan),
        "withdraw_plan": called(office, "withdraw_plan", id=plan),
        "request_undo": called(office, "request_undo", run="run_none"),
        "run_sandboxed": called(office, "run_sandboxed", cases=["Smith"], command="true"),
        "run_status": called(office, "run_status", id="sb_none"),
    }
    assert set(found) == {one.name for one in Toolset.tools}
    assert found["apply_plan"]["structuredContent"]["error"]["code"] == "not-approved"
    assert office.there("Smith/scan0.pdf")


def test_it_reads_what_else_there_is(office: Office):
    """The prompt, the resources, their templates."""
    assert [one["name"] for one in inspected(office, "--method", "prompts/list")["prompts"]] == ["reorganise_case"]
    assert [one["uri"] for one in inspected(office, "--method", "resources/list")["resources"]] == [
        "treegate://cases"
    ]
    assert len(inspected(office, "--method", "resources/templates/list")["resourceTemplates"]) == 3
    read = inspected(office, "--method", "resources/read", "--uri", "treegate://cases/Smith/tree")
    assert "scan0.pdf\n" in read["contents"][0]["text"]
