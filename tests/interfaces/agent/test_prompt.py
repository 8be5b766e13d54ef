"""The page for system prompts: short, and true down to its examples."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
from toolwork import Bureau

from treegate.interfaces.agent import Toolset
from treegate.interfaces.agent.guide import prompt
from treegate.model.lifecycle import State
from treegate.model.operations import Operation
from treegate.model.plan import Plan


def test_it_has_fewer_than_1200_words():
    assert 500 < len(prompt().split()) < 1200


def test_the_command_prints_it():
    program = str(Path(sys.executable).with_name("treegate"))
    done = subprocess.run([program, "prompt"], capture_output=True, text=True, check=True)
    assert done.stdout == prompt()
    told = subprocess.run([program, "prompt", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(told.stdout) == {"prompt": prompt()}


def test_every_example_is_one():
    for text in re.findall(r"```json\n(.*?)```", prompt(), re.DOTALL):
        if '"operations"' in text:
            Plan.decode(text)
        else:
            msgspec.json.decode(text, type=Operation)
    for text in re.findall(r'`(\{"op".*?\})`', prompt()):
        msgspec.json.decode(text, type=Operation)


def test_its_plan_is_one_that_could_be_handed_in(bureau: Bureau):
    """The long example, on a case that has what it speaks of."""
    plan = json.loads(re.findall(r"```json\n(.*?)```", prompt(), re.DOTALL)[0])
    for name in ("scan001.pdf", "scan002.pdf", "Notes/todo.txt", "status.json", "run.sh", "tmp/x", "Scans/scan9.pdf"):
        bureau.put(f"Smith/{name}", name)
    told = bureau.ask("check_plan", plan={**plan, "case": "Smith"})
    assert [one for one in told.get("problems", []) if one["severity"] == "error"] == []


def test_it_names_the_tools_and_the_states():
    names = {tool.name for tool in Toolset.tools}
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", prompt())) - {"if_exists", "content_base64"}
    assert named <= names
    assert {"check_plan", "submit_plan", "revise_plan", "wait_for_decision", "apply_plan"} <= named
    states = set(re.findall(r"- `([a-z-]+)`", prompt())) - {"case"}
    assert states <= {state.value for state in State}


def test_it_speaks_of_every_operation_that_an_agent_writes():
    for word in ("move", "rename", "copy", "mkdir", "create", "replace", "delete", "symlink", "set"):
        assert f"| `{word}` |" in prompt()
