"""Kill, or fail, a run at every one of its system calls, then recover it: the fork-and-kill method.

As a script it prints how many points were tried and how they ended:

    python tests/faults/crash_sweep.py [--stride N]
"""

from __future__ import annotations

import argparse
import errno
import os
import pickle
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from planned import every_operation
from tables import Site
from tests import stand_in

from treegate.engine import apply, posix, recover
from treegate.errors import TreegateError

KILLED = 137
RENAMES = ("rename", "exchange", "rename_checked")
ERRORS = (errno.EIO, errno.ENOSPC, errno.EINTR, errno.EROFS)


@dataclass(frozen=True)
class Fault:
    """What goes wrong in one process: killed before its call number `kill`; call number `fail` gives `error`.

    `late`: the call has done its work by then. `renames` counts only renames and exchanges for `fail`. `anew`: the
    filesystem was mounted again since.
    """

    kill: int = 0
    fail: int = 0
    error: int = errno.EIO
    late: bool = False
    renames: bool = False
    anew: bool = False
    half: bool = False  # killed in the middle of a write, if the call is one


class _Faulty:
    """Counts the calls of posix.MUTATING and does what a Fault says."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.calls = 0
        self.renames = 0
        self.names: list[str] = []

    def install(self) -> None:
        stand_in.in_python()  # the calls of the native part are not made by name
        for name in posix.MUTATING:
            setattr(posix, name, self._wrapped(name, getattr(posix, name)))
        if self.fault.anew:
            posix.boot_id = lambda: "another boot"

    def _wrapped(self, name: str, call: Callable) -> Callable:
        def faulty(*args):
            self.calls += 1
            self.renames += name in RENAMES
            self.names.append(name)
            fault = self.fault
            if self.calls == fault.kill:
                if fault.half and name == "write":
                    os.write(args[0], bytes(args[1])[: len(args[1]) // 2])
                os._exit(KILLED)
            fails = self.calls == fault.fail
            if fault.renames:
                fails = self.renames == fault.fail and name in RENAMES
            if fails and fault.late:
                call(*args)
            if fails:
                raise OSError(fault.error, os.strerror(fault.error))
            return call(*args)

        return faulty


@dataclass
class Ended:
    """How a process ended: "killed", an outcome, or the code of an error."""

    how: str
    calls: int = 0
    names: tuple[str, ...] = ()
    text: str = ""


def in_child(work: Callable[[], str], fault: Fault) -> Ended:
    """Run `work` in a child process with a fault in it."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            ended = _ended(work, fault)
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(ended, pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Ended("killed") if status == KILLED else pickle.loads(data)


def _ended(work: Callable[[], str], fault: Fault) -> Ended:
    faulty = _Faulty(fault)
    faulty.install()
    ended = Ended("")
    try:
        ended.how = work()
    except TreegateError as error:
        ended.how, ended.text = error.code, str(error)
    except BaseException as error:
        ended.how, ended.text = f"crashed: {error!r}", repr(error)
    ended.calls, ended.names = faulty.calls, tuple(faulty.names)
    return ended


def applying(site: Site, fault: Fault = Fault()) -> Ended:
    return in_child(lambda: apply.run(site.context()).outcome, fault)


def recovering(site: Site, fault: Fault = Fault(), back: bool | None = None) -> Ended:
    return in_child(lambda: recover.recover(site.context(), back).outcome, fault)


class Sweep:
    """One table, built afresh for every point, and what must hold afterwards."""

    def __init__(self, build: Callable[[Path], Site] = every_operation) -> None:
        self.build = build
        self.outcomes: Counter[str] = Counter()

    def fresh(self) -> Iterator[Site]:
        shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        folder = Path(tempfile.mkdtemp(prefix="treegate-", dir=shared))
        try:
            yield self.build(folder)
        finally:
            shutil.rmtree(folder)

    def point(self, first: Fault, *more: Fault, back: bool | None = None) -> str:
        """Apply with the first fault, recover with each of the others, then without any; how it all ended."""
        for site in self.fresh():
            before, contents = site.picture(), site.contents()
            ended = applying(site, first)
            for fault in more:
                if ended.how in ("applied", "rolled-back", "nothing-happened"):
                    break
                ended = recovering(site, fault, back)
            how = self._finished(site, ended, before, contents, (first, *more), back)
        self.outcomes[how] += 1
        return how

    def _finished(self, site: Site, ended: Ended, before: dict, contents: set, faults: tuple, back) -> str:
        assert not ended.how.startswith("crashed"), (ended.text, faults)
        told = ended.how
        if told == "sync-failed":
            refused = recovering(site, back=back)
            # (a sync that failed before the journal began, or after it ended, leaves nothing to be doubted)
            assert refused.how in ("remount-needed", "nothing-happened"), (refused, faults)
        last = recovering(site, Fault(anew=True), back)
        assert last.how in ("applied", "rolled-back", "nothing-happened"), (last, ended, faults)
        self._check(site, last.how, before, contents, faults)
        if told in ("applied", "rolled-back", "nothing-happened"):
            assert last.how == told, (last, ended, faults)
        if told in ("stale", "disk-full", "no-permission"):
            assert last.how == "rolled-back", (last, ended, faults)
        again = recovering(site, Fault(anew=True), back)
        assert again.how == last.how, (again, last, faults)
        return f"{told} -> {last.how}"

    def _check(self, site: Site, how: str, before: dict, contents: set, faults: tuple) -> None:
        picture = site.picture()
        wanted = self.after if how == "applied" else before
        assert site.timeless(picture) == site.timeless(wanted), (how, faults, _difference(wanted, picture))
        assert picture.keys() == wanted.keys()
        assert contents <= site.contents(), ("bytes were lost", faults)
        assert not site.leftovers(), (site.leftovers(), how, faults)

    def learn(self) -> Ended:
        """One run without a fault: the tree after it, and its calls."""
        for site in self.fresh():
            ended = applying(site)
            assert ended.how == "applied", ended
            self.after = site.picture()
        return ended

    def calls_of_recovery(self, first: Fault, back: bool | None = None) -> int:
        """How many calls a recovery after this fault takes."""
        for site in self.fresh():
            applying(site, first)
            calls = recovering(site, Fault(), back).calls
        return calls


def _difference(wanted: dict, found: dict) -> list:
    return [(path, wanted.get(path), found.get(path)) for path in sorted({*wanted, *found})
            if wanted.get(path) != found.get(path)]  # fmt: skip


def kills(
    sweep: Sweep, names: tuple[str, ...], stride: int = 1, base: Fault = Fault(), back: bool | None = None
) -> int:
    """Kill before every call, and in the middle of every write."""
    tried = 0
    for kill in range(1, len(names) + 1, stride):
        for half in {False, names[kill - 1] == "write"}:
            sweep.point(Fault(kill=kill, half=half, fail=base.fail, renames=base.renames), back=back)
            tried += 1
    return tried


def kills_of_recovery(
    sweep: Sweep, kills: range, stride: int, base: Fault = Fault(), back: bool | None = None
) -> int:
    """Kill the run before each of these calls, then its recovery before every call of its own."""
    tried = 0
    for number, kill in enumerate(kills):
        first = Fault(kill=kill, fail=base.fail, renames=base.renames)
        own = sweep.calls_of_recovery(first, back)
        for second in range(1 + number % stride, own + 1, stride):
            sweep.point(first, Fault(kill=second), back=back)
            tried += 1
    return tried


def failures(sweep: Sweep, calls: int, stride: int = 1) -> int:
    """Each error at every call, in place of the call's work and after it."""
    tried = 0
    for number, error in enumerate(ERRORS):
        for fail in range(1 + number % stride, calls + 1, stride):
            for late in (False, True):
                sweep.point(Fault(fail=fail, error=error, late=late))
                tried += 1
    return tried


def failures_of_recovery(sweep: Sweep, calls: int, stride: int, back: bool | None = None) -> int:
    """A run killed, and each error at every call of its recovery."""
    tried = 0
    for number, kill in enumerate(range(1, calls + 1, stride)):
        own = sweep.calls_of_recovery(Fault(kill=kill), back)
        for fail in range(1 + number % stride, own + 1, stride):
            for error in ERRORS:
                sweep.point(Fault(kill=kill), Fault(fail=fail, error=error, late=bool(number % 2)), back=back)
                tried += 1
    return tried


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stride", type=int, default=1, help="of second-order points, try every N-th")
    stride = parser.parse_args().stride
    sweep = Sweep()
    names = sweep.learn().names
    calls = len(names)
    error = Fault(fail=20, renames=True)
    for site in sweep.fresh():
        names_back = applying(site, error).names
    rollback = len(names_back)
    print(f"{calls} calls in an apply, {rollback} in one that fails at its 20th rename and goes back")
    for name, work in {
        "killed while applying": lambda: kills(sweep, names),
        "killed while rolling back": lambda: kills(sweep, names_back, base=error),
        "killed while applying, recovered back": lambda: kills(sweep, names, back=True),
        "an error at a call": lambda: failures(sweep, calls),
        "killed, recovery killed": lambda: kills_of_recovery(sweep, range(1, calls + 1), stride),
        "killed, recovery back killed": lambda: kills_of_recovery(sweep, range(1, calls + 1), stride, back=True),
        "rollback killed, recovery killed": lambda: kills_of_recovery(
            sweep, range(1, rollback + 1), stride, base=error
        ),
        "killed, an error in recovery": lambda: failures_of_recovery(sweep, calls, max(stride, 3)),
    }.items():
        sweep.outcomes.clear()
        print(f"{name}: {work()} points", flush=True)
        for outcome, count in sweep.outcomes.most_common():
            print(f"    {count:6} {outcome}")


if __name__ == "__main__":
    main()
