"""Real processes, killed or failed at any system call that changes or syncs: what they leave ends well."""

from __future__ import annotations

import os
import shutil
from functools import cache, partial
from typing import Any

import pytest
from chores import Pruning, Queueing, Sandboxing, Submitting
from sweeping import Learned, Sweep, failures, filesystem, kills, torn
from tracing import ERRORS, Fault, apart, needs_strace

from deeds import OPERATIONS, Aided, Applying, GoingBack, Recovering, Stopping, Undoing, filled

OTHER_RUNS = (Undoing, Stopping, GoingBack)
RUNS = pytest.mark.parametrize("deed", OTHER_RUNS)


@pytest.fixture(autouse=True)
def _strace() -> None:
    needs_strace()


@pytest.fixture(scope="module", autouse=True)
def _warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All that an office needs is loaded once, here: every process is forked from this one."""
    office = filled(tmp_path_factory.mktemp("warm"))
    office.carried_out(*OPERATIONS)
    office.undone()
    office.gate.prune()
    office.sound()
    office.close()


@cache
def learned(deed: Any, engine: str = "") -> Learned:
    """The calls of a deed, and the tree after it: of one that goes back, the tree after the plan it is about."""
    made, tree = Sweep(deed, engine).learned()
    return made, (tree if deed not in (Stopping, GoingBack) else learned(Applying)[1])


def needs_sandbox(deed: type) -> None:
    if deed is Sandboxing and (os.geteuid() != 0 or shutil.which("bwrap") is None):
        pytest.skip("needs root and bubblewrap")


def recoveries(firsts: list[Fault], stride: int, sweep: Sweep) -> None:
    """Each of these faults in an apply, and a kill at every `stride`-th call of the recovery from it."""
    after = learned(Applying)[1]
    for number, first in enumerate(firsts):
        sweep.make = partial(Recovering, first=first)
        made, _ = sweep.learned()
        sweep.all(kills(made, stride, number % stride), after)


# -- the harness catches


def test_each_call_of_an_apply_is_seen_and_numbered():
    """Renames, what is staged, the journal, and what SQLite writes; the same numbers each time."""
    made, _ = learned(Applying)
    assert {"renameat2", "pwrite64", "write", "fsync", "fdatasync", "openat", "mkdir", "unlinkat"} <= {
        call.name for call in made
    }
    again, _ = Sweep(Applying).learned()
    assert [call[:2] for call in again] == [call[:2] for call in made]


def test_a_child_that_cannot_tell_what_it_found_ends_all_the_same():
    """It does not go on as a second run of the tests."""
    with pytest.raises(EOFError):
        apart(lambda: lambda: "nothing that can be sent")


CAUGHT = {
    "done-before-the-act": (Applying, "renameat2", 2),
    "trusts-the-journal": (Applying, "fsync", 2),
    "forgets-the-direction": (GoingBack, "renameat2", 2),
}


@pytest.mark.parametrize("engine", CAUGHT)
def test_a_broken_engine_is_caught(engine: str):
    """A kill at some of its calls is enough."""
    deed, name, stride = CAUGHT[engine]
    made, after = learned(deed)
    faults = [Fault(call) for call in made if call.name == name][::stride]
    assert Sweep(deed, engine).caught(faults, after)


def test_an_engine_that_appends_to_a_torn_tail_is_caught():
    """Killed as it wrote its journal, and again while it is recovered."""
    made, after = learned(Applying)
    first = torn(made)[3]
    sweep = Sweep(partial(Recovering, first=first), "appends-to-a-torn-tail")
    own, _ = sweep.learned()
    assert sweep.caught([Fault(call) for call in own if call.name == "renameat2"], after)


# -- a few points of each


def test_an_apply_that_is_killed_ends_before_or_after():
    """1, 6, 16: SIGKILL at every thirtieth call, and amid some writes to the journal."""
    made, after = learned(Applying)
    sweep = Sweep(Applying)
    sweep.all(kills(made, 30), after)
    assert {"killed -> applied", "killed -> approved"} <= set(sweep.outcomes)


def test_an_apply_at_which_a_call_fails_ends_before_or_after():
    """8, 9, 10, 11, 12: EIO, ENOSPC, EINTR and EROFS, from the database's own calls as well."""
    made, after = learned(Applying)
    sweep = Sweep(Applying)
    sweep.all(failures(made, 90), after)
    assert {"applied -> applied", "record-unwritten -> applied"} <= set(sweep.outcomes)


def test_an_apply_with_an_aide_that_is_killed_or_fails_ends_before_or_after():
    """1, 8, 11, 16: also as what the aide wrote is given its name."""
    made, after = learned(Aided)
    assert [call.name for call in made if "/proc/self/fd/" in call.text] == ["linkat"] * 2
    sweep = Sweep(Aided)
    named = [number for number, call in enumerate(made) if call.name == "linkat" and "/proc/self" in call.text]
    near = [made[number] for one in named for number in range(one - 1, one + 4)]
    sweep.all([*kills(made, 80), *kills(near[::2]), *failures(near, 16)], after)


@RUNS
def test_a_way_back_or_an_undo_that_is_killed_ends_before_or_after(deed: type):
    """13, 15, 16: a run that turned back, `recover --back`, an undo."""
    made, after = learned(deed)
    Sweep(deed).all(kills(made, 30, 7), after)


@RUNS
def test_a_way_back_or_an_undo_at_which_a_call_fails_ends_before_or_after(deed: type):
    """8, 11, 12, 13: each error at a few calls."""
    made, after = learned(deed)
    Sweep(deed).all(failures(made, 100, 11), after)


def test_a_recovery_that_is_killed_is_recovered():
    """2, 6: kills of an apply, one amid a write to its journal, and kills of the recovery from each."""
    made, _ = learned(Applying)
    recoveries([*kills(made[140:], 50)[:2], torn(made)[4]], 40, Sweep(Recovering))


@pytest.mark.parametrize(("deed", "stride"), [(Pruning, 8), (Queueing, 60), (Sandboxing, 70)])
def test_another_chore_that_is_killed_is_finished_or_as_before(deed: type, stride: int):
    """1, 16: what is pruned, what comes from the queue, what a sandbox is asked for."""
    needs_sandbox(deed)
    made, after = learned(deed)
    Sweep(deed).all(kills(made, stride, 5), after)


@pytest.mark.parametrize(("deed", "stride"), [(Pruning, 30), (Queueing, 240)])
def test_another_chore_at_which_a_call_fails_is_finished_or_as_before(deed: type, stride: int):
    """8, 10, 11, 12: each error at a few calls."""
    made, after = learned(deed)
    Sweep(deed).all(failures(made, stride, 5), after)


def unsynced(deed: type, error: str) -> list[Fault]:
    """A failed sync of what is committed to the database, at each of the first three."""
    made = [call for call in learned(deed)[0] if call.name == "fdatasync" and "treegate.db-wal" in call.text]
    return [Fault(call, error) for call in made[:3]]


@pytest.mark.parametrize(("deed", "error"), [(Submitting, "EIO"), (Queueing, "EROFS")])
def test_what_a_failed_sync_left_in_the_log_is_not_there_after_a_crash(deed: type, error: str):
    """8, 12: SQLite leaves a commit whole there; who was told of an error finds no plan, and a drop makes one."""
    Sweep(deed).all(unsynced(deed, error), learned(deed)[1])


# -- all of them


def swept(tally: Any, deed: Any, faults: list[Fault], how: str) -> None:
    """Tries all, and tells of it."""
    sweep = Sweep(deed)
    sweep.all(faults, learned(deed)[1])
    tally(f"{how} {deed.method}", filesystem(), sweep.outcomes)


EVERY = (Applying, Aided, *OTHER_RUNS, Pruning, Submitting)
SOME = ((Pruning, 2), (Submitting, 2), (Queueing, 24), (Sandboxing, 48))
ALL_KILLS = [*((deed, 1) for deed in EVERY), (Queueing, 3), (Sandboxing, 6)]
ALL_ERRORS = [*((deed, 8) for deed in (Aided, *OTHER_RUNS)), *SOME]


@pytest.mark.faults
@pytest.mark.parametrize(("deed", "stride"), ALL_KILLS)
def test_killed_at_every_call(deed: type, stride: int, tally: Any):
    """1, 6, 13, 15, 16: every call of a run, every third of the queue's, every sixth of a sandbox's."""
    needs_sandbox(deed)
    swept(tally, deed, kills(learned(deed)[0], stride), "killed at a system call of")


@pytest.mark.faults
@pytest.mark.parametrize("error", ERRORS)
def test_every_call_of_an_apply_fails(error: str, tally: Any):
    """8, 9, 10, 11, 12: each error at every call."""
    swept(tally, Applying, [Fault(call, error) for call in learned(Applying)[0]], f"{error} from a system call of")


@pytest.mark.faults
@pytest.mark.parametrize(("deed", "stride"), ALL_ERRORS)
def test_calls_of_the_rest_fail(deed: type, stride: int, tally: Any):
    """8, 10, 11, 12, 13: each error, at different calls."""
    needs_sandbox(deed)
    swept(tally, deed, failures(learned(deed)[0], stride), "an error from a system call of")


@pytest.mark.faults
@pytest.mark.parametrize("half", [False, True], ids=["whole frames", "half a frame"])
def test_a_recovery_killed_at_its_calls(half: bool, tally: Any):
    """2, 6: every sixteenth kill of an apply, or each that leaves half a frame; every twelfth of its recovery."""
    made, _ = learned(Applying)
    sweep = Sweep(Recovering)
    recoveries(torn(made) if half else [Fault(call) for call in made[::16]], 12, sweep)
    tally(f"killed at a system call of {Recovering.method}", filesystem(), sweep.outcomes)
