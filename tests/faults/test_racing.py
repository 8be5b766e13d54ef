"""While others work in the same case, no byte is lost and nothing elsewhere is touched."""

from collections import Counter
from itertools import product

import pytest
from contested import ground
from crash_sweep import Fault
from lookups import ESCAPED, INSIDE, REFUSED, race
from planned import every_operation
from racing import BETWEEN, at_once, between
from racing_offices import at_office
from tables import everything

from treegate.engine.mounts import mount_of

BUILDS = pytest.mark.parametrize("build", [everything, every_operation], ids=["table", "plan"])
RENAMES = {everything: 26, every_operation: 29}
BACK = Fault(fail=20, renames=True)  # the 20th rename fails, and the run goes back


def filesystem():
    """What the races are run on."""
    with ground() as folder:
        return mount_of(str(folder)).type


def told(races):
    """How races ended; fails with all that must not have been."""
    found = list(races)
    assert [wrong for one in found for wrong in one.wrong] == []
    return Counter(one.how for one in found if one.how != "not done")


# -- exactly between the look and the rename


@BUILDS
def test_what_an_outsider_does_between_the_look_and_the_rename_loses_nothing(build):
    """19, 20, 25, 27, 28, 31, 32: every act at a sample of the renames; all of them are tried by make test-faults."""
    points = [*product(BETWEEN, range(1, RENAMES[build] + 1))][::11]
    assert len(told(between(act, at, build=build) for act, at in points)) > 2


def test_what_an_outsider_does_while_a_run_goes_back_loses_nothing():
    """19, 20, 25, 27, 28: also what it writes into a file that the run made, and takes back."""
    assert told(between("edits the source", at, build=everything, fault=BACK) for at in range(20, 40, 3))


@pytest.mark.parametrize(
    ("break_", "act"),
    [
        ("no-no-clobber", "makes a file at the target"),
        ("follows-links", "puts a link in the target folder's place"),
        ("no-look-after-the-rename", "writes over the source"),
    ],
)
def test_a_broken_engine_is_caught_between_the_look_and_the_rename(break_, act):
    """The harness can fail: on an engine that replaces, follows links or does not look, and on no whole one."""
    found = [between(act, at, break_) for at in range(1, 14)]
    assert any(one.wrong for one in found)


@pytest.mark.faults
@BUILDS
@pytest.mark.parametrize("fault", [Fault(), BACK], ids=["forward", "back"])
def test_every_act_of_an_outsider_before_every_rename_loses_nothing(build, fault, tally):
    """19, 20, 25, 27, 28, 31, 32: every act, before every rename, also before those of the way back."""
    points = product(BETWEEN, range(1, 45 if fault.fail else RENAMES[build] + 1))
    ended = told(between(act, at, build=build, fault=fault) for act, at in points)
    tally("an outsider acts between the last look and a rename", filesystem(), ended)


# -- at the same time


def test_outsiders_at_work_during_a_run_lose_nothing_by_it():
    """19, 20, 25, 27, 28, 31, 32: edits, renames, deletions, links, folders swapped for links that lead out."""
    assert len(told(at_once(seed, build=everything) for seed in range(20))) > 3


def test_outsiders_at_work_during_a_plan_and_its_undo_lose_nothing_by_it():
    """19, 20, 25, 27, 28, 31: through the gate, with its recovery and its vault."""
    assert len(told(at_office(seed) for seed in range(4))) > 1


@pytest.mark.parametrize(("break_", "seeds"), [("no-no-clobber", (41, 66)), ("follows-links", range(90, 100))])
def test_a_broken_engine_is_caught_by_outsiders_at_work(break_, seeds):
    """The harness can fail; no race is the same twice, so seeds are tried until one finds it."""
    assert any(at_once(seed, break_).wrong for seed in (*seeds, *range(1000, 1400)))


@pytest.mark.faults
@BUILDS
def test_many_races_with_outsiders_lose_nothing(build, tally):
    """19, 20, 25, 27, 28, 31, 32: from three hundred seeds."""
    ended = told(at_once(seed, build=build) for seed in range(300))
    tally("outsiders at work during a run", filesystem(), ended)


@pytest.mark.faults
def test_many_races_with_a_plan_and_its_undo_lose_nothing(tally):
    """19, 20, 25, 27, 28, 31: from a hundred and fifty seeds."""
    ended = told(at_office(seed) for seed in range(150))
    tally("outsiders at work during a plan and its undo", filesystem(), ended)


# -- looking up a path


def test_a_look_up_never_leaves_the_folder_it_began_in():
    """31: 20,000 of every kind, while folders and files on the way change places with links that lead out."""
    found = race(20_000)
    assert found[ESCAPED] == 0
    assert min(found[INSIDE], found[REFUSED]) > 200  # the race was one


def test_an_engine_that_follows_links_is_caught_by_look_ups():
    """The harness can fail."""
    assert race(2_000, break_="follows-links")[ESCAPED]


@pytest.mark.faults
def test_a_million_look_ups_never_leave_the_folder_they_began_in(tally):
    """31: a million."""
    found = race(1_000_000, seed=1)
    assert found[ESCAPED] == 0
    assert min(found[INSIDE], found[REFUSED]) > 10_000
    tally("racing look-ups of a path", filesystem(), found)
