"""What the recovery of a run costs that was killed halfway, beside the half that it had left to do.

    python bench/recovery.py [--cases 100] [--files 1000] [--rounds 3] [--at DIR]

A process applies a plan and is killed (SIGKILL) once half of the files have arrived; a recovery then brings the run
to its end. Beside it, taking turns, the same plan without a kill: what was left is its time less that which the
killed process had had.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import statistics
import time
from multiprocessing.connection import Connection
from pathlib import Path

import office
from treegate.gate import Gate


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cases", type=int, default=100)
    options.add_argument("--files", type=int, default=1000, help="files in each case")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--at", default=".", help="a folder on the filesystem to measure")
    given = options.parse_args()
    ratios = []
    with office.scratch(given.at) as root:
        for name in ("whole", "killed"):
            office.build(root / name / "projects", given.cases, given.files)
        for number in range(given.rounds):
            whole = applied(root / "whole", given, back=bool(number % 2))
            had, seconds = recovered(root / "killed", given, back=bool(number % 2))
            ratios.append(seconds / (whole - had))
            print(f"round {number + 1}: whole run {whole:.2f} s; killed after {had:.2f} s, "
                  f"recovered in {seconds:.2f} s, {ratios[-1]:.2f}x of what was left", flush=True)  # fmt: skip
    print(f"median: recovery takes {statistics.median(ratios):.2f}x of what was left")


def opened(workspace: Path) -> Gate:
    environ = {"TREEGATE_STATE": str(workspace.parent / f"state-{workspace.name}")}
    return Gate.open(workspace, environ=environ) if (workspace / ".treegate").exists() else Gate.init(
        workspace, solo=True, environ=environ
    )  # fmt: skip


def approved(workspace: Path, given: argparse.Namespace, back: bool) -> str:
    with opened(workspace) as gate:
        done = gate.submit(office.moves(given.cases, given.files, back=back))
        gate.approve(done.id, done.digest)
        return done.id


def applied(workspace: Path, given: argparse.Namespace, back: bool) -> float:
    """Seconds of a whole run, from the call to the answer."""
    id = approved(workspace, given, back)
    with opened(workspace) as gate:
        start = time.perf_counter()
        gate.apply(id)
        return time.perf_counter() - start


def recovered(workspace: Path, given: argparse.Namespace, back: bool) -> tuple[float, float]:
    """The seconds that a run had before it was killed, and those of its recovery."""
    id = approved(workspace, given, back)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=apply, args=(workspace, id, there))
    child.start()
    begun = here.recv()
    target = workspace / "projects" / f"case-{given.cases // 2:03}" / ("Scans" if back else "Sorted")
    while not os.listdir(target):
        time.sleep(0.001)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    had = time.monotonic() - begun
    child.join()
    with opened(workspace) as gate:
        start = time.monotonic()
        gate.recover()
        return had, time.monotonic() - start


def apply(workspace: Path, id: str, begun: Connection) -> None:
    with opened(workspace) as gate:
        begun.send(time.monotonic())
        gate.apply(id)


if __name__ == "__main__":
    main()
