"""The application: routes, pages and what holds for every request, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from treegate import __version__
from treegate.errors import TreegateError
from treegate.interfaces.http import problems
from treegate.interfaces.http.api import plans, runs
from treegate.interfaces.http.service import Service


def create_app(root: Path, environ: Mapping[str, str]) -> FastAPI:
    """The application on one workspace, which it opens when it starts and closes when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = app.state.service = Service(root, environ)
        service.runner.start()
        yield
        await service.close()

    app = FastAPI(title="Treegate", version=__version__, lifespan=lifespan)
    app.add_exception_handler(TreegateError, problems.told)
    app.include_router(plans.router)
    app.include_router(runs.router)
    return app
