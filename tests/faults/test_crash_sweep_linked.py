"""Killed or failed at every system call, a run ends before or after where a rename is made of link and unlink.

Between the two a file has both names: whoever stops there has to be brought on, or back, to one of them.
"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from crash_sweep import Fault, Sweep, applying, failures, kills, kills_of_recovery
from planned import Linked, every_operation

ERROR = Fault(fail=20, renames=True)  # the 20th rename fails, and the run goes back
ENDS = {"killed -> applied", "killed -> rolled-back", "killed -> nothing-happened"}


class LinkedSweep(Sweep):
    """The sweep on such a mount."""

    def __init__(self) -> None:
        super().__init__(lambda folder: every_operation(Path(folder), Linked))


@pytest.fixture
def sweep() -> LinkedSweep:
    sweep = LinkedSweep()
    sweep.names = sweep.learn().names
    return sweep


def second_halves(names: tuple[str, ...]) -> list[int]:
    """The calls that take a first name away."""
    return [number for number, name in enumerate(names, start=1) if name == "unlink" and names[number - 2] == "link"]


def test_a_kill_between_the_two_names_is_recovered_from_both_ways(sweep):
    """1, 12: every one, of hard links that move into each other's places too."""
    for kill in second_halves(sweep.names):
        assert sweep.point(Fault(kill=kill)) == "killed -> applied"
        assert sweep.point(Fault(kill=kill), back=True) == "killed -> rolled-back"


@pytest.mark.parametrize("error", [errno.EINTR, errno.EIO, errno.ENOSPC])
def test_an_error_between_the_two_names_leaves_one(sweep, error):
    """12: in place of the removal, and after it was done all the same."""
    for fail in second_halves(sweep.names)[::2]:
        for late in (False, True):
            sweep.point(Fault(fail=fail, error=error, late=late))
    assert set(sweep.outcomes) <= {"applied -> applied", "rolled-back -> rolled-back"}


def test_a_kill_at_any_call_ends_before_or_after(sweep):
    """1, 15: every eleventh call of an apply and of a rollback; the whole sweep tries all."""
    kills(sweep, sweep.names, 11)
    kills(sweep, names_back(), 11, base=ERROR)
    assert set(sweep.outcomes) == ENDS


def names_back() -> tuple[str, ...]:
    """The calls of a run that goes back."""
    for site in LinkedSweep().fresh():
        ended = applying(site, ERROR)
    return ended.names


@pytest.mark.faults
def test_a_kill_or_an_error_at_every_call_ends_before_or_after(sweep, tally):
    """1, 2, 8, 12, 15: all calls of an apply and of a rollback; of the recoveries a share."""
    kills(sweep, sweep.names)
    kills(sweep, names_back(), base=ERROR)
    kills(sweep, sweep.names, 2, back=True)
    kills_of_recovery(sweep, range(1, len(sweep.names), 3), 11)
    failures(sweep, len(sweep.names), 2)
    tally(
        "killed at a system call, or an error there, where a rename is made of link and unlink",
        "tmpfs",
        sweep.outcomes,
    )
