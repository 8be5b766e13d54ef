"""The example: an agent tidies a case of the demo, whatever its folders are called, and a person decides."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.gate.gatework import snapshot

from treegate.gate import Gate
from treegate.model.lifecycle import State

pytest.importorskip("fpdf", reason="the extra `demo` is not installed")

EXAMPLE = Path(__file__).parents[3] / "examples" / "langgraph_agent.py"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's workspace as it is made."""
    folder = tmp_path_factory.mktemp("demo")
    program = str(Path(sys.executable).with_name("treegate"))
    environ = {**os.environ, "TREEGATE_STATE": str(folder / "state")}
    subprocess.run([program, "demo", str(folder / "office")], env=environ, check=True, capture_output=True)
    return folder


def tidied(sample: Path, case: str, answers: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "TREEGATE_STATE": str(sample / "state"), "LANGSMITH_TRACING": "false"}
    command = [sys.executable, str(EXAMPLE), str(sample / "office"), case]
    return subprocess.run(command, input=answers, env=environ, capture_output=True, text=True, timeout=120)


def newest(sample: Path) -> tuple[Gate, str]:
    gate = Gate.open(sample / "office", {**os.environ, "TREEGATE_STATE": str(sample / "state")})
    return gate, gate.list_plans()[0][0].id


def test_it_mends_its_plan_does_what_is_asked_for_and_carries_it_out(sample: Path):
    case = sample / "office/projects/Müller-Lease"
    done = tidied(sample, "Müller-Lease", "changes put these into Incoming, please\napprove fine\n")
    assert done.returncode == 0, done.stderr
    assert "near-miss" in done.stdout  # its first plan was wrong, and it took the suggestions that it got
    assert "Done, in run_" in done.stdout
    assert sorted(os.listdir(case)) == ["Incoming"]
    gate, plan = newest(sample)
    assert [one.revision for one in gate.core.store.revisions(plan)] == [1, 2]
    assert gate.plan(plan).state is State.APPLIED
    gate.close()


def test_a_renamed_folder_does_not_break_it(sample: Path):
    """Loose scans go where scans are, whatever that folder is called."""
    case = sample / "office/projects/Rivera-Acquisition"
    (case / "Drafts").rename(case / "Entwürfe 2025")
    done = tidied(sample, "Rivera-Acquisition", "approve\n")
    assert "Done, in run_" in done.stdout, done.stderr
    assert (case / "Entwürfe 2025/Letter of Intent.pdf").exists()


def test_a_rejection_ends_it_and_changes_nothing(sample: Path):
    case = sample / "office/projects/Smith-v-Jones"
    before = snapshot(case)
    done = tidied(sample, "Smith-v-Jones", "what?\nreject these scans stay where they are\n")
    assert "The plan is rejected: these scans stay where they are" in done.stdout, done.stderr
    assert snapshot(case) == before
    assert "Done" not in done.stdout


def test_whoever_goes_away_leaves_the_plan_waiting(sample: Path):
    case = sample / "office/projects/Estate-of-Kowalski"
    before = snapshot(case)
    done = tidied(sample, "Estate-of-Kowalski", "")
    assert "the plan waits" in done.stderr
    assert snapshot(case) == before
