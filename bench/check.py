"""What `treegate check` of a 10-operation plan costs on a case of 100 files and on one of 100,000, and as a command.

    python bench/check.py SCRATCH

The two are measured in turns, in one process, and so is a plan whose deletions make policy ask for the totals of the
case; then each as a whole command, start of Python and all. What is made in SCRATCH is removed again.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from treegate.gate import Gate

SIZES = (100, 100_000)
ROUNDS = 31


def grow(case: Path, files: int) -> None:
    """Files in folders of a hundred, ten folders deep at most."""
    for number in range(files):
        folder = case / f"Box{number // 100 % 100:02}" / f"Folder{number // 10_000:02}"
        if number % 100 == 0:
            folder.mkdir(parents=True, exist_ok=True)
        (folder / f"scan{number:06}.pdf").touch()


def plan(case: str, deletes: int) -> str:
    """Ten operations: moves, and some deletions."""
    operations = [{"op": "delete", "path": f"Box00/Folder00/scan{n:06}.pdf"} for n in range(deletes)]
    operations += [
        {"op": "move", "from": f"Box00/Folder00/scan{n:06}.pdf", "to": f"Out/{n}.pdf"} for n in range(deletes, 10)
    ]
    return json.dumps({"version": 1, "case": case, "operations": operations})


def main() -> None:
    """Builds, measures in turns, prints medians and their ratios."""
    home = Path(sys.argv[1]) / "bench-check"
    office, state = home / "office", home / "state"
    environ = {**os.environ, "TREEGATE_STATE": str(state)}
    try:
        for size in SIZES:
            grow(office / "projects" / f"Case{size}", size)
        with Gate.init(office, solo=True, environ=environ) as gate:
            for deletes in (0, 10):
                told(gate, deletes)
        for size in SIZES:
            command(office, environ, f"Case{size}", home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def told(gate: Gate, deletes: int) -> None:
    """Medians of `check`, in turns."""
    spent: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(ROUNDS):
        for size in SIZES:
            document = plan(f"Case{size}", deletes)
            start = time.perf_counter()
            gate.check(document)
            spent[size].append(time.perf_counter() - start)
    small, large = (statistics.median(spent[size]) * 1000 for size in SIZES)
    what = f"{deletes} deletions (totals are asked for)" if deletes else "moves only"
    print(f"check, {what}: {small:.2f} ms of {SIZES[0]} files, {large:.2f} ms of {SIZES[1]:,}: {large / small:.2f}x")


def command(office: Path, environ: dict[str, str], case: str, home: Path) -> None:
    """The median of the whole command."""
    document = home / f"{case}.json"
    document.write_text(plan(case, 0))
    argv = [str(Path(sys.executable).parent / "treegate"), "check", str(document), "--workspace", str(office)]
    spent = []
    for _ in range(7):
        start = time.perf_counter()
        subprocess.run(argv, env=environ, check=True, stdout=subprocess.DEVNULL)
        spent.append(time.perf_counter() - start)
    print(f"treegate check on {case}: {statistics.median(spent):.2f} s")


if __name__ == "__main__":
    main()
