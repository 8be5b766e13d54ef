"""What the fault harnesses tried and how it ended, gathered for the table in docs/guarantees.md.

A pytest plugin. A test that takes the fixture `tally` says what it tried:

    tally("kill at every system call", "ext4", Counter({"applied": 98, "rolled back": 47}))

With `--proof FILE` the rows of all tests that passed are written into FILE (JSON) at the end, in place of the rows
that it had for the same method and filesystem; `python docs/generate.py` makes the table from it.
"""

from __future__ import annotations

import datetime
import json
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import treegate

Tally = Callable[[str, str, Mapping[str, int]], None]
_PROPERTY = "proof"
_ROWS = pytest.StashKey[dict[tuple[str, str], Counter[str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--proof", metavar="FILE", help="write what the fault harnesses tried into this file")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ROWS] = {}
    config.pluginmanager.register(_Gathering(config), "gathering-proof")


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Tally:
    """Says what a harness tried: tally(method, filesystem, outcomes), each outcome with how often it was seen."""

    def told(method: str, filesystem: str, outcomes: Mapping[str, int]) -> None:
        record_property(_PROPERTY, json.dumps([method, filesystem, outcomes]))

    return told


class _Gathering:
    """Takes the rows from the reports of tests, which also come from the workers of xdist."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" or not report.passed:
            return
        for name, value in report.user_properties:
            if name == _PROPERTY:
                method, filesystem, outcomes = json.loads(str(value))
                self._config.stash[_ROWS].setdefault((method, filesystem), Counter()).update(outcomes)

    def pytest_sessionfinish(self) -> None:
        path, rows = self._config.getoption("--proof"), self._config.stash[_ROWS]
        if path and rows and not hasattr(self._config, "workerinput"):
            write(Path(path), rows)


def write(path: Path, rows: Mapping[tuple[str, str], Mapping[str, int]]) -> None:
    """Puts these rows into the file, in place of older ones of the same method and filesystem."""
    old = json.loads(path.read_text()) if path.exists() else []
    kept = {(row["method"], row["filesystem"]): row for row in old}
    kept |= {(method, filesystem): _row(method, filesystem, seen) for (method, filesystem), seen in rows.items()}
    text = json.dumps([kept[key] for key in sorted(kept)], indent=1, ensure_ascii=False)
    path.write_text(text + "\n")


def _row(method: str, filesystem: str, outcomes: Mapping[str, int]) -> dict[str, Any]:
    return {
        "method": method,
        "filesystem": filesystem,
        "points": sum(outcomes.values()),
        "outcomes": dict(Counter(outcomes).most_common()),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "version": _version(),
    }


@cache
def _version() -> str:
    """The version that was tried, and of which commit; `.dirty` where the sources had more than that."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        changes = _git("status", "--porcelain", "--", "src", "tests", "native")
    except (OSError, subprocess.CalledProcessError):
        return treegate.__version__
    return f"{treegate.__version__}+g{commit}{'.dirty' if changes else ''}"


def _git(*asked: str) -> str:
    root = Path(__file__).parents[1]
    return subprocess.run(["git", *asked], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
