"""`make bench`: the queue: from a drop to its validation, what an idle worker uses, and how fast many plans drain.

python bench/queue.py [--plans 10000] [--cases 100] [--drops 20] [--idle 30] [--at DIR]
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

import office
from treegate.gate import Gate

RULE = '[{when = {only = ["made", "moved"]}, required = 0}]'


def main() -> None:
    options = parser().parse_args()
    with office.scratch(options.at) as root:
        measure(root, options)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="the queue")
    made.add_argument("--plans", type=int, default=10_000)
    made.add_argument("--cases", type=int, default=100)
    made.add_argument("--drops", type=int, default=20, help="single drops, one after the other")
    made.add_argument("--idle", type=float, default=30.0, help="seconds of idling")
    made.add_argument("--at", default=".", help="a folder on the filesystem to measure")
    return made


def measure(root: Path, options: argparse.Namespace) -> None:
    workspace = root / "ws"
    for n in range(options.plans):
        case = workspace / "projects" / f"case-{n % options.cases:03}"
        case.mkdir(parents=True, exist_ok=True)
        (case / f"{n:05}.txt").write_text(f"{n}\n")
    environ = {"TREEGATE_STATE": str(root / "state"), "TREEGATE_POLICY_LIMITS_OPEN_PLANS": "1000000"}
    Gate.init(workspace, environ=environ).close()
    with Gate.open(workspace, environ) as gate:
        queue = gate.make_queue()
    with working(workspace, environ) as process:
        dropping(queue, options.drops, options.cases)
        time.sleep(2)
        idling(process.pid, options.idle)
    bare = renames(root / "bare", options.plans, options.cases)
    draining(workspace, environ | {"TREEGATE_POLICY_APPROVAL_RULE": RULE}, queue, options, bare)


@contextmanager
def working(workspace: Path, environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A worker on the workspace."""
    command = [Path(sys.executable).with_name("treegate"), "worker", "--json", "--workspace", workspace]
    process = subprocess.Popen(command, env={**os.environ, **environ}, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield process
    finally:
        process.terminate()
        process.wait(120)


def dropping(queue: Path, times: int, cases: int) -> None:
    """From the drop of a plan to its validation."""
    took = []
    for n in range(times):
        time.sleep(0.5 + n * 0.017)  # whatever the last one stirred has settled, and none comes at the same moment
        document = plan(f"case-{n % cases:03}", f"{n:05}.txt", f"x/{n}.txt")
        known = set(queue.glob("pending/*/validation.md"))
        start = time.perf_counter()
        (queue / f"drop-{n}.json").write_text(document)
        while not set(queue.glob("pending/*/validation.md")) - known:
            time.sleep(0.002)
        took.append((time.perf_counter() - start) * 1e3)
    took.sort()
    print(f"from drop to validation.md, {times} times: p50 {statistics.median(took):.0f}, longest {took[-1]:.0f} ms",
          flush=True)  # fmt: skip


def idling(pid: int, seconds: float) -> None:
    """Processor time of a worker, with all its processes, that has nothing to do; and of what only wakes as often."""
    with subprocess.Popen([sys.executable, "-c", "import time\nwhile True: time.sleep(0.1)"]) as bare:
        time.sleep(1)
        before = used(pid), used(bare.pid)
        time.sleep(seconds)
        spent = [(used(one) - old) / seconds * 100 for one, old in zip((pid, bare.pid), before, strict=True)]
        bare.kill()
    print(f"idle for {seconds:.0f} s: {spent[0]:.2f}% of a core; what wakes ten times a second and does nothing, "
          f"beside it: {spent[1]:.2f}%", flush=True)  # fmt: skip


def used(pid: int) -> float:
    """Seconds of processor time of a process and those below it."""
    by_parent: dict[int, list[tuple[int, float]]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        seconds = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        by_parent.setdefault(int(words[1]), []).append((int(path.parent.name), seconds))
        if int(path.parent.name) == pid:
            own = seconds
    total, due = own, [pid]
    while due:
        for child, seconds in by_parent.get(due.pop(), []):
            total += seconds
            due.append(child)
    return total


def renames(folder: Path, plans: int, cases: int) -> float:
    """Seconds that the renames of as many plans take by themselves."""
    for n in range(plans):
        case = folder / f"case-{n % cases:03}"
        case.mkdir(parents=True, exist_ok=True)
        (case / f"{n:05}.txt").write_text(f"{n}\n")
    start = time.perf_counter()
    for n in range(plans):
        case = folder / f"case-{n % cases:03}"
        (case / f"{n:05}.txt").rename(case / f"moved-{n:05}.txt")
    return time.perf_counter() - start


def draining(workspace: Path, environ: dict[str, str], queue: Path, options: argparse.Namespace, bare: float) -> None:
    """Many small plans that nobody has to look at, dropped at once; until all are done."""
    for n in range(options.drops, options.plans):
        case = f"case-{n % options.cases:03}"
        (queue / f"20260131T{n:09}Z-{case}.json").write_text(plan(case, f"{n:05}.txt", f"moved-{n:05}.txt"))
    count = options.plans - options.drops
    done = queue / "done"
    with working(workspace, environ) as process:
        start = time.perf_counter()
        while len(os.listdir(done)) < count:
            time.sleep(0.5)
            if time.perf_counter() - start > 0.1 * count + 60:
                print(f"only {len(os.listdir(done)):,} were done in time", flush=True)
                break
        took, processor = time.perf_counter() - start, used(process.pid)
    each = (took - bare) / count * 1e3
    print(
        f"{count:,} plans on {options.cases} cases: {took:.0f} s, {each:.1f} ms each beyond their renames", end=", "
    )
    print(f"{processor / count * 1e3:.1f} ms of processor time each", flush=True)
    failed = [name for name in os.listdir(queue / "failed") if name.startswith("pl_")]
    if failed:
        print(f"{len(failed):,} failed")


def plan(case: str, source: str, to: str) -> str:
    return json.dumps({"version": 1, "case": case, "operations": [{"op": "move", "from": source, "to": to}]})


if __name__ == "__main__":
    main()
