"""The sandbox: commands run for real on a view of the case, and what they did is a plan."""

from __future__ import annotations

import asyncio
import os
import shutil

import pytest
from deepagents.backends.protocol import SandboxBackendProtocol, execute_accepts_timeout
from deepagents.middleware.filesystem import supports_execution
from deepwork import Office, decided, settled

from treegate.interfaces.deepagents import sandbox as of_sandbox
from treegate.interfaces.deepagents.sandbox import REFUSED, TreegateSandbox

SMALL = {
    "sandbox_engine": "bwrap",
    "sandbox_limits_written": "64 MiB",
    "sandbox_limits_entries": "4000",
    "sandbox_limits_time": "30s",
}
runnable = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("bwrap") is None, reason="needs root and bubblewrap")


@pytest.fixture
def lab(office: Office) -> Office:
    """The office, in which commands run."""
    office.configure(**SMALL)
    return office


@pytest.fixture
def sandbox(lab: Office) -> TreegateSandbox:
    return TreegateSandbox(lab.gate, "Smith")


def test_it_is_what_deepagents_runs_commands_on(sandbox: TreegateSandbox, lab: Office):
    assert isinstance(sandbox, SandboxBackendProtocol)
    assert supports_execution(sandbox)
    assert execute_accepts_timeout(TreegateSandbox)
    assert sandbox.id != TreegateSandbox(lab.gate, "Smith").id


@runnable
def test_a_command_reads_the_case_and_leaves_no_plan(sandbox: TreegateSandbox):
    found = sandbox.execute("cat a.txt; cat /case/Notes/todo.md | wc -l; echo oops >&2; exit 3")
    assert found.output.startswith("alpha\nbeta\ngamma\n")
    assert "oops" in found.output
    assert found.output.endswith("\ntreegate: the files of the case are at /case, where the command began")
    assert (found.exit_code, found.truncated) == (3, False)


@runnable
def test_what_went_well_and_changed_nothing_says_no_more_than_its_output(sandbox: TreegateSandbox):
    assert sandbox.execute("printf x").output == "x"
    assert asyncio.run(sandbox.aexecute("printf y")).output == "y"
    assert asyncio.run(sandbox.aexecute("printf z", timeout=20)).output == "z"


@runnable
def test_what_a_command_did_is_a_plan_that_the_last_line_names(sandbox: TreegateSandbox, lab: Office):
    before = lab.tree()
    found = sandbox.execute("mkdir Sorted && mv Scans/*.pdf Sorted/ && echo done")
    assert found.exit_code == 0
    assert found.output.startswith("done\n")
    last = found.output.splitlines()[-1]
    assert last.startswith("treegate: what it did is plan pl_")
    assert "waits for a reviewer" in last
    assert lab.tree() == before
    plan = last.split("plan ")[1].split(",")[0]
    decided(lab, plan)
    lab.gate.apply(plan)
    assert lab.path("Smith/Sorted/1.pdf").exists()


@runnable
def test_a_command_does_not_run_while_there_are_pending_changes(sandbox: TreegateSandbox, lab: Office):
    sandbox.write("/n.txt", "new")
    found = sandbox.execute("cat n.txt")
    assert found.exit_code == REFUSED
    assert "submit_changes" in found.output
    settled(lab, sandbox)
    assert sandbox.status()["changes"] == 0
    assert sandbox.execute("cat n.txt").output == "new"


@runnable
def test_a_command_that_takes_too_long_is_ended(sandbox: TreegateSandbox):
    found = sandbox.execute("echo begun; sleep 60", timeout=1)
    assert found.output.startswith("begun\n")
    assert "treegate: it was ended: its time ran out" in found.output
    assert found.exit_code != 0


@runnable
def test_long_output_keeps_its_beginning_and_its_end(sandbox: TreegateSandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(of_sandbox, "MOST_OUTPUT", 2000)
    found = sandbox.execute("echo first; seq 1 5000; echo last")
    assert found.truncated is True
    assert found.output.startswith("first\n1\n2\n")
    assert found.output.endswith("5000\nlast\n")
    assert len(found.output) < 2200


@runnable
def test_a_command_that_needs_approval_is_asked_for_once(lab: Office):
    lab.configure(sandbox_approve_command="true")
    sandbox = TreegateSandbox(lab.gate, "Smith")
    for _ in range(2):
        found = sandbox.execute("printf hi")
        assert found.exit_code == REFUSED
        assert "has to approve the command sb_" in found.output
    (asked,) = lab.gate.sandboxes()
    lab.gate.approve_sandbox(asked.id, asked.digest)
    assert sandbox.execute("printf hi").output == "hi"


@runnable
def test_a_command_that_was_turned_down_is_not_asked_for_again(lab: Office):
    lab.configure(sandbox_approve_command="true")
    sandbox = TreegateSandbox(lab.gate, "Smith")
    sandbox.execute("printf hi")
    (asked,) = lab.gate.sandboxes()
    lab.gate.reject_sandbox(asked.id, asked.digest, "not on this machine")
    for _ in range(2):
        assert "not on this machine" in sandbox.execute("printf hi").output
    assert len(lab.gate.sandboxes()) == 1


def test_a_command_in_a_case_that_is_not_there_is_refused_in_words(lab: Office):
    found = TreegateSandbox(lab.gate, "Smit").execute("true")
    assert found.exit_code == REFUSED
    assert found.output.startswith("Error: ")
