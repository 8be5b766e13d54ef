"""An S3 server on loopback, in a process of its own: moto's, with a kill switch between it and its clients.

    python bucketserver.py

prints the port it serves on. `POST /-/kill/PID/N` makes it kill a mount (fusekill.kill, with the switch that the
request's body names) at the moment when it has carried out N more changes, before it answers the last one;
`GET /-/changes` says how many it has carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import fusekill

CHANGES = ("PUT", "POST", "DELETE")


class KillSwitch:
    """A WSGI application around another that counts the changes asked for, and kills at one of them."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self._changes = 0
        self._pid = self._at = 0
        self._switch = Path()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/-/"):
            return self._told(path.split("/")[2:], environ, start_response)
        answer = self._app(environ, start_response)
        if environ["REQUEST_METHOD"] in CHANGES:
            self._changes += 1
            if self._changes == self._at:
                fusekill.kill(self._pid, self._switch)
        return answer

    def _told(self, words: list[str], environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if words[0] == "kill":
            self._pid, self._at = int(words[1]), self._changes + int(words[2])
            self._switch = Path(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode())
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"%d" % self._changes]


def serve() -> None:
    """Serve until the process is ended."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app = KillSwitch(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve()
