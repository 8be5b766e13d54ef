"""Killed at any system call and cut off from power, a run ends before or after, and what is told is there.

On ext4 and xfs the cut is the filesystem's own: its log is flushed, or dropped. btrfs knows no such call; there the
image is taken as it is at that moment. The whole of it is swept by make test-faults.
"""

import pytest
from crash_sweep import Fault
from cutting import ANOTHER, KEPT, SAME, PowerCuts, ground, kills, only_moves, violated
from loops import KINDS, LOG_DROPPED, needed
from planned import every_operation
from tables import everything

STATES = {SAME: "on the same disk", ANOTHER: "on another disk", KEPT: "on a disk that keeps its power"}
ERROR = Fault(fail=20, renames=True)  # the 20th rename fails, and the run goes back
BOTH_ENDS = {"killed -> applied", "killed -> rolled-back"}


def swept(cuts, faults):
    """Every way to cut the power after each of these faults."""
    faults = list(faults)
    for cut in KINDS[cuts.ground.kind].cuts:
        for fault in faults:
            cuts.point(cut, fault)


def goes_back(faults):
    """The same kills in a run that goes back."""
    return [Fault(kill=one.kill, half=one.half, fail=ERROR.fail, renames=True) for one in faults]


@pytest.fixture(params=STATES)
def state(request):
    """Where the journal is."""
    return request.param


@pytest.mark.parametrize(("kind", "state"), [("ext4", SAME), ("ext4", ANOTHER), ("xfs", ANOTHER), ("xfs", KEPT)])
def test_a_power_cut_ends_before_or_after(kind, state):
    """3, 5, 18: a sample of a plan with every operation; both ends are reached."""
    needed(kind)
    with ground(kind, state) as made:
        cuts = PowerCuts(made)
        swept(cuts, kills(cuts.learn(), 29, 7))
    assert set(cuts.outcomes) > BOTH_ENDS


def test_a_power_cut_of_a_rollback_ends_before_or_after():
    """3, 13, 15: a sample; a run that has turned back is not carried on by who comes after the cut."""
    needed("ext4")
    with ground("ext4", ANOTHER, everything) as made:
        cuts = PowerCuts(made)
        cuts.learn()
        swept(cuts, goes_back(kills(cuts.learn(ERROR), 37, 20)))
    assert {"killed -> rolled-back", "rolled-back -> rolled-back"} <= set(cuts.outcomes)


def test_a_power_cut_of_a_recovery_ends_before_or_after():
    """2, 3: the run is cut, and so is its recovery; a sample."""
    needed("ext4")
    with ground("ext4", SAME, everything) as made:
        cuts = PowerCuts(made)
        names = cuts.learn()
        for second in range(2, 80, 19):
            cuts.point(LOG_DROPPED, Fault(kill=len(names) // 2), Fault(kill=second))
    assert BOTH_ENDS & set(cuts.outcomes)


BROKEN = {
    ("no-directory-fsync", SAME): "are told as done, and these are not made",
    ("no-directory-fsync", ANOTHER): "are told as done, and these are not made",
    ("no-directory-fsync", KEPT): "are told as done, and these are not made",
    ("done-before-the-act", ANOTHER): "are told as done, and these are not made",
    ("done-before-the-act", KEPT): "are told as done, and these are not made",
    ("trusts-the-journal", ANOTHER): "",
    ("appends-to-a-torn-tail", SAME): "has a damaged frame",
    ("appends-to-a-torn-tail", KEPT): "has a damaged frame",
    ("device-in-identities", SAME): "another folder is at",
}


def swept_sharply(cuts):
    """Every third call, and nothing is kept that was not asked for."""
    for fault in kills(cuts.learn(), 3, 2):
        cuts.point(LOG_DROPPED, fault)


@pytest.mark.parametrize(("broken", "state"), BROKEN)
def test_a_power_cut_shows_what_is_broken(broken, state):
    """3, 5, 6, 18: each of these engines fails, on moves alone and within a second."""
    needed("ext4")

    def work():
        with ground("ext4", state, only_moves) as made:
            swept_sharply(PowerCuts(made))

    found = violated(broken, work)
    assert found
    assert BROKEN[broken, state] in found


def test_a_whole_engine_is_not_blamed():
    """3, 5: all the points that the broken ones are tried at."""
    needed("ext4")
    with ground("ext4", KEPT, only_moves) as made:
        cuts = PowerCuts(made)
        swept_sharply(cuts)
    assert "applied -> applied" in cuts.outcomes


# The long sweeps


@pytest.fixture(params=KINDS)
def kind(request):
    """Each type of filesystem."""
    needed(request.param)
    return request.param


@pytest.fixture(params=[everything, every_operation], ids=["table", "plan"])
def build(request):
    """What is carried out."""
    return request.param


@pytest.mark.faults
def test_every_power_cut_of_an_apply_ends_before_or_after(kind, state, build, tally):
    """3, 5, 18: every call, every cut, every place of the journal."""
    with ground(kind, state, build) as made:
        cuts = PowerCuts(made)
        swept(cuts, kills(cuts.learn()))
    tally(f"power cut at a system call of an apply, journal {STATES[state]}", kind, cuts.outcomes)


@pytest.mark.faults
def test_every_power_cut_of_a_rollback_ends_before_or_after(kind, state, tally):
    """3, 5, 13, 15: every second call of a run that goes back."""
    with ground(kind, state) as made:
        cuts = PowerCuts(made)
        cuts.learn()
        swept(cuts, goes_back(kills(cuts.learn(ERROR), 2)))
    tally(f"power cut at a system call of a rollback, journal {STATES[state]}", kind, cuts.outcomes)


@pytest.mark.faults
@pytest.mark.parametrize("back", [None, True], ids=["forward", "back"])
def test_power_cuts_of_a_recovery_end_before_or_after(kind, state, back, tally):
    """2, 3, 5, 15: every fifteenth call of an apply, then every eleventh of its recovery."""
    with ground(kind, state) as made:
        cuts = PowerCuts(made)
        for number, first in enumerate(range(3, len(cuts.learn()) + 1, 15)):
            for second in range(1 + number % 11, 130, 11):
                cut = KINDS[kind].cuts[(number + second) % len(KINDS[kind].cuts)]
                if not cuts.point(cut, Fault(kill=first), Fault(kill=second), back=back).startswith("killed"):
                    break  # the recovery has fewer calls than that
    tally(f"power cut at a system call of a recovery, journal {STATES[state]}", kind, cuts.outcomes)
