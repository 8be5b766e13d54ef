"""`audit verify` and `log --path` on a long log: rows a second, memory, milliseconds.

    python bench/audit.py [--events 1000000] [--moves 20] [--at DIR]

Makes a workspace in which one file was really moved `--moves` times, then fills its log up with events of other runs
(five a run), chained as treegate chains them, and its index with those runs' paths.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from treegate.engine import audit, touched
from treegate.gate import Gate

# The kernel's count for a child would begin with what its parent holds.
TOLD = """
import atexit, sys
atexit.register(lambda: sys.stderr.write(open("/proc/self/status").read()))
from treegate.interfaces.cli import main
main()
"""
EVENTS = ("submitted", "previewed", "approve", "run-began", "run-ended")


def main() -> None:
    options = parser().parse_args()
    root = Path(tempfile.mkdtemp(prefix="bench-audit-", dir=options.at))
    try:
        measure(root, options.events, options.moves)
    finally:
        shutil.rmtree(root)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="audit verify and log --path on a long log")
    made.add_argument("--events", type=int, default=1_000_000)
    made.add_argument("--moves", type=int, default=20, help="how often the one file was moved")
    made.add_argument("--at", default=".", help="a folder to work in")
    return made


def measure(root: Path, events: int, moves: int) -> None:
    environ = {"TREEGATE_STATE": str(root / "state")}
    last = work(root / "ws", environ, moves)
    runs = fill(root / "state/treegate.db", events)
    print(f"{events:,} events, {runs:,} runs; one file moved {moves} times")
    with Gate.open(root / "ws", environ) as gate:
        ask(gate, last, moves)
        verify(gate)
    commands(root / "ws", environ, last)


def work(root: Path, environ: dict[str, str], moves: int) -> str:
    """Really moves one file, again and again; where it is in the end."""
    (root / "projects/case").mkdir(parents=True)
    (root / "projects/case/file-0").write_text("x")
    with Gate.init(root, solo=True, environ=environ) as gate:
        for number in range(moves):
            operation = {"op": "move", "from": f"file-{number}", "to": f"file-{number + 1}"}
            done = gate.submit(json.dumps({"version": 1, "case": "case", "operations": [operation]}))
            gate.approve(done.id, done.digest)
            gate.apply(done.id)
    return f"case/file-{moves}"


def fill(path: Path, events: int) -> int:
    """Fills the log up to so many events; how many runs there are then."""
    with closing(sqlite3.connect(path)) as database, database:
        have = database.execute("SELECT count(*) FROM audit").fetchone()[0]
        first = database.execute("SELECT max(seq) FROM runs").fetchone()[0] + 1
        runs = range(first, first + (events - have) // len(EVENTS) + 1)
        rows = chained(database, have, events, first)
        database.executemany("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        columns = [row[1] for row in database.execute("PRAGMA table_info(runs)")]
        sample = database.execute("SELECT * FROM runs WHERE seq = 1").fetchone()
        marks = ", ".join("?" * len(columns))
        database.executemany(f"INSERT INTO runs VALUES ({marks})", (made_run(columns, sample, run) for run in runs))
        paths = ((touched.key_of(f"case/{way}-{run}"), run, 0) for run in runs for way in ("from", "to"))
        database.executemany("INSERT INTO touched VALUES (?, ?, ?)", sorted(paths))
        database.executemany("INSERT INTO touched_runs VALUES (?)", ((run,) for run in runs))
        return database.execute("SELECT count(*) FROM runs").fetchone()[0]


def chained(database: sqlite3.Connection, have: int, events: int, run: int) -> Iterator[tuple[object, ...]]:
    prev, at = database.execute("SELECT hash, at FROM audit WHERE seq = ?", (have,)).fetchone()
    for seq in range(have + 1, events + 1):
        number, which = divmod(seq - have - 1, len(EVENTS))
        data = f'{{"digest":"{prev}","revision":1}}'
        plan, of = f"pl_{run + number:016}", f"run_{run + number:016}" if which > 2 else None
        row = audit.AuditRow(seq, at + seq, EVENTS[which], "root", "cli", plan, of, data, prev, "")
        prev = audit.digest_of(row)
        yield seq, at + seq, EVENTS[which], "root", "cli", plan, of, data, row.prev, prev


def made_run(columns: list[str], sample: tuple[object, ...], run: int) -> tuple[object, ...]:
    own = {"seq": run, "id": f"run_{run:016}", "preview": run, "generation": run}
    return tuple(own.get(name, value) for name, value in zip(columns, sample, strict=True))


def ask(gate: Gate, path: str, moves: int) -> None:
    times = []
    for _ in range(11):
        start = time.perf_counter()
        (life,) = gate.history(path)
        times.append((time.perf_counter() - start) * 1000)
        assert len(life.happened) == moves
    print(f"  log --path     {statistics.median(times):8.1f} ms, the first time {times[0]:.1f} ms")


def verify(gate: Gate) -> None:
    start, used = time.perf_counter(), time.process_time()
    found = gate.verify_audit()
    seconds, used = time.perf_counter() - start, time.process_time() - used
    assert found.verified, found.findings
    rate, of_core = found.events / seconds, found.events / used
    print(f"  audit verify   {rate:8,.0f} rows a second, {of_core:,.0f} a second of one core")


def commands(root: Path, environ: dict[str, str], path: str) -> None:
    """Whole commands, with the start of Python and the opening of the workspace."""
    for words in (["list", "--limit", "1"], ["log", "--path", path], ["audit", "verify"]):
        runs = [run(words, root, environ) for _ in range(3)]
        seconds, peak = min(seconds for seconds, _ in runs), max(peak for _, peak in runs)
        print(f"  treegate {' '.join(words):<28} {seconds * 1000:8,.0f} ms, {peak:.0f} MB at most")


def run(words: list[str], root: Path, environ: dict[str, str]) -> tuple[float, float]:
    """Seconds and peak resident memory (MB) of one command."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", TOLD, *words, "--workspace", str(root)],
        env={**os.environ, **environ},
        check=True,
        text=True,
        capture_output=True,
    )
    peak = next(line for line in done.stderr.splitlines() if line.startswith("VmHWM"))
    return time.perf_counter() - start, int(peak.split()[1]) / 1024


if __name__ == "__main__":
    main()
