"""Which waiting plans have to do with which path: found without reading any plan."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0005"
down_revision = "v0004"


def upgrade() -> None:
    """Make the table; a plan that waits already is in it once it is previewed again."""
    op.create_table(
        "footprints",
        sa.Column("path", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("mark", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("plan", sa.Integer, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_footprints_plan", "footprints", ["plan"])
