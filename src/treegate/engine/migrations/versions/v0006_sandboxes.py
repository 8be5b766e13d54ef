"""Commands in sandboxes: what was asked for, what was decided, what became of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0006"
down_revision = "v0005"


def upgrade() -> None:
    """Make the tables of sandboxes."""
    op.create_table(
        "sandboxes",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("cases", sa.LargeBinary, nullable=False),
        sa.Column("command", sa.LargeBinary, nullable=False),
        sa.Column("tools", sa.Text, nullable=False),
        sa.Column("script", sa.LargeBinary),
        sa.Column("engine", sa.String, nullable=False),
        sa.Column("image", sa.String, nullable=False),
        sa.Column("limits", sa.Text, nullable=False),
        sa.Column("direct", sa.Boolean, nullable=False),
        sa.Column("reads", sa.Boolean, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided_at", sa.BigInteger),
        sa.Column("comment", sa.Text),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("status", sa.Integer),
        sa.Column("why", sa.String),
        sa.Column("error", sa.Text),
        sa.Column("wanted", sa.String, unique=True),
        sa.Column("plan", sa.String),
        sa.Column("problems", sa.Text, nullable=False),
    )
    for column in ("state", "started_at", "plan"):
        op.create_index(f"ix_sandboxes_{column}", "sandboxes", [column])
    op.create_table(
        "sandbox_cases",
        sa.Column("sandbox", sa.String, sa.ForeignKey("sandboxes.id"), primary_key=True),
        sa.Column("case", sa.LargeBinary, primary_key=True),
    )
    op.create_index("ix_sandbox_cases_case", "sandbox_cases", ["case"])
