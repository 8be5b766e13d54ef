"""Pauses, what runs did a day, which receipts speak of a path, signed heads of the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0002"
down_revision = "v0001"


def upgrade() -> None:
    """Make the tables of everyday use."""
    _pauses()
    _tallies()
    _touched()
    _checkpoints()


def _pauses() -> None:
    op.create_table(
        "pauses",
        sa.Column("case", sa.LargeBinary, primary_key=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )


def _tallies() -> None:
    op.create_table(
        "tallies",
        sa.Column("run", sa.String, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("case", sa.LargeBinary, primary_key=True),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("deletes", sa.BigInteger, nullable=False),
        sa.Column("delete_bytes", sa.BigInteger, nullable=False),
        sa.Column("replacements", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_tallies_author", "tallies", ["author"])


def _touched() -> None:
    op.create_table(
        "touched",
        sa.Column("path", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("run", sa.Integer, primary_key=True),
        sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_table("touched_runs", sa.Column("run", sa.Integer, primary_key=True, autoincrement=False))


def _checkpoints() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
