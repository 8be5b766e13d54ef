"""The notifier: of all processes on a workspace one tells others what happens, and looks out for what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from treegate.engine.telling import wanted
from treegate.errors import Busy, TreegateError
from treegate.gate import Gate
from treegate.interfaces.notify.courier import Courier
from treegate.interfaces.notify.port import Sink
from treegate.interfaces.notify.webhook import WebhookSink
from treegate.model.actors import Actor, Role
from treegate.model.notification import Kind

OURSELVES = Actor(name="the lookout", role=Role.OPERATOR, channel="notify", via="os")
AGAIN = 5.0  # seconds until one looks whether whoever tells is still there
LOOK_OUT = 60.0  # seconds between two looks at what may be wrong
WHILE = 20.0  # seconds that whoever only comes by tells others: drops wait meanwhile
_log = logging.getLogger("treegate.notify")


class Caller(Protocol):
    """Who calls methods of `Gate` where they hold nobody up."""

    async def call(self, actor: Actor, method: str, *args: Any, **named: Any) -> Any:
        """What the method answers, or raises."""


class Line(Protocol):
    """A connection that somebody has to keep, such as Slack's Socket Mode."""

    async def open(self) -> None:
        """Opens it; it mends itself from then on."""

    async def close(self) -> None:
        """Closes it."""


class Notifier:
    """Starts when nobody else does it, and takes over when whoever did is gone."""

    def __init__(self, gate: Gate, crew: Caller, sinks: Sequence[Sink], lines: Sequence[Line] = ()) -> None:
        self._gate, self._crew = gate.acting_as(OURSELVES), crew
        self._sinks, self._lines = sinks, lines
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins, where somebody is to be told at all."""
        if self._sinks or self._lines:
            self._task = asyncio.create_task(self._work())

    async def once(self) -> None:
        """Looks out and tells what there is to tell, for a while, unless somebody else does."""
        if not self._sinks:
            return
        try:
            with self._gate.crier():
                await self._look()
                end = time.monotonic() + WHILE
                await asyncio.gather(*(Courier(self._gate, sink).drain(end) for sink in self._sinks))
        except Busy:
            return
        except (TreegateError, OSError) as error:
            _log.warning("nobody is told now: %s", getattr(error, "code", error))

    async def stop(self) -> None:
        """Ends; what is on its way is settled by whoever comes next."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for sink in self._sinks:
            await sink.close()

    async def _work(self) -> None:
        while True:
            try:
                with self._gate.crier():
                    await self._tell()
            except Busy:
                pass
            except Exception:  # a disk too full for the lock, say: whatever it is, others are told once it is over
                _log.exception("nobody is told what happens, which goes on being tried")
            await asyncio.sleep(AGAIN)

    async def _tell(self) -> None:
        tasks = [Courier(self._gate, sink).run() for sink in self._sinks]
        async with asyncio.TaskGroup() as group:
            for work in (*tasks, self._look_out(), *(self._keep(line) for line in self._lines)):
                group.create_task(work)

    async def _keep(self, line: Line) -> None:
        """Keeps a line open; one that cannot be opened is tried again."""
        tries = 0
        try:
            while True:
                try:
                    await line.open()
                    break
                except Exception as error:
                    tries += 1
                    if tries == 1:
                        _log.warning("a connection cannot be opened, which goes on being tried: %s", error)
                    await asyncio.sleep(min(AGAIN * tries, LOOK_OUT))
            await asyncio.Event().wait()
        finally:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(line.close(), AGAIN)

    async def _look_out(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(LOOK_OUT)

    async def _look(self) -> None:
        try:
            await self._crew.call(OURSELVES, "look_out")
        except (TreegateError, OSError) as error:
            _log.warning("whether something is wrong was not looked at: %s", getattr(error, "code", error))
        except Exception:  # a fault of ours, which is no reason not to tell what happens
            _log.exception("whether something is wrong was not looked at")


def webhooks(gate: Gate, environ: Mapping[str, str]) -> list[WebhookSink]:
    """The webhooks of the configuration; raises UsageError for one whose secret cannot be had."""
    return [WebhookSink.of(hook, wanted(hook, Kind), environ) for hook in gate.core.config.webhooks]
