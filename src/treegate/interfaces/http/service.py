"""The service: what every request needs of the one open workspace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request

from treegate.engine.configfile import SECRETS
from treegate.engine.store import Touched
from treegate.gate import Gate, logins
from treegate.interfaces.crew.commands import Commands
from treegate.interfaces.crew.crew import Crew
from treegate.interfaces.crew.crews import Crews
from treegate.interfaces.crew.runner import OURSELVES, Runner
from treegate.interfaces.http import hosts, oidc
from treegate.interfaces.http.desk import PATIENCE, Desk
from treegate.interfaces.http.effects import Effects
from treegate.interfaces.http.metrics import Metrics
from treegate.interfaces.http.pictures import Pictures
from treegate.interfaces.http.rates import Rates
from treegate.interfaces.http.stopping import Streams
from treegate.interfaces.notify.doors import Doors
from treegate.model.commands import SERVED

_log = logging.getLogger("treegate.service")


class Service:
    """One open workspace, and the crew that works on it; `gate` is only ever used as somebody (`acting_as`)."""

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        hidden = {"TREEGATE_TOKEN", *SECRETS}
        self.environ = {key: value for key, value in environ.items() if key not in hidden}
        self.gate = Gate.open(root, self.environ)
        self.gate.core.store.patience = PATIENCE
        self.config = self.gate.core.config.service
        self.names = hosts.names(self.config)
        self.rates = Rates(self.config.reads_per_minute, self.config.writes_per_minute, self.config.logins_per_minute)
        self.streams = Streams()
        self.oidc = oidc.of(self.config.oidc, environ)
        logins.forget_foreign(self.gate.core)
        self.started = self.gate.core.clock()  # ms
        self.gate.core.store.remember()
        self.desk = Desk()
        self.pictures = Pictures()
        self.crew = Crews(root, self.environ, PATIENCE, self.gate.core.config.sandbox.at_once)
        self.effects = Effects(self.gate.core.store, self.crew)
        self.runner = Runner(self.gate, self.crew.hands)
        grace = self.config.shutdown_grace / 1000
        self.commands = Commands(self.gate, self.crew.sandboxes, OURSELVES, SERVED, grace)
        self.metrics = Metrics(self.gate, self.rates, self.crew.by_name())
        self._loop = asyncio.get_running_loop()
        self.doors = Doors(self.gate, self.crew, environ, self.runner.wake)
        self._scribe = Crew(root, self.environ, size=1)
        self.gate.core.store.told = self._told
        self.crew.warm()

    def _told(self, touched: Touched) -> None:
        """Has the scribe make the reports of what was written here: some hold whole plans, on slow mounts."""
        if touched.plans:
            self._scribe.begin(OURSELVES, "report", touched).add_done_callback(_warn)

    def told(self, times: int) -> None:
        """A signal came, for the first time or again; whoever calls this may be anywhere."""
        self._loop.call_soon_threadsafe(self.stop if times == 1 else self.take_back)

    def stop(self) -> None:
        """Told to end: nothing new is begun, and what runs is finished, for as long as `shutdown_grace` says."""
        self.runner.rest()
        self.commands.rest()
        self.streams.end()
        self._loop.call_later(self.config.shutdown_grace / 1000, self.take_back)

    def take_back(self) -> None:
        """Told to end now: what runs is taken back, and what only looks is dropped."""
        self.crew.end()

    async def close(self) -> None:
        """Ends what is under way, and lets go of the workspace."""
        await self.doors.close()
        await asyncio.gather(self.runner.stop(), self.commands.stop())
        await asyncio.to_thread(self.crew.close)
        await asyncio.to_thread(self.desk.close)
        await asyncio.to_thread(partial(self._scribe.close, finish=True))
        self.gate.close()


def _warn(done: Future[None]) -> None:
    """Reports that could not even be tried; those that could not be written are told of by their writer."""
    if done.cancelled() or done.exception() is not None:
        _log.warning("a report was not written; `treegate fsck` writes it")


async def _service(request: Request) -> Service:
    return cast(Service, request.app.state.service)


TheService = Annotated[Service, Depends(_service)]
