"""Undo of undo, and what `rollback.sh` took back: every run that is in force can be undone, and says how."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from treegate.errors import Denied
from treegate.gate import Gate
from treegate.model.lifecycle import State

PLAN = {"version": 1, "case": "A", "operations": [{"op": "delete", "path": "f1"}]}


@pytest.fixture
def gate(tmp_path: Path):
    case = tmp_path / "ws/projects/A"
    case.mkdir(parents=True)
    (case / "f1").write_text("one")
    (case / "f2").write_text("two")
    with Gate.init(tmp_path / "ws", solo=True, environ={"TREEGATE_STATE": str(tmp_path / "state")}) as opened:
        yield opened


def carried_out(gate: Gate, done) -> str:
    gate.approve(done.id, done.digest)
    return gate.apply(done.id).run


def state_of(gate: Gate, run: str) -> str:
    return gate.applied(run).state


def test_a_run_whose_undo_the_script_took_back_is_in_force_again_and_can_be_undone(gate: Gate):
    """The store follows the script: the original is applied, its vault holds what it held, undo works."""
    run = carried_out(gate, gate.submit(json.dumps(PLAN)))
    undo = carried_out(gate, gate.undo(run).submitted)
    script = gate.root / ".treegate/vault" / undo / "rollback.sh"
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    assert gate.fsck() == []
    assert (state_of(gate, run), state_of(gate, undo)) == (State.APPLIED, State.UNDONE)
    assert [kept.path for kept in gate.list_vault(run)] == ["A/f1"]
    carried_out(gate, gate.undo(run).submitted)
    assert (gate.root / "projects/A/f1").read_text() == "one"


def test_undo_of_a_run_whose_vault_moved_on_names_the_run_to_undo_instead(gate: Gate):
    """After undo and undo of the undo, what was deleted lies in the last run's vault."""
    run = carried_out(gate, gate.submit(json.dumps(PLAN)))
    undo = carried_out(gate, gate.undo(run).submitted)
    again = carried_out(gate, gate.undo(undo).submitted)
    with pytest.raises(Denied) as refused:
        gate.undo(run)
    assert refused.value.next == f"treegate undo {again}"
    carried_out(gate, gate.undo(again).submitted)
    assert (gate.root / "projects/A/f1").read_text() == "one"
