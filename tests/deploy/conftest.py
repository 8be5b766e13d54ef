"""Fixtures of tests that want a machine of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import TOP, UID, Machine, lacking


@pytest.fixture(scope="session")
def why_not() -> str:
    return lacking()


@pytest.fixture
def machine(tmp_path: Path, why_not: str) -> Iterator[Machine]:
    """A machine as docs/deploy.md sets it up, with a queue that agents may drop into, and nothing enabled."""
    if why_not:
        pytest.skip(why_not)
    made = Machine(tmp_path)
    case = made.workspace / "projects/Smith"
    case.mkdir(parents=True)
    for number in range(4):
        (case / f"{number}.txt").write_text(f"{number}")
    for path in (made.workspace, *made.workspace.rglob("*")):
        os.chown(path, UID, UID)
    made.lay_ours()
    made.lay("etc/cron.d/treegate", (TOP / "deploy/cron.d/treegate").read_text())
    try:
        made.start()
        made.run("systemctl", "start", "mnt-workspace.mount")
        made.run("install", "-d", "-m", "700", "-o", "treegate", "-g", "treegate", "/var/lib/treegate")
        made.run("treegate-admin", "init", "/mnt/workspace", "--agent-user", "agent")
        made.run("treegate-admin", "worker", "--once")  # makes the queue's folder
        (made.workspace / "Database/reorg_queue").chmod(0o1777)
        yield made
    finally:
        made.stop()
