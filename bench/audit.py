"""What the audit log costs to prove, and a file's life to find, among a million events.

    python bench/audit.py SCRATCH [EVENTS]     (default: 1000000)

Makes a workspace in SCRATCH whose log has that many rows, and whose runs have that many lines, 100 a run; a file that
was moved 50 times and carried 50 times by its folder is among them. Prints rows a second of `audit verify`, its peak
resident memory, and milliseconds of `log --path`, once the index is there. What is made there is removed again.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from treegate.engine import audit, receipts, schema, trails
from treegate.engine.store import Store
from treegate.gate import Gate
from treegate.model.effects import Effect
from treegate.model.lifecycle import State

LINES = 100  # of each run
EVERY = 50  # moves of the file that is looked for, and as many of its folder


def rows(first: audit.Anchor, count: int) -> Iterator[dict[str, Any]]:
    """Rows of a log as approvals leave them."""
    before = first
    for seq in range(first.seq + 1, first.seq + count + 1):
        data = f'{{"comment":"","digest":"{seq:064x}","role":"reviewer"}}'
        row = audit.AuditRow(
            seq, 1_800_000_000_000 + seq, "approve", "anna", "cli", f"pl_{seq:016}", None, data, before.hash, ""
        )
        row = msgspec.structs.replace(row, hash=audit.hash_of(row))
        before = audit.Anchor(seq, row.hash)
        yield msgspec.structs.asdict(row)


def fill(store: Store, state: Path, events: int) -> None:
    """The log, the runs, their lines, and the index of them."""
    runs = events // LINES
    with store.write() as transaction:
        transaction.insert_many(schema.audit, rows(audit.head(transaction), events))
        transaction.execute(schema.meta.delete().where(schema.meta.c.key == audit.HEAD))
        transaction.insert_many(schema.plans, (_plan(seq) for seq in range(1, runs + 1)))
        transaction.insert_many(schema.previews, (_preview(seq) for seq in range(1, runs + 1)))
        transaction.insert_many(schema.runs, (_run(seq) for seq in range(1, runs + 1)))
    step = max(1, runs // (2 * EVERY))
    start, entered = time.perf_counter(), 0.0
    with store.write() as transaction:
        for seq in range(1, runs + 1):
            effects = [_move(f"Big/In/{seq}-{n}", f"Big/Out/{seq}-{n}") for n in range(LINES - 1)]
            turn, rest = divmod(seq, step)
            if rest == 0:
                effects.append(_turn(turn))
            path = state / "receipts" / f"run_{seq:016}.lines"
            receipts.write_lines(path, receipts.lines(effects, {}, {}, {}))
            entered -= time.perf_counter()
            trails.note(transaction, store_run(seq), state / "receipts")
            entered += time.perf_counter()
    print(
        f"index: {entered / events * 1e6:.1f} us a line, {time.perf_counter() - start:.0f} s with the lines written"
    )


def _turn(turn: int) -> Effect:
    """The file's own moves, and its folder's, in turns."""
    if turn % 2:
        return _move(f"Big/Box{turn // 2}/a{turn // 2}", f"Big/Box{turn // 2}/a{turn // 2 + 1}")
    return _move(f"Big/Box{turn // 2 - 1}", f"Big/Box{turn // 2}", "dir")


def _move(source: str, to: str, kind: str = "file") -> Effect:
    return Effect(id="e1", effect="moved", path=to, kind=kind, source=source, files=1)


def store_run(seq: int) -> Any:
    """A run as far as the index looks at it."""
    return type("Run", (), {"seq": seq, "id": f"run_{seq:016}"})


def _plan(seq: int) -> dict[str, Any]:
    at = {"created_at": seq, "updated_at": seq}
    who = {"cases": ("Big",), "title": "Sort", "author": "bot", "state": State.APPLIED.value}
    return {"seq": seq, "id": f"pl_{seq:016}", "revision": 1, "preview": seq, "digest": f"{seq:064x}", **at, **who}


def _preview(seq: int) -> dict[str, Any]:
    named = {"seq": seq, "plan": f"pl_{seq:016}", "revision": 1, "digest": f"{seq:064x}", "table_digest": ""}
    return {**named, "effects": 0, "model": b"", "created_at": seq}


def _run(seq: int) -> dict[str, Any]:
    named = {"seq": seq, "id": f"run_{seq:016}", "plan": f"pl_{seq:016}", "revision": 1, "preview": seq}
    what = {"digest": f"{seq:064x}", "table_digest": "", "cases": ("Big",), "state": State.APPLIED.value}
    when = {"started_at": seq, "ended_at": seq, "receipt_digest": "x", "generation": seq}
    return {**named, **what, **when, "actor": "anna"}


def main() -> None:
    """Fills, verifies, looks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("events", type=int, nargs="?", default=1_000_000)
    given = parser.parse_args()
    home = given.scratch / "bench-audit"
    (home / "office" / "projects" / "Big").mkdir(parents=True)
    try:
        with Gate.init(
            home / "office", solo=True, environ={**os.environ, "TREEGATE_STATE": str(home / "state")}
        ) as gate:
            fill(gate.core.store, home / "state", given.events)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            for _ in range(3):
                start = time.process_time()
                found = gate.verify_audit()
                taken = time.process_time() - start
                print(
                    f"audit verify: {found.rows / taken:,.0f} rows a second of the processor; faults: {found.faults}"
                )
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(f"peak resident memory: {before} MB before, {after} MB after")
            for path in (f"Big/Box{EVERY}/a{EVERY}", "Big/Box0/a0", "Big/Out/500-5"):
                start = time.perf_counter()
                lives = gate.history(path)
                taken = (time.perf_counter() - start) * 1000
                print(f"log --path {path}: {taken:.1f} ms, {len(lives[0].chapters)} chapters")
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
