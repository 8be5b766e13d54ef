"""What one plan costs from its document to its receipt, and whether that grows as the plan does.

    python bench/whole.py [--at DIR] [--counts 10000 100000 1000000] [--scattered]

Each count has a new workspace of 100 cases and a process of its own, which prints microseconds an operation of the
clock and of the processor for each part, and its peak resident memory. With `--scattered` each operation is in
another case than the one before, which is measured beside the sorted one.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import office

CASES = 100
T = TypeVar("T")


def document(files: int, scattered: bool) -> bytes:
    """A plan that moves every file, case by case, or each from another case; made without a million dictionaries."""
    cases, numbers = range(CASES), range(files)
    pairs = ((c, n) for n in numbers for c in cases) if scattered else ((c, n) for c in cases for n in numbers)
    lines = (
        b'{"op":"move","from":"case-%03d/Scans/scan%06d.pdf","to":"case-%03d/Sorted/scan%06d.pdf"}' % (c, n, c, n)
        for c, n in pairs
    )
    return b'{"version":1,"title":"Sort everything","operations":[' + b",".join(lines) + b"]}"


def timed(what: str, count: int, work: Callable[[], T]) -> T:
    """Does one part and prints what it took."""
    clock, processor = time.perf_counter(), time.process_time()
    result = work()
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {what:<8} {clock / count * 1e6:6.1f} us each, {processor / count * 1e6:6.1f} of the processor; "
          f"{peak:,.0f} MB at most so far", flush=True)  # fmt: skip
    return result


def measure(workspace: Path, count: int, scattered: bool) -> None:
    """One plan on an existing tree."""
    from treegate.gate import Gate

    many = str(max(count, 100_000))
    environ = {"TREEGATE_STATE": str(workspace.parent / "state"), "TREEGATE_POLICY_LIMITS_OPERATIONS": many,
               "TREEGATE_POLICY_LIMITS_FILES": many}  # fmt: skip
    with Gate.init(workspace, solo=True, environ=environ) as gate:
        text = document(count // CASES, scattered)
        submitted = timed("submit", count, lambda: gate.submit(text))
        timed("approve", count, lambda: gate.approve(submitted.id, submitted.digest))
        applied = timed("apply", count, lambda: gate.apply(submitted.id))
        print(f"  of which {applied.seconds / count * 1e6:.1f} us each to the durable end")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--counts", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    options.add_argument("--at", default=".", help="a folder on the filesystem to measure")
    options.add_argument("--scattered", action="store_true", help="beside it, each operation in another case")
    options.add_argument("--inside", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.inside:
        measure(Path(given.inside), given.counts[0], given.scattered)
        return
    for count in given.counts:
        for scattered in (False, True) if given.scattered else (False,):
            with office.scratch(given.at) as root:
                office.build(root / "ws" / "projects", CASES, count // CASES)
                print(f"{count:,} moves{', scattered' if scattered else ''}", flush=True)
                order = ["--scattered"] * scattered
                command = [sys.executable, __file__, "--inside", str(root / "ws"), "--counts", str(count), *order]
                subprocess.run(command, check=True, env=os.environ)


if __name__ == "__main__":
    main()
