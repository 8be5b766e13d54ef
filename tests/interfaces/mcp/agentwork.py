"""A workspace for agents that come over MCP: files, people with tokens, and real servers that are ended again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import mcp
from mcp.client.stdio import StdioServerParameters, stdio_client

from treegate.gate import Gate
from treegate.model.actors import Role

TREEGATE = str(Path(sys.executable).with_name("treegate"))
MOVE = {"op": "move", "match": "scan*.pdf", "to": "Scans/"}
PLAN: dict[str, Any] = {"case": "Smith", "operations": [MOVE]}
ERAS = ("auto", "legacy")  # the protocol with an envelope in each request, and that with a handshake


class Office:
    """The cases Smith and Jones, in which nobody may approve their own plans, unless `solo`."""

    def __init__(self, folder: Path) -> None:
        self.root, self.state = folder / "office", folder / "state"
        self.environ = {
            "TREEGATE_STATE": str(self.state),
            "PATH": os.environ["PATH"],
            "TREEGATE_SANDBOX_ENGINE": "bwrap",
        }
        for case in ("Smith", "Jones"):
            for number in range(3):
                self.put(f"{case}/scan{number}.pdf", f"{case} {number}")
        self.gate = Gate.init(self.root, environ=self.environ)
        self.servers: list[subprocess.Popen[bytes]] = []

    def put(self, path: str, text: str) -> None:
        """A file."""
        place = self.root / "projects" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def there(self, path: str) -> bool:
        """Whether a file is there."""
        return (self.root / "projects" / path).exists()

    def token(self, name: str, role: str = "author", cases: list[str] | None = None) -> str:
        """A token."""
        return self.gate.create_token(name, Role(role), cases)[1]

    def person(self, name: str, role: str = "reviewer") -> Gate:
        """A gate through which somebody decides."""
        return Gate.open(self.root, {**self.environ, "TREEGATE_TOKEN": self.token(name, role)})

    def program(self, *more: str, token: str = "") -> StdioServerParameters:
        """How a client begins the server."""
        env = {**self.environ, **({"TREEGATE_TOKEN": token} if token else {})}
        args = ["mcp", "--workspace", str(self.root), *more]
        return StdioServerParameters(command=TREEGATE, args=args, env=env, cwd=str(self.root))

    def begin(self, *args: str, token: str = "") -> subprocess.Popen[bytes]:
        """A server of treegate's; it ends with the test."""
        env = {**self.environ, **({"TREEGATE_TOKEN": token} if token else {})}
        pipe = subprocess.PIPE
        self.servers.append(subprocess.Popen([TREEGATE, *args], env=env, stdin=pipe, stdout=pipe, cwd=self.root))
        return self.servers[-1]

    def listening(self, *more: str) -> str:
        """The address of a server over HTTP."""
        begun = self.begin("mcp", "--http", "--port", "0", "--json", "--workspace", str(self.root), *more)
        assert begun.stdout is not None
        return str(json.loads(begun.stdout.readline())["address"])

    def close(self) -> None:
        """Ends what was begun."""
        for server in self.servers:
            if server.poll() is None:
                server.send_signal(signal.SIGTERM)
            server.communicate(timeout=60)
        for thread in threading.enumerate():  # commands that a server in this process was asked for end here, too
            if thread.name.startswith("listening to "):
                thread.join(60)
        self.gate.close()


@asynccontextmanager
async def over_stdio(parameters: StdioServerParameters, mode: str = "auto", **more: Any) -> AsyncIterator[mcp.Client]:
    """A client, and the process that it began."""
    async with mcp.Client(stdio_client(parameters), mode=mode, **more) as client:
        yield client


def said(result: Any) -> dict[str, Any]:
    """What a tool said that did not fail."""
    assert not result.is_error, result.content
    told: dict[str, Any] = result.structured_content
    return told


def code(result: Any) -> str:
    """The code of the error that a tool told."""
    assert result.is_error, result.content
    return str(result.structured_content["error"]["code"])
