"""The service: what every request needs of the one open workspace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request

from treegate.gate import Gate
from treegate.interfaces.http.crew import Crew


class Service:
    """One open workspace, and the crew that works on it; `gate` is only ever used as somebody (`acting_as`)."""

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self.environ = {key: value for key, value in environ.items() if key != "TREEGATE_TOKEN"}
        self.gate = Gate.open(root, self.environ)
        self.crew = Crew(root, self.environ)

    def close(self) -> None:
        """Ends what is under way, and lets go of the workspace."""
        self.crew.close()
        self.gate.close()


def _service(request: Request) -> Service:
    return cast(Service, request.app.state.service)


TheService = Annotated[Service, Depends(_service)]
