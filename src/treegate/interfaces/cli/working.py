"""worker: plans dropped as files, taken, decided on and carried out."""

from __future__ import annotations

from pathlib import Path

import click

from treegate.errors import UsageError
from treegate.interfaces.cli import common


@click.command("worker")
@click.option("--once", is_flag=True, help="Do what there is to do now, then end: for cron, or a timer.")
@common.here
def worker_command(once: bool, workspace: str | None, state: str | None, as_json: bool) -> None:
    """Take plans that are dropped into the queue, heed their status files, carry out what is approved.

    Drop a plan into Database/reorg_queue/ as {timestamp}-{case}.json. Ctrl-C ends it once what is under way is done.
    """
    from treegate.engine.workspace import find

    try:
        from treegate.interfaces.worker import working
    except ModuleNotFoundError as error:
        text, hint = "the worker needs the extra `queue`", "pip install 'treegate[queue]'"
        raise UsageError(text, code="queue-extra-missing", hint=hint) from error
    environ = common.environ(state)
    root = Path(workspace) if workspace else find(Path.cwd(), environ)

    def said(folder: Path) -> None:
        if as_json:
            common.emit({"queue": str(folder)})
        elif not once:
            common.say(f"Treegate takes plans that are dropped into {folder} (Ctrl-C ends it)")

    working.work(root, environ, once=once, said=said)
    if not (as_json or once):
        common.say("\nTreegate has ended; nothing is under way. Started again, it goes on.")
