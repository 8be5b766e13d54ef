"""serve: the service, beside the workspace."""

from __future__ import annotations

from pathlib import Path

import click

from treegate.interfaces.cli import common


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8473, show_default=True, help="The port; 0 is any free one, which is printed.")
@common.options
def serve_command(host: str, port: int, workspace: str | None, state: str | None, as_json: bool) -> None:
    """The API and the review pages, for the workspace."""
    import uvicorn

    from treegate.engine.workspace import find
    from treegate.interfaces.http.app import create_app

    environ = common.environ(state)
    root = Path(workspace) if workspace else find(Path.cwd(), environ)
    uvicorn.run(create_app(root, environ), host=host, port=port)
