"""A service in a thread of the test's own process, on a port of its own: it begins in a tenth of a process's time."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Mapping
from pathlib import Path

from treegate.engine import config
from treegate.interfaces.http import serving, wire
from treegate.interfaces.http.app import create_app

PATIENCE = 60  # seconds until it must have ended


class Nearby:
    """A service that others reach by its address, as they would reach another machine's."""

    def __init__(self, office: Path, environ: Mapping[str, str]) -> None:
        app = create_app(office, environ)
        self._socket = serving.listen("127.0.0.1", 0)
        self._socket.listen(512)
        self.address = serving.address_of(self._socket)
        self._server = wire.server(app, config.Service(), lambda times: app.state.service.told(times))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._server.serve([self._socket]))

    def close(self) -> None:
        """Ends it as SIGTERM would."""
        self._loop.call_soon_threadsafe(self._server.handle_exit, signal.SIGTERM, None)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
