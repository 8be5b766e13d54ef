"""What is told to others: how far each sink is, which messages speak of which plan, what is wrong now."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0004"
down_revision = "v0003"


def upgrade() -> None:
    """Make the tables of the outbox."""
    op.create_table(
        "sinks",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("trying", sa.Integer, nullable=False),
        sa.Column("tried_at", sa.BigInteger),
        sa.Column("failing_since", sa.BigInteger),
        sa.Column("error", sa.Text, nullable=False),
    )
    op.create_table(
        "posts",
        sa.Column("sink", sa.String, primary_key=True),
        sa.Column("plan", sa.String, sa.ForeignKey("plans.id"), primary_key=True),
        sa.Column("preview", sa.Integer, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
    )
    op.create_table(
        "alerts",
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("about", sa.Text, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
