"""Killed or failed at every system call, a run on what is taken for a bucket mount ends before or after.

There is no exchange and no lasting inode, a folder moves object by object, and the journal says how far a run came.
"""

from __future__ import annotations

import errno
from pathlib import Path

import broken
import pytest
from crash_sweep import Fault, Sweep, applying, kills, kills_of_recovery
from planned import Bucket, every_operation

from treegate.engine import handles, piecemeal, posix

ERROR = Fault(fail=30, renames=True)  # the 30th rename fails, and the run goes back
ENDS = {"killed -> applied", "killed -> rolled-back", "killed -> nothing-happened"}


class BucketSweep(Sweep):
    """The sweep, which counts the renames of a mount that has none but the plain one."""

    def __init__(self) -> None:
        super().__init__(lambda folder: every_operation(Path(folder), Bucket))


@pytest.fixture(scope="module")
def names() -> tuple[str, ...]:
    """The calls of an apply."""
    return BucketSweep().learn().names


@pytest.fixture
def sweep() -> BucketSweep:
    sweep = BucketSweep()
    sweep.learn()
    return sweep


def names_back() -> tuple[str, ...]:
    """The calls of a run that goes back."""
    for site in BucketSweep().fresh():
        ended = applying(site, ERROR)
        assert ended.how == "rolled-back"
    return ended.names


def test_a_kill_at_any_call_of_an_apply_ends_before_or_after(sweep, names):
    """1, 21: every eighth call; the whole sweep tries all."""
    kills(sweep, names, 8)
    assert set(sweep.outcomes) == ENDS


def test_a_kill_at_any_call_of_a_rollback_ends_before_or_after(sweep):
    """1, 15: every tenth call; the whole sweep tries all."""
    kills(sweep, names_back(), 10, base=ERROR)
    assert set(sweep.outcomes) == ENDS


def test_a_kill_in_the_recovery_is_recovered_from(sweep, names):
    """2: a sample, both ways."""
    assert kills_of_recovery(sweep, range(1, len(names), 37), 61) > 10
    assert kills_of_recovery(sweep, range(9, len(names), 37), 61, back=True) > 10


def test_an_error_of_the_mount_is_taken_back_or_recovered_from(sweep):
    """1: EIO at every fourth rename, in place of its work and after it."""
    for number in range(1, 60, 4):
        for late in (False, True):
            sweep.point(Fault(fail=number, error=errno.EIO, late=late, renames=True))
    assert "rolled-back -> rolled-back" in sweep.outcomes


def test_a_mount_that_is_gone_halts_the_run_which_then_goes_on(sweep):
    """1: nothing is taken back, which could not work."""
    for number in (12, 30):
        ended = sweep.point(Fault(fail=number, error=errno.ENOTCONN, renames=True))
        assert ended == "halted-mount-gone -> applied"


def test_the_sweep_catches_an_engine_that_is_broken_on_purpose(sweep, names, monkeypatch):
    """One that takes the step that was under way for made."""
    monkeypatch.setattr(broken.journal.Story, "window", broken.journal.Story.window)
    broken.install("under-way-is-made")
    with pytest.raises(AssertionError):
        kills(sweep, names, 4)


@pytest.mark.parametrize("engine", ["", "sources-go-unread"])
def test_an_unfinished_copy_costs_no_byte_unless_nobody_reads_it(tmp_path, monkeypatch, engine):
    """The engine that does not compare is caught."""
    monkeypatch.setattr(piecemeal, "_bring", piecemeal._bring)
    broken.install(engine)
    (tmp_path / "old").write_text("the whole of it\n")
    (tmp_path / "new").write_text("the whole")
    with handles.closing(handles.open_root(str(tmp_path))) as top:
        assert piecemeal.finish(posix.rename_checked, top, "old", top, "new")
    kept = [path.read_text() for path in tmp_path.iterdir()]
    assert (kept == ["the whole of it\n"]) is not bool(engine)


@pytest.mark.faults
def test_a_kill_at_every_call_and_in_every_recovery_ends_before_or_after(sweep, names, tally):
    """1, 2, 15: all calls of an apply and of a rollback; of the recoveries a share."""
    kills(sweep, names)
    kills(sweep, names_back(), base=ERROR)
    kills(sweep, names, 2, back=True)
    kills_of_recovery(sweep, range(1, len(names), 2), 7)
    kills_of_recovery(sweep, range(1, len(names), 3), 13, back=True)
    tally("killed at a system call of a run that takes a folder for a bucket", "tmpfs", sweep.outcomes)
