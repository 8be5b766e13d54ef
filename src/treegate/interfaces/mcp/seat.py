"""A seat: one agent's place at the gate, from which each call sees cases and rights as they are by then."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from treegate.client import Client
from treegate.errors import TreegateError
from treegate.gate import Gate
from treegate.interfaces import logs
from treegate.interfaces.agent import Answer, Toolset, telling
from treegate.interfaces.mcp.threads import Threads
from treegate.render import jsons

T = TypeVar("T")
CHANNEL = "mcp"
_BY_NAME = {tool.name: tool for tool in Toolset.tools}


class Ending:
    """How far a server has been told to end: `begun`, waits end and runs go on; told `again`, runs are taken back."""

    def __init__(self) -> None:
        self.begun, self.again = threading.Event(), threading.Event()

    def told(self, times: int) -> None:
        """It was told for the first time, or again."""
        self.begun.set()
        if times > 1:
            self.again.set()


class Seat:
    """The tools over one gate or service; raises Denied where the token of a service is not an author's."""

    def __init__(self, door: Gate | Client, ending: Ending | None = None, *, plans: Path | str | None = None) -> None:
        self.threads = Threads()
        self._door, self._plans = door, plans
        self._ending = ending or Ending()
        lasting = Toolset(door, channel=CHANNEL, plans=plans).desk
        lasting.door.watch(_unseen, self._ending.begun.is_set)
        self._listeners = lasting.listeners

    async def call(self, name: str, arguments: Mapping[str, Any] | None) -> Answer:
        """What a tool says; whatever goes wrong is said, too."""
        tool = _BY_NAME.get(name)
        lasts = tool is not None and not tool.reads
        may_end = self._ending.again if tool is not None and tool.destroys else self._ending.begun
        try:
            return await self.do(lambda tools: tools.call(name, arguments), lasts=lasts, may_end=may_end)
        except TreegateError as error:
            return answer_of(error)
        except Exception as error:
            logs.ERRORS.error("a tool failed", exc_info=error)
            return answer_of(unforeseen(error))

    async def do(
        self, act: Callable[[Toolset], T], *, lasts: bool = False, may_end: threading.Event | None = None
    ) -> T:
        """Something done with the tools, in a thread; one that does not last ends once nobody waits for it."""
        given_up = threading.Event()
        ended = may_end or self._ending.begun

        def cancelled() -> bool:
            return ended.is_set() or (given_up.is_set() and not lasts)

        try:
            return await self.threads.run(partial(self._with_tools, act, cancelled), lasts=lasts)
        except asyncio.CancelledError:
            given_up.set()
            raise

    def _with_tools(self, act: Callable[[Toolset], T], cancelled: Callable[[], bool]) -> T:
        tools = Toolset(self._door, channel=CHANNEL, plans=self._plans)
        tools.desk.listeners = self._listeners
        if isinstance(tools.desk.door, Gate):  # a client is the same for all calls
            tools.desk.door.watch(_unseen, cancelled)
        return act(tools)


def answer_of(error: TreegateError) -> Answer:
    """An error as a tool's answer."""
    value = telling.error(error)
    return Answer(value=value, failed=True, text=jsons.dumps(value))


def unforeseen(error: Exception) -> TreegateError:
    """What stands for an error that nobody foresaw: its own words may hold what is nobody's business."""
    return TreegateError(f"the server failed: {type(error).__name__}", hint="the log of the server has more")


def _unseen(done: int, total: int) -> None:
    """Nobody watches how far a run is."""
