"""An office for agents: cases with files, an agent's tools, and a person who decides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.gate.gatework import Office

from treegate.gate import Gate
from treegate.interfaces.agent import Toolset
from treegate.model.actors import Role


class Bureau(Office):
    """Smith has scans and notes, Jones a secret; `ask` calls a tool as an agent who sees Smith alone."""

    def __init__(self, folder: Path, **more: Any) -> None:
        super().__init__(folder / "office", folder / "state", solo=False)
        for number in range(6):
            self.put(f"Smith/Scans/scan{number}.pdf", f"scan {number}")
        self.put("Smith/Notes/todo.txt", "first line\nsecond line\n")
        self.put("Jones/secret.txt", "nobody's business")
        self.agent_token = self.token("agent", Role.AUTHOR, cases=["Smith"])
        self.agent = self.open(self.agent_token)
        self.rita = self.person("rita", Role.REVIEWER)
        self.tools = Toolset(self.agent, **more)
        self.bytes = 0  # that went in and out, as a model counts them

    def reopened_agent(self) -> Gate:
        """The agent's gate anew, as another process would have it."""
        return self.open(self.agent_token)

    def ask(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What a tool says that did what it was asked for."""
        value = self.try_(tool, **arguments)
        assert "error" not in value, value
        return value

    def refused(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The error of a tool that did not."""
        value = self.try_(tool, **arguments)
        assert "error" in value, value
        return dict(value["error"])

    def try_(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = self.tools.call(tool, arguments)
        self.bytes += len(json.dumps(arguments)) + len(answer.text)
        assert json.loads(answer.text) is not None
        return answer.value


def smith(*operations: dict[str, Any], **head: Any) -> dict[str, Any]:
    """A plan as a model writes it: without a version."""
    return {"case": "Smith", **head, "operations": list(operations)}


SORT = {"op": "move", "match": "Scans/*.pdf", "to": "Letters/{name}"}
