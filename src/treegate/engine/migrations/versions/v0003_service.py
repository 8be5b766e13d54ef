"""What the service keeps: jobs, sessions, one-time logins, answers to repeated requests, what each reviewer saw."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0003"
down_revision = "v0002"


def upgrade() -> None:
    """Make the tables of the service."""
    _jobs()
    _sessions()
    _answers()
    _looks()
    op.add_column("decisions", sa.Column("sample", sa.Integer))
    op.add_column("decisions", sa.Column("pins", sa.Text))


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("run", sa.String, nullable=False, unique=True),
        sa.Column("plan", sa.String, sa.ForeignKey("plans.id"), nullable=False),
        sa.Column("preview", sa.Integer, sa.ForeignKey("previews.seq"), nullable=False),
        sa.Column("cases", sa.LargeBinary, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_index("ix_jobs_preview", "jobs", ["preview"])
    op.create_index("ix_jobs_state", "jobs", ["state"])


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("hash", sa.String, primary_key=True),
        sa.Column("token", sa.String),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "logins",
        sa.Column("hash", sa.String, primary_key=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )


def _answers() -> None:
    op.create_table(
        "answers",
        sa.Column("actor", sa.Text, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("request", sa.String, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("headers", sa.Text),
        sa.Column("body", sa.LargeBinary),
        sa.Column("at", sa.BigInteger, nullable=False),
    )


def _looks() -> None:
    op.create_table(
        "looks",
        sa.Column("reviewer", sa.Text, primary_key=True),
        sa.Column("plan", sa.String, sa.ForeignKey("plans.id"), primary_key=True),
        sa.Column("preview", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
