"""Commands run for real in the sandbox of an office."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

import pytest
from gatework import Office

from treegate.gate.sandboxing.events import Finished, Output

SMALL = {
    "sandbox_engine": "bwrap",  # whatever else there is here
    "sandbox_limits_written": "32 MiB",
    "sandbox_limits_entries": "4000",
    "sandbox_limits_time": "30s",
    "lock_wait": "2s",
}


def needs_sandbox() -> None:
    """Skips a test where there is no engine for it."""
    if os.geteuid() != 0 or shutil.which("bwrap") is None:
        pytest.skip("needs root and bubblewrap")


def small(office: Office, **more: str) -> Office:
    """The office with sandboxes that are made quickly."""
    office.configure(**{**SMALL, **more})
    return office


class Ran:
    """A command that was run: what it wrote, and what came of it."""

    def __init__(self, gate: Any, case: str | tuple[str, ...], command: tuple[str, ...], **more: Any) -> None:
        self.events = list(gate.run(case, command, **more))
        last = self.events[-1].what
        assert isinstance(last, Finished)
        self.done = last
        self.out = b"".join(one.what.data for one in self.events if isinstance(one.what, Output)).decode()


def sh(gate: Any, script: str, case: str | tuple[str, ...] = "Smith", **more: Any) -> Ran:
    """Runs a line of shell."""
    return Ran(gate, case, ("sh", "-c", script), **more)


def runners() -> str:
    """The runners that are there now, of anybody."""
    found = subprocess.run(["pgrep", "-f", "treegate.engine.sandbox.runner"], capture_output=True, text=True)
    return found.stdout
