"""The backup script: what it makes is whole, and treegate sees where it is too old for the tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from treegate.gate import Gate
from treegate.model.lifecycle import State
from treegate.model.plan import Plan

SCRIPT = Path(__file__).parents[2] / "deploy/systemd/treegate-backup"
PLAN = b'{"version":1,"case":"Smith","operations":[{"op":"move","from":"a.txt","to":"b.txt"}]}'


@pytest.fixture
def office(tmp_path: Path) -> Path:
    case = tmp_path / "office/projects/Smith"
    case.mkdir(parents=True)
    (case / "a.txt").write_text("a")
    return tmp_path / "office"


def backed_up(state: Path, where: Path) -> None:
    """What the script makes, with this Python; then put in the place of another state directory."""
    script = where.with_name("script")
    script.write_text(SCRIPT.read_text().replace("/opt/treegate/bin/python", sys.executable))
    environ = {"PATH": "/usr/bin:/bin", "TREEGATE_STATE": str(state)}
    subprocess.run(["sh", script, where], env=environ, check=True, capture_output=True)


def restored(backup: Path, state: Path) -> dict[str, str]:
    state.mkdir(mode=0o700)
    subprocess.run(["tar", "-C", state, "-xf", backup / "state.tar"], check=True)
    (state / "treegate.db").write_bytes((backup / "treegate.db").read_bytes())
    return {"TREEGATE_STATE": str(state)}


def test_a_backup_of_a_state_in_use_is_whole_and_one_of_before_a_run_is_seen(office: Path, tmp_path: Path):
    """The one of after the run tells the tree's story; the one of before is older than the tree."""
    state = tmp_path / "state"
    with Gate.init(office, environ={"TREEGATE_STATE": str(state)}, solo=True) as gate:
        backed_up(state, tmp_path / "before")
        made = gate.submit(Plan.decode(PLAN))
        gate.approve(made.id, made.digest)
        gate.apply(made.id)
        backed_up(state, tmp_path / "after")
    with Gate.open(office, restored(tmp_path / "after", tmp_path / "new")) as gate:
        with gate.attended():  # what a worker does first
            assert gate.fsck() == []
        assert gate.plan(made.id).state is State.APPLIED
    with Gate.open(office, restored(tmp_path / "before", tmp_path / "old")) as gate:
        assert any("older than the tree" in one.title for one in gate.fsck())


def test_a_backup_is_for_its_owner_alone(office: Path, tmp_path: Path):
    """It holds the signing key."""
    state = tmp_path / "state"
    Gate.init(office, environ={"TREEGATE_STATE": str(state)}).close()
    backed_up(state, tmp_path / "backup")
    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "backup", *(tmp_path / "backup").iterdir())}
    assert modes == {0}
