"""An office with a queue, and real workers on it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from workplace import Place


@pytest.fixture
def place(fast: Path) -> Place:
    """A new office."""
    return Place(fast)


@pytest.fixture
def work(place: Place) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts workers, which end with the test."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        started.append(place.start())
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
