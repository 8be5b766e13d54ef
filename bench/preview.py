"""What a preview costs an operation: decode, simulate, seal and write the table, on a real folder.

    python bench/preview.py SCRATCH [COUNT...]     (default: 10000 100000)

Each count runs in a process of its own, which prints microseconds of the processor an operation, stage by stage, and
its peak resident memory. SCRATCH is on the filesystem that is to be measured; what is made there is removed again.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CASES = 100
STAGES: dict[str, float] = {}


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Takes the time of one stage: that of the processor, for others may be at work on the machine."""
    start = time.process_time()
    yield
    STAGES[name] = time.process_time() - start


def grow(projects: Path, count: int) -> None:
    """`count` files of 4 KiB in at most 100 cases."""
    content = b"x" * 4096
    for case in range(CASES):
        folder = projects / f"Case-{case:03}" / "Scans"
        folder.mkdir(parents=True)
        for number in range(count // CASES):
            (folder / f"scan{number:05}.pdf").write_bytes(content if count <= 100_000 else b"")


def document(count: int, scattered: bool = False) -> bytes:
    """A plan that moves every file into a new folder under a new name, case by case, or each from another case."""
    cases, numbers = range(CASES), range(count // CASES)
    pairs = ((c, n) for n in numbers for c in cases) if scattered else ((c, n) for c in cases for n in numbers)
    lines = [
        b'{"op":"move","from":"Case-%03d/Scans/scan%05d.pdf",'
        b'"to":"Case-%03d/Correspondence/2024-03-01 letter %05d.pdf"}' % (case, number, case, number)
        for case, number in pairs
    ]
    return b'{"version":1,"title":"Sort the scans","operations":[' + b",".join(lines) + b"]}"


def measure(projects: Path, count: int, scattered: bool) -> None:
    """One preview, as the gate makes it."""
    import msgspec

    from treegate.engine.unhurried import unhurried_gc
    from treegate.engine.world import WorldTree
    from treegate.model import acts
    from treegate.model.capabilities import Capabilities
    from treegate.model.plan import Plan
    from treegate.model.policy import Limits, Policy
    from treegate.model.seal import About, seal

    class World:
        cases = {f"Case-{case:03}": Capabilities() for case in range(CASES)}
        volumes = dict.fromkeys(cases, "")
        reserved: frozenset[str] = frozenset()
        tree = WorldTree(projects, None, frozenset(), lambda key: projects, cases)

        def kept(self, run: str, entry: int) -> None:
            return None

        def blob_size(self, sha256: str) -> None:
            return None

    text = document(count, scattered)
    many = Policy(limits=Limits(operations=10**7, files=10**7))
    written = 0
    encode = msgspec.msgpack.Encoder().encode
    with unhurried_gc(), stage("all"):
        with stage("decode"):
            plan = Plan.decode(text)
        with stage("simulate"):
            outcome = acts.simulate(plan, World())
        with stage("seal"):
            sealed = seal(outcome, many, About("bench"), lambda chunk: None)
        with stage("write"):
            assert sealed.rows is not None, sealed.preview.problems[:3]
            for row in sealed.rows:
                written += len(encode(row))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    parts = "  ".join(f"{name} {seconds / count * 1e6:5.2f}" for name, seconds in STAGES.items())
    print(f"{count:>9,} moves  us each: {parts}   peak {peak:,.0f} MB   table {written / 1e6:,.1f} MB", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("scratch", type=Path)
    options.add_argument("counts", type=int, nargs="*", default=[10_000, 100_000])
    options.add_argument("--scattered", action="store_true", help="each operation in another case than the last")
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.inside:
        measure(given.scratch, given.counts[0], given.scattered)
        return
    order = ["--scattered"] * given.scattered
    for count in given.counts:
        projects = given.scratch / f"preview-{count}" / "projects"
        try:
            grow(projects, count)
            for _ in range(3 if count <= 100_000 else 1):
                subprocess.run([sys.executable, __file__, str(projects), str(count), "--inside", *order], check=True)
        finally:
            shutil.rmtree(projects.parent)


if __name__ == "__main__":
    main()
