"""`make bench`: treegate against a bare loop of renames, interleaved in one process; prints ratios.

    python bench/run.py [--cases 100] [--files 1000] [--rounds 5] [--at DIR] [--on xfs]

Of a treegate run, all checks on, three times are taken: from its lock to its durable end; to its receipt, when that
is signed, rollback.sh has its data and the store knows of the end; and all of `apply`, which then has written the
reports for people, too. The clock of the bare loop goes from its first rename to the end of one syncfs. Say
`PYTHONPATH=build/native` for the native part (`make test-native`).
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import disks
import office
from treegate.engine import native
from treegate.gate import Gate


def main() -> None:
    options = disks.options("treegate against a bare loop of renames", cases=100, rounds=5)
    print(f"native part: {'yes' if native.rename_each else 'no'}; filesystem: {options.on or options.at}")
    with disks.room(options) as root:
        measure(root, options.cases, options.files, options.rounds)


def measure(root: Path, cases: int, files: int, rounds: int) -> None:
    total = cases * files
    bare, ws = root / "bare", root / "ws" / "projects"
    office.build(bare, cases, files)
    office.build(ws, cases, files)
    environ = {"TREEGATE_STATE": str(root / "state"), "TREEGATE_POLICY_LIMITS_OPERATIONS": str(max(total, 100_000)),
               "TREEGATE_POLICY_LIMITS_FILES": str(max(total, 100_000))}  # fmt: skip
    gate = Gate.init(root / "ws", solo=True, environ=environ)
    applies: list[Run] = []
    undos: list[Run] = []
    bares: list[float] = []
    previews: list[float] = []
    for number in range(rounds):
        bares.append(timed(lambda: office.bare_loop(bare, cases)))
        done, preview = run(gate, office.moves(cases, files))
        applies.append(done)
        previews.append(preview)
        bares.append(timed(lambda: office.bare_loop(bare, cases, back=True)))
        undos.append(undo(gate))
        print(f"round {number + 1}: bare {bares[-2]:.2f} s, apply {applies[-1]}, "
              f"bare {bares[-1]:.2f} s, undo {undos[-1]}, "
              f"preview {previews[-1] / total * 1e6:.1f} us an operation", flush=True)  # fmt: skip
    gate.close()
    report(total, bares, applies, undos, previews)


def timed(work: object) -> float:
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - start


class Run(NamedTuple):
    """Seconds from the lock to the durable end, of the call without its reports, and of the whole call."""

    end: float
    receipt: float
    all: float

    def __str__(self) -> str:
        return f"{self.end:.2f} s (to its receipt {self.receipt:.2f}, in all {self.all:.2f})"


def applied(gate: Gate, id: str) -> Run:
    with reports_timed(gate) as reports:
        start = time.perf_counter()
        done = gate.apply(id)
        whole = time.perf_counter() - start
    return Run(done.seconds, whole - sum(reports), whole)


@contextmanager
def reports_timed(gate: Gate) -> Iterator[list[float]]:
    """The seconds of each time at which reports are written: after a transaction, and never part of what it says."""
    taken: list[float] = []
    told = gate.core.store.told
    gate.core.store.told = lambda touched: taken.append(timed(lambda: told(touched)))
    try:
        yield taken
    finally:
        gate.core.store.told = told


def run(gate: Gate, document: bytes) -> tuple[Run, float]:
    start = time.perf_counter()
    done = gate.submit(document)
    preview = time.perf_counter() - start
    assert done.state == "pending", done.problems[:3]
    gate.approve(done.id, done.digest)
    return applied(gate, done.id), preview


def undo(gate: Gate) -> Run:
    done = gate.undo().submitted
    gate.approve(done.id, done.digest)
    return applied(gate, done.id)


def report(total: int, bares: list[float], applies: list[Run], undos: list[Run], previews: list[float]) -> None:
    base = statistics.median(bares)
    print(f"\n{total:,} moves, medians of {len(applies)} rounds; ratios are to the bare loop just before")
    print(f"  bare loop  {base:8.3f} s   {base / total * 1e6:6.1f} us a move   1.00x")
    there, back = bares[::2], bares[1::2]
    for word, seconds, before in (
        ("apply", [one.end for one in applies], there),
        ("  receipt", [one.receipt for one in applies], there),
        ("  in all", [one.all for one in applies], there),
        ("undo", [one.end for one in undos], back),
        ("  receipt", [one.receipt for one in undos], back),
        ("  in all", [one.all for one in undos], back),
    ):
        middle = statistics.median(seconds)
        ratio = statistics.median(one / bare for one, bare in zip(seconds, before, strict=True))
        print(f"  {word:<10} {middle:8.3f} s   {middle / total * 1e6:6.1f} us a move   {ratio:.2f}x")
    middle = statistics.median(previews)
    print(f"  submit     {middle:8.3f} s   {middle / total * 1e6:6.1f} us an operation (decoded, previewed, stored)")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak resident memory {peak:.0f} MB", file=sys.stdout)


if __name__ == "__main__":
    main()
