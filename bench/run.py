"""`make bench`: treegate against a bare loop of renames, interleaved in one process; prints ratios.

    python bench/run.py [--cases 100] [--files 1000] [--rounds 5] [--at DIR]

The clock of a treegate run goes from its lock to its durable end, all checks on;
that of the bare loop from its first rename to the end of one syncfs.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import office
from treegate.gate import Gate


def main() -> None:
    options = parser().parse_args()
    root = Path(tempfile.mkdtemp(prefix="bench-", dir=options.at))
    try:
        measure(root, options.cases, options.files, options.rounds)
    finally:
        shutil.rmtree(root)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="treegate against a bare loop of renames")
    made.add_argument("--cases", type=int, default=100)
    made.add_argument("--files", type=int, default=1000, help="files in each case")
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--at", default=".", help="a folder on the filesystem to measure")
    return made


def measure(root: Path, cases: int, files: int, rounds: int) -> None:
    total = cases * files
    bare, ws = root / "bare", root / "ws" / "projects"
    office.build(bare, cases, files)
    office.build(ws, cases, files)
    environ = {"TREEGATE_STATE": str(root / "state"), "TREEGATE_POLICY_LIMITS_OPERATIONS": str(max(total, 100_000)),
               "TREEGATE_POLICY_LIMITS_FILES": str(max(total, 100_000))}  # fmt: skip
    gate = Gate.init(root / "ws", solo=True, environ=environ)
    applies, undos, bares, previews = [], [], [], []
    for number in range(rounds):
        bares.append(timed(lambda: office.bare_loop(bare, cases)))
        seconds, preview = run(gate, office.moves(cases, files))
        applies.append(seconds)
        previews.append(preview)
        bares.append(timed(lambda: office.bare_loop(bare, cases, back=True)))
        undos.append(undo(gate))
        print(f"round {number + 1}: bare {bares[-2]:.2f} s, apply {applies[-1]:.2f} s, "
              f"bare {bares[-1]:.2f} s, undo {undos[-1]:.2f} s, "
              f"preview {previews[-1] / total * 1e6:.1f} us an operation", flush=True)  # fmt: skip
    report(total, bares, applies, undos, previews)


def timed(work: object) -> float:
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - start


def run(gate: Gate, document: bytes) -> tuple[float, float]:
    start = time.perf_counter()
    done = gate.submit(document)
    preview = time.perf_counter() - start
    assert done.state == "pending", done.problems[:3]
    gate.approve(done.id, done.digest)
    return gate.apply(done.id).seconds, preview


def undo(gate: Gate) -> float:
    done = gate.undo().submitted
    gate.approve(done.id, done.digest)
    return gate.apply(done.id).seconds


def report(total: int, bares: list[float], applies: list[float], undos: list[float], previews: list[float]) -> None:
    base = statistics.median(bares)
    print(f"\n{total:,} moves, medians of {len(applies)} rounds; ratios are to the bare loop just before")
    print(f"  bare loop  {base:8.3f} s   {base / total * 1e6:6.1f} us a move   1.00x")
    for word, seconds, before in (("apply", applies, bares[::2]), ("undo", undos, bares[1::2])):
        middle = statistics.median(seconds)
        ratio = statistics.median(one / bare for one, bare in zip(seconds, before, strict=True))
        print(f"  {word:<10} {middle:8.3f} s   {middle / total * 1e6:6.1f} us a move   {ratio:.2f}x")
    middle = statistics.median(previews)
    print(f"  submit     {middle:8.3f} s   {middle / total * 1e6:6.1f} us an operation (decoded, previewed, stored)")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak resident memory {peak:.0f} MB", file=sys.stdout)


if __name__ == "__main__":
    main()
