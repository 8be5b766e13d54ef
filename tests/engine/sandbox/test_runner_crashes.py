"""A runner that is killed at any moment leaves nothing behind, and nothing of the case otherwise than it was."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.sandbox.conftest import Bench, leftovers

from treegate.engine.sandbox import cgroups, session
from treegate.engine.sandbox.order import Captured, Failed

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: an overlay is root's only"),
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, to kill at a system call"),
]

SCRIPT = "mv a.txt b.txt; echo more >> c.txt; mkdir new; cp c.txt new/d.txt; rm -r old; sleep 345.678 & echo done"
_popen = subprocess.Popen
Call = tuple[str, int]


class Killed:
    """Has each runner killed at one of its system calls: the so-manieth of a name."""

    def __init__(self, at: Call | None, log: Path) -> None:
        self._at, self._log = at, log

    def __call__(self, command: list[str], **given: Any) -> subprocess.Popen[bytes]:
        inject = [] if self._at is None else ["-e", f"inject={self._at[0]}:signal=SIGKILL:when={self._at[1]}"]
        return _popen(["strace", "-D", "-qq", "-o", str(self._log), *inject, *command], **given)


def fill(bench: Bench) -> list[tuple[str, int, bytes]]:
    (bench.case / "old").mkdir()
    for name in ("a.txt", "c.txt", "old/e.txt"):
        (bench.case / name).write_text(name)
    return state(bench)


def state(bench: Bench) -> list[tuple[str, int, bytes]]:
    paths = sorted(bench.case.rglob("*"))
    return [(str(path), path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in paths]


def run(bench: Bench, at: Call | None, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[Call]]:
    """The last frame of a run whose runner is killed at a call, and the calls that it made."""
    log = bench.place / "calls"
    monkeypatch.setattr(subprocess, "Popen", Killed(at, log))
    with session.start(bench.order("sh", "-c", SCRIPT)) as under_way:
        monkeypatch.undo()
        *_, frame = under_way
    return frame, list(calls(log.read_text(errors="replace")))


def calls(log: str) -> Iterator[Call]:
    """The calls of a trace, each with its number among those of its name."""
    made: Counter[str] = Counter()
    for line in log.splitlines():
        name, paren, _ = line.partition("(")
        if paren and name.isidentifier() and name not in ("execve", "exit_group"):
            made[name] += 1
            yield name, made[name]


def nothing_is_left(bench: Bench, before: list[Any]) -> None:
    until = time.monotonic() + 15
    while leftovers(bench.place) or running():
        assert time.monotonic() < until, (leftovers(bench.place), running())
        time.sleep(0.02)
    cgroups.sweep()
    assert list((bench.place / "scratch").iterdir()) == []
    assert state(bench) == before


def running() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"345.678" in words:
            found.append(path.parent.name)
    return found


def sweep(bench: Bench, monkeypatch: pytest.MonkeyPatch, points: list[Call]) -> int:
    before = fill(bench)
    killed = 0
    for point in points:
        frame, _ = run(bench, point, monkeypatch)
        assert isinstance(frame, Captured | Failed)
        killed += isinstance(frame, Failed) and frame.code == "sandbox-lost"
        nothing_is_left(bench, before)
    return killed


def test_a_runner_killed_at_some_of_its_calls_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    _, made = run(bench, None, monkeypatch)
    points = random.Random(7).sample(made[len(made) // 2 :], 12)  # the first half starts Python
    assert sweep(bench, monkeypatch, points) >= 8


@pytest.mark.faults
def test_a_runner_killed_at_every_fifth_of_its_calls_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    _, made = run(bench, None, monkeypatch)
    points = made[::5]
    killed = sweep(bench, monkeypatch, points)
    assert killed > len(points) * 0.8
    print(f"{killed} of {len(points)} runs were cut short, {len(made)} calls in one")
