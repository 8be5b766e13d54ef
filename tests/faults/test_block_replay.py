"""Whatever part of its writes a disk had done when the power failed, a run ends before or after.

The disks are image files whose every write and flush is written down (blocklog.py). Looked at is each beginning of
that log, and random subsets of what had not been flushed.
"""

import pytest
from blocklog import needed as needed_for_watching
from crash_sweep import Fault, applying, in_child, recovering
from cutting import ANOTHER, KEPT, SAME, ground, only_moves, violated
from loops import KINDS, needed
from planned import every_operation
from replaying import Replays, film, watched
from tables import everything
from tests import stand_in

from treegate.engine import apply, posix

ERROR = Fault(fail=20, renames=True)
STATES = {SAME: "on the same disk", ANOTHER: "on another disk"}


def apply_it(site):
    return applying(site)


def roll_it_back(site):
    return applying(site, ERROR)


def recover_it(site):
    """Killed amid the steps, and recovered."""
    applying(site, Fault(kill=75))
    return recovering(site)


WORKS = {"an apply": apply_it, "a rollback": roll_it_back, "a recovery": recover_it}


@pytest.fixture(params=KINDS)
def kind(request):
    """Each type of filesystem."""
    needed(request.param)
    needed_for_watching()
    return request.param


@pytest.mark.parametrize(("kind", "state"), [("ext4", ANOTHER), ("xfs", SAME), ("btrfs", SAME)], indirect=["kind"])
def test_any_part_of_the_writes_ends_before_or_after(kind, state):
    """3, 4, 5: a sample of an apply; the log has the flushes that it is all about."""
    with ground(kind, state) as made:
        replays = Replays(made)
        replays.learn()
        seen = film(made, lambda: applying(made.site))
        assert len(seen.flushes()) > 20
        replays.prefixes(seen, (seen.end - seen.begin) // 5)
        replays.subsets(seen, range(4))
    assert "cut -> applied" in replays.outcomes
    assert "applied -> applied" in replays.outcomes


BROKEN = {
    ("no-directory-fsync", SAME): "are told as done, and these are not made",
    ("no-directory-fsync", ANOTHER): "are told as done, and these are not made",
    ("done-before-the-act", SAME): "are told as done, and these are not made",
    ("done-before-the-act", ANOTHER): "are told as done, and these are not made",
    ("trusts-the-journal", ANOTHER): "",
    ("appends-to-a-torn-tail", SAME): "has a damaged frame",
    ("device-in-identities", SAME): "another folder is at",
}


@pytest.mark.parametrize(("broken", "state"), BROKEN)
def test_a_replay_shows_what_is_broken(broken, state):
    """3, 4, 5, 6: each of these engines fails."""
    needed("ext4")
    needed_for_watching()

    def work():
        with ground("ext4", state, only_moves) as made:
            replays = Replays(made)
            replays.learn()
            seen = film(made, lambda: applying(made.site))
            replays.prefixes(seen, 2)
            replays.subsets(seen, range(20))

    found = violated(broken, work)
    assert found
    assert BROKEN[broken, state] in found


# 4, 6, 8: a disk that fails


def failing(seen, what, call, at):
    """An apply whose disk fails from the call number `at` of this name on."""

    def work(site):
        real, count = getattr(posix, call), [0]

        def failing(*given):
            count[0] += 1
            if count[0] == at:
                seen.fail(what)
            return real(*given)

        stand_in.in_python()
        setattr(posix, call, failing)
        return apply.run(site.context()).outcome

    return work


@pytest.mark.parametrize(("call", "at"), [("syncfs", 1), ("rename", 9)], ids=["staging", "moving"])
@pytest.mark.parametrize("what", ["write", "flush"])
def test_a_failing_disk_halts_the_run_until_it_is_mounted_anew(kind, what, call, at):
    """4, 6, 8: the disk itself refuses a write, or a flush; the run stops at the sync that says so. Though the disk
    is well again, recovery waits for the new mount, and ends on what then is found."""
    with ground(kind, KEPT) as made:
        replays = Replays(made)
        replays.learn()
        with watched(made) as seen:
            halted = in_child(lambda: failing(seen, what, call, at)(made.site), Fault())
            assert halted.how == "sync-failed"
            assert not {"fsync", "syncfs", "fdatasync"} & set(halted.names[last_sync(halted.names) + 1 :])
            assert recovering(made.site).how == "remount-needed"
            seen.fail("")
            assert recovering(made.site).how == "remount-needed"
            seen.unmount()
            seen.mount()
            replays.check_what_is_told()
            ended = recovering(made.site)
            assert ended.how == ("applied" if call == "rename" else "rolled-back")
            replays.check(ended.how, (what, call, at))
            seen.unmount()


def last_sync(names):
    """The place of the last sync that was tried."""
    return max(at for at, name in enumerate(names) if name in ("fsync", "syncfs", "fdatasync"))


@pytest.mark.parametrize("what", ["write", "flush"])
def test_a_journal_on_a_failing_disk_is_recovered_from_once_it_is_mounted_anew(kind, what):
    """8: no note can be left there either; what is read before is refused for the disk's own errors."""
    with ground(kind, SAME) as made:
        replays = Replays(made)
        replays.learn()
        with watched(made) as seen:
            halted = in_child(lambda: failing(seen, what, "rename", 9)(made.site), Fault())
            assert halted.how == "sync-failed"
            seen.fail("")
            assert recovering(made.site).how not in ("applied", "rolled-back", "nothing-happened")
            seen.unmount()
            seen.mount()
            replays.check_what_is_told()
            ended = recovering(made.site)
            assert ended.how == "applied"
            replays.check(ended.how, what)
            seen.unmount()


# The long sweeps


@pytest.fixture(params=[everything, every_operation], ids=["table", "plan"])
def build(request):
    """What is carried out."""
    return request.param


@pytest.mark.faults
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("work", WORKS)
def test_every_part_of_the_writes_ends_before_or_after(kind, state, work, build, tally):
    """3, 4, 5, 13, 15: every beginning of the log (of the longer one of btrfs every third), and 40 subsets."""
    with ground(kind, state, build) as made:
        replays = Replays(made)
        replays.learn()
        seen = film(made, lambda: WORKS[work](made.site))
        replays.prefixes(seen, 3 if kind == "btrfs" else 1)
        prefixes = replays.outcomes.copy()
        replays.outcomes.clear()
        replays.subsets(seen, range(40))
    assert prefixes.total() > 0 < replays.outcomes.total()
    tally(f"power cut at a write of the disk in {work}, journal {STATES[state]}", kind, prefixes)
    tally(f"unsynced writes of {work} lost at random, journal {STATES[state]}", kind, replays.outcomes)
