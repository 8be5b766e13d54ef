"""The application: routes, pages and what holds for every request, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from treegate import __version__
from treegate.errors import TreegateError
from treegate.interfaces.http import problems, slackhook
from treegate.interfaces.http.account import Account
from treegate.interfaces.http.api import (
    audit,
    blobs,
    care,
    cases,
    ending,
    looking,
    outcome,
    people,
    plans,
    runs,
    sandboxes,
    vault,
    writing,
)
from treegate.interfaces.http.bounds import MOST_FIELDS, Bounds
from treegate.interfaces.http.headers import Headers
from treegate.interfaces.http.heads import Heads
from treegate.interfaces.http.hosts import Hosts
from treegate.interfaces.http.openapi import Described, operation_id
from treegate.interfaces.http.rates import Limited
from treegate.interfaces.http.service import Service
from treegate.interfaces.http.stopping import Stopping
from treegate.interfaces.http.straight import Straight
from treegate.interfaces.http.ui import audit as ui_audit
from treegate.interfaces.http.ui import cases as ui_cases
from treegate.interfaces.http.ui import commands as ui_commands
from treegate.interfaces.http.ui import deciding, health, inbox, login, pictures, review
from treegate.interfaces.http.ui import runs as ui_runs

SUBJECTS = (
    *(plans, looking, writing, runs, sandboxes, cases, outcome),
    *(blobs, ending, vault, audit, people, care),
)


def create_app(root: Path, environ: Mapping[str, str]) -> FastAPI:
    """The application on one workspace, which it opens when it starts and closes when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = app.state.service = Service(root, environ)
        service.runner.start()
        service.commands.start()
        service.doors.notifier.start()
        yield
        await service.close()

    app = Described(
        title="Treegate",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
        form_limits={"max_fields": MOST_FIELDS},
    )
    app.add_exception_handler(TreegateError, problems.told)
    app.add_exception_handler(OSError, problems.told_of_system)
    app.add_exception_handler(HTTPException, problems.told_otherwise)
    app.add_exception_handler(RequestValidationError, problems.told_otherwise)
    for subject in SUBJECTS:
        app.include_router(subject.router)
    for page in (login, inbox, review, pictures, deciding, ui_runs, ui_commands, ui_cases, ui_audit, health):
        app.include_router(page.router)
    app.include_router(slackhook.router)
    app.mount("/ui/static", StaticFiles(packages=[("treegate.interfaces.http.ui", "static")]))
    for layer in (Heads, Bounds, Straight, Limited, Hosts, Stopping, Account, Headers):  # the last is the outermost
        app.add_middleware(layer)
    return app
