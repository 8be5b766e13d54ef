"""`make bench`: a real service under readers, while it carries out a run, and without; prints percentiles.

    python bench/serve.py [--cases 100] [--files 1000] [--rounds 3] [--readers 50] [--at DIR]

The service, its workers and the readers share the machine. A reader is one connection that is kept alive: without a
pause it asks again as soon as it is answered; paced, it asks at set times, and an answer's time counts from when it
was to be asked for, so that a stall is not told better than it was.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

import office
from readers import percentiles
from treegate.gate import Gate
from treegate.model.actors import Role

PACE = 8.0  # questions a second of a paced reader
PERCENTILES = {"p50": "50", "p95": "95", "p99": "99", "longest": "100"}
WORDS = [f"{a} {b}" for a in ("scans", "case-0", "sorted") for b in ("00", "SCAN00", "99", "7.pdf", "zzz")]


def main() -> None:
    options = parser().parse_args()
    with office.scratch(options.at) as root:
        measure(root, options)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="a service under load")
    made.add_argument("--cases", type=int, default=100)
    made.add_argument("--files", type=int, default=1000, help="files in each case")
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--readers", type=int, default=50)
    made.add_argument("--idle", type=float, default=5.0, help="seconds of reading without a run")
    made.add_argument("--at", default=".", help="a folder on the filesystem to measure")
    return made


def measure(root: Path, options: argparse.Namespace) -> None:
    workspace, most = root / "ws", str(max(options.cases * options.files, 100_000))
    office.build(workspace / "projects", options.cases, options.files)
    environ = {"TREEGATE_STATE": str(root / "state"), "TREEGATE_POLICY_LIMITS_OPERATIONS": most,
               "TREEGATE_POLICY_LIMITS_FILES": most,
               "TREEGATE_SERVICE_READS_PER_MINUTE": "1000000000"}  # fmt: skip
    document = office.moves(options.cases, options.files)
    with Gate.init(workspace, solo=True, environ=environ) as gate, serving(workspace, environ) as address:
        headers = {"Authorization": f"Bearer {gate.create_token('rita', Role.REVIEWER)[1]}"}
        with httpx2.Client(base_url=address, headers=headers, timeout=600) as client:
            seen = submitting(gate, client, document, options.rounds)
            filtering(client, seen["id"], options.cases)
            reading = Readers(address, headers, seen["id"], options)
            for pace in (0.0, PACE):
                reading.during(f"{told(pace)}, nothing else under way", pace, lambda: time.sleep(options.idle))
            for pace in (0.0, PACE):
                alternating(client, document, reading, pace, options.rounds)


@contextmanager
def serving(workspace: Path, environ: dict[str, str]) -> Iterator[str]:
    """The address of a service on the workspace."""
    command = [Path(sys.executable).with_name("treegate"), "serve", "--port", "0", "--json", "--workspace", workspace]
    with Path(environ["TREEGATE_STATE"]).with_name("log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **environ}, stdout=subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["address"]
    finally:
        process.terminate()
        process.wait(60)


def submitting(gate: Gate, client: httpx2.Client, document: bytes, rounds: int) -> dict[str, Any]:
    """Plans handed in, in process and over HTTP in turns; the last one that was."""
    inside, outside = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        gate.submit(document)
        inside.append(time.perf_counter() - start)
        start = time.perf_counter()
        answer = client.post("/plans", content=document)
        outside.append(time.perf_counter() - start)
        assert answer.status_code == 201, answer.text[:500]
    ratio = statistics.median(b / a for a, b in zip(inside, outside, strict=True))
    middles = f"in process {statistics.median(inside):.2f} s, over HTTP {statistics.median(outside):.2f} s"
    print(f"POST of a plan of {len(document) / 1e6:.1f} MB, medians of {rounds}: {middles}, {ratio:.2f}x", flush=True)
    made: dict[str, Any] = answer.json()
    return made


def filtering(client: httpx2.Client, id: str, cases: int) -> None:
    """Filters that were never asked for before, one after the other; the very first one is told by itself."""
    asked = [f"case-{n % cases:03} {n:03}" for n in range(100)] + WORDS + [f"scan {n}" for n in range(100)]
    took, totals = [], []
    for words in asked:
        start = time.perf_counter()
        answer = client.get(f"/plans/{id}/effects", params={"q": words, "limit": 100})
        took.append(time.perf_counter() - start)
        assert answer.status_code == 200, answer.text
        totals.append(answer.json()["total"])
    p = percentiles(took[1:])
    print(f"filtering, {len(asked)} different filters that fit {min(totals):,} to {max(totals):,} effects: the first "
          f"{took[0] * 1e3:.0f} ms, the others p50 {p[50]:.1f}, p95 {p[95]:.1f}, p99 {p[99]:.1f} ms")  # fmt: skip


def alternating(client: httpx2.Client, document: bytes, reading: Readers, pace: float, rounds: int) -> None:
    """Runs and their undoing, each under readers."""
    for number in range(rounds):
        made = client.post("/plans", content=document).json()
        run = carried_out(client, made, reading, f"{told(pace)}, round {number + 1}, a run under way", pace)
        undo = client.post(f"/runs/{run}/undo").json()["submitted"]
        carried_out(client, undo, reading, f"{told(pace)}, round {number + 1}, an undo under way", pace)


def carried_out(client: httpx2.Client, made: dict[str, Any], reading: Readers, word: str, pace: float) -> str:
    """Approves a plan, whose run begins with that; its id, once it has ended."""

    def run() -> str:
        answer = client.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]})
        assert answer.status_code == 200, answer.text
        run = client.post(f"/plans/{made['id']}/apply").json()["run"]
        while True:
            now = client.get(f"/runs/{run}").json()["progress"]
            if now["state"] not in {"queued", "applying"}:
                assert now["state"] == "applied", now
                return str(run)
            time.sleep(0.1)

    return str(reading.during(word, pace, run))


def told(pace: float) -> str:
    return f"paced, {pace:.0f} a second each" if pace else "without a pause"


class Readers:
    """Readers in a process of their own."""

    def __init__(self, address: str, headers: dict[str, str], id: str, options: argparse.Namespace) -> None:
        self._told = {"address": address, "headers": headers, "id": id, "readers": options.readers,
                      "effects": options.cases * options.files, "words": WORDS}  # fmt: skip

    def during(self, word: str, pace: float, work: Any) -> Any:
        """Reads until some work is done; prints how long answers took."""
        command = [sys.executable, Path(__file__).with_name("readers.py"), json.dumps(self._told | {"pace": pace})]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()  # all are connected
            start = time.perf_counter()
            done = work()
            seconds = time.perf_counter() - start
            found = json.loads(process.communicate("")[0])
        asked = sum(one["count"] for one in found.values())
        print(
            f"{self._told['readers']} readers {word}: {seconds:.1f} s, {asked / seconds:,.0f} answers a second",
            flush=True,
        )
        for kind, one in found.items():
            figures = "   ".join(f"{word} {one[p]:6.1f}" for word, p in PERCENTILES.items())
            print(f"  {kind:<14} {one['count']:>7,}   {figures} ms", flush=True)
        return done


if __name__ == "__main__":
    main()
