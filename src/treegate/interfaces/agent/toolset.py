"""The tools over one gate or service: what an agent may do, each by its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from treegate.client import Client
from treegate.errors import NotFound, TreegateError, of_system
from treegate.gate import Gate
from treegate.interfaces.agent import following, looking, proposing, running, telling
from treegate.interfaces.agent.desk import CHANNEL, Desk
from treegate.interfaces.agent.tool import Answer, Tool
from treegate.model.likeness import nearest
from treegate.render import jsons

TOOLS: tuple[Tool, ...] = (*looking.TOOLS, *proposing.TOOLS, *following.TOOLS, *running.TOOLS)


class Toolset:
    """All tools, as somebody who may only propose.

    `plans` is the folder from which plans may be read as files; None: from none. Raises Denied where the token of a
    service is not an author's.
    """

    tools = TOOLS

    def __init__(self, door: Gate | Client, *, channel: str = CHANNEL, plans: Path | str | None = None) -> None:
        self.desk = Desk(door, channel=channel, plans=plans)
        self._by_name = {tool.name: tool for tool in self.tools}

    def call(self, name: str, arguments: Mapping[str, Any] | None = None) -> Answer:
        """What a tool says; what goes wrong is said, too, with what to do about it."""
        try:
            tool = self.tool(name)
            asked = tool.read(arguments)
            self.desk.renew()
            value = tool.does(self.desk, asked)
        except TreegateError as error:
            value = telling.error(error)
        except OSError as error:
            value = telling.error(of_system(error))
        return answer_of(value)

    def tool(self, name: str) -> Tool:
        """The tool of a name; raises NotFound with the nearest."""
        found = self._by_name.get(name)
        if found is None:
            near = nearest(name, self._by_name)
            hint = f"did you mean {near}?" if near else "the tools are " + ", ".join(self._by_name)
            raise NotFound(f"there is no tool {name!r}", code="tool-not-found", hint=hint)
        return found


def answer_of(value: dict[str, Any]) -> Answer:
    """What a tool found, as it is told: JSON, whose strings hide nothing from whoever reads it."""
    text = jsons.dumps(value)
    return Answer(value=msgspec.json.decode(text), failed="error" in value, text=text)
