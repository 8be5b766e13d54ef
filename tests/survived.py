"""What must be survived, and which tests show that it is.

    python tests/survived.py        lists every item with its tests; exit status 1 if one has none

A test names the items that it shows by number: at the start of its docstring ("1, 21: every call ...", or "Item 41:
..."), or of its own name (`test_16_...`). Nothing is imported or run: the tests are read.
"""

from __future__ import annotations

import ast
import re
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
_DOCSTRING = re.compile(r"(?:Item )?(\d+(?:, \d+)*): ")
_NAME = re.compile(r"test_((?:\d+_)+)")

ITEMS: dict[str, dict[int, str]] = {
    "Crashes": {
        1: "a kill at every system call of an apply",
        2: "a kill at every system call of the recovery from it",
        3: "a power cut, with the filesystem's own log flushed or dropped",
        4: "any subset of the writes that were not synced",
        5: "the journal on another filesystem than the tree: nothing told as done that is not there",
        6: "a torn end of the journal: ignored",
        7: "a journal damaged in the middle: refused, nothing touched",
        8: "a sync that fails: stopped, never tried again, recovered after a new mount",
        9: "a disk that fills while new contents are built: nothing begun",
        10: "a state disk that is full: found before the first step",
        11: "a filesystem that becomes read-only midway: halted, and it can go on",
        12: "an interrupted system call: looked at, then decided",
        13: "a crash during an undo: finished, or taken back",
        14: "two recoveries at once: one has the lock",
        15: "a rollback that crashes stays a rollback",
        16: "a crash between the database and the journal, at each border: one story, told alike by both",
        17: "a database from an old backup: noticed, nothing applied",
        18: "mounted anew under another device number: approvals and recovery still hold",
    },
    "A tree that moves on": {
        19: "a source edited after the approval: stale, or left alone where the plan says so",
        20: "a target that appears after the approval: never replaced",
        21: "a swap, a cycle of three, a folder moved under its own child's old place",
        22: "a folder moved into itself: a problem",
        23: "names that the mount folds: a problem; a change of case alone: done",
        24: "an undo after somebody edited: that path is refused, both are kept",
        25: "a file that is held open while it is moved: no byte lost",
        26: "a file added under a folder after its deletion was approved: stale",
        27: "another name swapped in between check and rename: put back, halted",
        28: "a moved file edited before the recovery: the move and the edit are kept",
    },
    "Paths": {
        29: "`/data` and `/data-evil` are not confused",
        30: "`..`, absolute paths, NUL: refused",
        31: "a link swapped in midway: never followed",
        32: "hard links: said in the preview, each an entry of its own",
        33: "a mount point inside: refused",
        34: "FIFOs, devices, sockets: refused without waiting for them",
        35: "names with newlines, not UTF-8, too long, reserved: carried through, or a clear problem",
        36: "a bucket that is not mounted: treegate does not start",
    },
    "Approval": {
        37: "one byte of the plan or of the tree changed after the approval: refused",
        38: "a Slack request that is replayed, late or malformed: 401",
        39: "a double click, a message delivered twice, two approvers at once: one run",
        40: "one's own plan: refused",
        41: "a form posted from another site: 403",
        42: "an approval that expired is told as expired, never as a denial",
        43: "approved, stale, revised unchanged: decided anew",
        44: "a large deletion in many small plans: the daily limit holds",
    },
    "Audit and sandbox": {
        45: "a line edited, the end cut off, the chain written anew: found against a checkpoint kept elsewhere",
        46: "a fork bomb, network, a full disk, endless output, a link that points out: bounded, and looked at first",
    },
}


def tests() -> Iterator[tuple[str, list[int]]]:
    """Every test with the numbers that it names."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield f"{path.relative_to(TESTS.parent)}::{node.name}", named(node)


def named(test: ast.FunctionDef | ast.AsyncFunctionDef) -> list[int]:
    """The numbers in a test's name and at the start of its docstring."""
    name, says = _NAME.match(test.name), _DOCSTRING.match(ast.get_docstring(test) or "")
    found = (name[1].strip("_").split("_") if name else []) + (says[1].split(", ") if says else [])
    return sorted({int(number) for number in found})


@cache
def by_item() -> dict[int, list[str]]:
    """The tests of every item."""
    found: dict[int, list[str]] = defaultdict(list)
    for name, numbers in tests():
        for number in numbers:
            found[number].append(name)
    return {number: found[number] for items in ITEMS.values() for number in items}


def main() -> int:
    shown = by_item()
    for title, items in ITEMS.items():
        print(title)
        for number, what in items.items():
            print(f"  {number:2} {what}")
            for name in shown[number] or ["NO TEST"]:
                print(f"       {name}")
    return int(not all(shown.values()))


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever reads the first lines only is not an error
    sys.exit(main())
