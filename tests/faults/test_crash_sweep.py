"""Killed or failed at every system call, a run ends before or after, and no byte is lost."""

import errno

import pytest
from crash_sweep import (
    Fault,
    Sweep,
    applying,
    failures,
    failures_of_recovery,
    kills,
    kills_of_recovery,
    recovering,
)
from planned import every_operation
from sweeping import filesystem
from tables import Site, everything

ERROR = Fault(fail=20, renames=True)  # the 20th rename fails, and the run goes back
ENDS = {"killed -> applied", "killed -> rolled-back", "killed -> nothing-happened"}
some_or_all = pytest.mark.parametrize("stride", [3, pytest.param(1, marks=pytest.mark.faults)])


@pytest.fixture(scope="module", params=[everything, every_operation], ids=["table", "plan"])
def build(request):
    """What is carried out: a table with every kind of row, or the table of a plan with every operation."""
    return request.param


@pytest.fixture(scope="module")
def names(build):
    """The calls of an apply."""
    return Sweep(build).learn().names


@pytest.fixture(scope="module")
def names_back(build):
    """The calls of a run that goes back."""
    for site in Sweep(build).fresh():
        ended = applying(site, ERROR)
        assert ended.how == "rolled-back"
    return ended.names


@pytest.fixture
def sweep(build):
    sweep = Sweep(build)
    sweep.learn()
    return sweep


@some_or_all
def test_a_kill_at_any_call_of_an_apply_ends_before_or_after(sweep, names, stride):
    """1, 21: calls of a table with every kind of step; both ends and the nothing before them are reached."""
    assert len(names) > 90
    kills(sweep, names, stride)
    assert set(sweep.outcomes) == ENDS


@some_or_all
def test_a_kill_at_any_call_of_a_rollback_ends_before_or_after(sweep, names_back, stride):
    """1, 13, 15: what had turned back before it was killed is taken back, never carried on."""
    kills(sweep, names_back, stride, base=ERROR)
    assert set(sweep.outcomes) == ENDS


def test_a_rollback_that_is_killed_stays_a_rollback(sweep, names_back):
    """15: once the direction is on disk, each later kill ends as rolled back, though forward was possible."""
    first = len(names_back) - names_back[::-1].index("set_mode")  # the first act after the direction is durable
    late = range(first, len(names_back) + 1, 3)
    assert {sweep.point(Fault(kill=kill, fail=20, renames=True)) for kill in late} == {"killed -> rolled-back"}


def test_recovery_goes_back_where_that_is_asked(sweep, names):
    """13: at every fifth call; only what had ended already stays applied."""
    kills(sweep, names[:-2], 5, back=True)
    assert set(sweep.outcomes) == {"killed -> rolled-back", "killed -> nothing-happened"}


def test_a_kill_in_the_recovery_is_recovered_from(sweep, names):
    """2: a sample; all of it is swept by make test-faults."""
    assert kills_of_recovery(sweep, range(1, len(names), 5), 61) > 10


def test_a_kill_in_the_recovery_of_a_rollback_is_recovered_from(sweep, names_back):
    """2, 15: a sample; all of it is swept by make test-faults."""
    assert kills_of_recovery(sweep, range(2, len(names_back), 5), 61, base=ERROR) > 10


def test_an_error_at_any_call_ends_before_or_after(sweep, names):
    """8, 9, 10, 11, 12: EIO, ENOSPC, EINTR, EROFS, in place of a call's work and after it (a sample)."""
    failures(sweep, len(names), 19)
    assert {"applied -> applied", "rolled-back -> rolled-back", "sync-failed -> applied"} <= set(sweep.outcomes)


@some_or_all
@pytest.mark.parametrize("late", [False, True])
def test_an_interrupted_rename_is_looked_at_and_settled(sweep, late, stride):
    """12: EINTR from any rename or exchange, done or not, is no error."""
    tried = range(1 + late, 27, stride)
    faults = [Fault(fail=number, error=errno.EINTR, late=late, renames=True) for number in tried]
    assert {sweep.point(fault) for fault in faults} == {"applied -> applied"}


def test_a_filesystem_that_becomes_read_only_halts_the_run(sweep):
    """11: nothing is taken back, which could not work; recovery goes on from there."""
    assert sweep.point(Fault(fail=12, error=errno.EROFS, renames=True)) == "halted-read-only -> applied"


def test_a_failed_sync_is_not_retried_and_waits_for_a_new_mount(sweep, names):
    """8: no sync follows the failed one, recovery refuses, and works after the filesystem is mounted anew."""
    number = [i for i, name in enumerate(names, start=1) if name == "fsync"][-4]
    for site in sweep.fresh():
        ended = applying(site, Fault(fail=number))
        assert ended.how == "sync-failed"
        assert not {"fsync", "syncfs", "fdatasync"} & set(ended.names[number:])
        before = site.picture()
        assert recovering(site).how == "remount-needed"
        assert site.picture() == before
        assert recovering(site, Fault(anew=True)).how == "applied"


# -- the long ones; `python tests/faults/crash_sweep.py` tries all second-order points of a plan, in half an hour


@pytest.mark.faults
@pytest.mark.parametrize("back", [None, True])
def test_kills_in_every_recovery_are_recovered_from(sweep, names, back, tally):
    """2: every kill of an apply, and every fifth call of its recovery, another one after each kill."""
    assert kills_of_recovery(sweep, range(1, len(names) + 1), 5, back=back) > 400
    tally("killed in an apply, and in its recovery" + " back" * bool(back), filesystem(), sweep.outcomes)


@pytest.mark.faults
def test_kills_in_every_recovery_of_a_rollback_are_recovered_from(sweep, names_back, tally):
    """2, 15: every kill of a rollback, and every fifth call of its recovery, another one after each kill."""
    assert kills_of_recovery(sweep, range(1, len(names_back) + 1), 5, base=ERROR) > 400
    tally("killed in a rollback, and in its recovery", filesystem(), sweep.outcomes)


@pytest.mark.faults
def test_every_error_at_every_call_ends_before_or_after(sweep, names, tally):
    """8, 9, 10, 11, 12: all of them."""
    failures(sweep, len(names))
    tally("an error at a call of an apply, before it or after it", filesystem(), sweep.outcomes)


@pytest.mark.faults
def test_errors_in_a_recovery_end_before_or_after(sweep, names, tally):
    """8, 11, 12: every fifth kill, every fifth call of its recovery, every error."""
    assert failures_of_recovery(sweep, len(names), 5) > 500
    tally("killed in an apply, and an error at a call of its recovery", filesystem(), sweep.outcomes)


def test_recovery_syncs_what_it_read_first_and_all_it_found_last(sweep, names):
    """3, 5: what a crash left may be in the page cache only, in the journal as in the tree."""
    for site in sweep.fresh():
        applying(site, Fault(kill=len(names) - 40))
        calls = recovering(site).names
    first = calls.index("make_file")
    assert calls[:first] == ("fdatasync", "fsync")
    moved = max(i for i, name in enumerate(calls) if name in ("rename", "exchange"))
    last = max(i for i, name in enumerate(calls) if name == "fdatasync")
    assert "syncfs" in calls[moved:last]


def test_recovery_of_steps_that_are_all_made_syncs_them_before_it_ends(sweep, names):
    """5: the crash came after the last rename and before its sync, on a table without settings."""
    for site in Sweep(_one_move).fresh():
        calls = applying(site).names
    for site in Sweep(_one_move).fresh():
        applying(site, Fault(kill=calls.index("rename") + 2))
        calls = recovering(site).names
    assert "rename" not in calls
    assert "syncfs" in calls[: max(i for i, name in enumerate(calls) if name == "fdatasync")]


def _one_move(folder):
    site = Site(folder)
    site.file("a")
    site.move("a", (site.root, "b"))
    site.seal()
    return site
