"""Migrations of the database, by Alembic; imported only when a database is not at the newest one."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from treegate.engine.schema import Connection
from treegate.errors import UsageError


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for this folder of migrations."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def upgrade(connection: Connection, version: str | None) -> None:
    """Bring a database from `version` to the newest one, within the transaction that is under way.

    Raises UsageError "database-newer" for a version that this code does not know.
    """
    known = {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}
    if version is not None and version not in known:
        raise UsageError(
            f"the database was written by a newer treegate (its version is {version})",
            code="database-newer",
            hint="use that treegate, or upgrade this one",
            next="treegate --version",
        )
    command.upgrade(config(connection), "head")
