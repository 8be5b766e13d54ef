"""An office with a queue, and real workers on it: a process each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from treegate.gate import Gate

TREEGATE = Path(sys.executable).with_name("treegate")
RULE = '[{when = {only = ["made", "moved"]}, required = 0}]'


class Place:
    """A workspace with the cases Smith and Jones, and how to work on it."""

    def __init__(self, at: Path) -> None:
        self.root = at / "office"
        self.environ = {
            "TREEGATE_STATE": str(at / "state"),
            "TREEGATE_QUEUE_TRUST_STATUS": "true",
            "PATH": os.environ["PATH"],
        }
        for case in ("Smith", "Jones"):
            (self.root / "projects" / case).mkdir(parents=True)
        Gate.init(self.root, environ=self.environ).close()
        with self.open() as gate:
            self.queue = gate.make_queue()

    def open(self) -> Gate:
        return Gate.open(self.root, self.environ)

    def put(self, path: str, text: str) -> Path:
        target = self.root / "projects" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def drop(self, name: str, *operations: dict[str, str], case: str = "Smith") -> None:
        (self.queue / name).write_text(json.dumps({"version": 1, "case": case, "operations": list(operations)}))

    def start(self, *more: str) -> subprocess.Popen[str]:
        """A worker; what it says is dropped, for a test looks at what it does."""
        command = [TREEGATE, "worker", "--json", "--workspace", self.root, *more]
        process = subprocess.Popen(
            command,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        if "--once" not in more:
            assert process.stdout is not None
            process.stdout.readline()
        return process


def until(true: Callable[[], object], seconds: float = 60) -> None:
    """Waits for something to be so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)
