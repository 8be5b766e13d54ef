"""What tests of the deepagents backend share: an office, both ways to call a method, a service that is started."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2] / "gate"))

from gatework import Office

from treegate.interfaces.deepagents.backend import TreegateBackend

__all__ = ["Called", "Office", "Serving", "decided", "paths", "settled", "tree"]


class Called:
    """A backend whose methods are called as they are, or by their async twins."""

    def __init__(self, backend: TreegateBackend, *, twins: bool) -> None:
        self.backend, self._twins = backend, twins

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not self._twins:
            return getattr(self.backend, name)
        twin = getattr(self.backend, f"a{name}")
        return lambda *args, **named: asyncio.run(twin(*args, **named))


class Serving:
    """A real service."""

    def __init__(self, office: Office) -> None:
        program = str(Path(sys.executable).with_name("treegate"))
        command = [program, "serve", "--port", "0", "--json", "--workspace", str(office.root)]
        self.process = subprocess.Popen(command, env={**os.environ, **office.environ}, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.address = json.loads(self.process.stdout.readline())["address"]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)


def decided(office: Office, plan: str, verdict: str = "approve", comment: str = "") -> None:
    """A person decides on a plan as it stands."""
    digest = office.gate.plan(plan).digest
    if verdict == "approve":
        office.gate.approve(plan, digest)
    else:
        getattr(office.gate, verdict)(plan, digest, comment)


def settled(office: Office, backend: TreegateBackend) -> dict[str, Any]:
    """The pending changes handed in, approved and carried out."""
    told = backend.submit()
    if "error" not in told:
        decided(office, told["plan"])
        office.gate.apply(told["plan"])
    return told


def paths(found: Any) -> list[str]:
    """The paths of what a listing, a glob or a search found."""
    assert found.error is None, found.error
    return [one["path"] for one in (found.entries if hasattr(found, "entries") else found.matches)]


def tree(backend: TreegateBackend, folder: str = "/") -> dict[str, bytes | None]:
    """Every file that the backend shows, with what it holds; folders hold None."""
    found: dict[str, bytes | None] = {}
    for entry in backend.ls(folder).entries or []:
        if entry["is_dir"]:
            found[entry["path"]] = None
            found |= tree(backend, entry["path"])
        else:
            found[entry["path"]] = backend.download_files([entry["path"]])[0].content
    return found
