"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0001"
down_revision = None


def upgrade() -> None:
    """Make every table of the first release."""
    _audit()
    _meta()
    _plans()
    _tokens()
    _claims()
    _plan_cases()
    _previews()
    _revisions()
    _chunks()
    _decisions()
    _runs()
    _run_cases()
    _undone()
    _vault()


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("plan", sa.String),
        sa.Column("run", sa.String),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("prev", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
    )
    op.create_index("ix_audit_plan", "audit", ["plan"])
    op.create_index("ix_audit_run", "audit", ["run"])


def _meta() -> None:
    op.create_table(
        "meta",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def _plans() -> None:
    op.create_table(
        "plans",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("cases", sa.LargeBinary, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("preview", sa.Integer),
        sa.Column("digest", sa.String),
        sa.Column("undo_of", sa.String),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_plans_state", "plans", ["state"])


def _tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("all_cases", sa.Boolean, nullable=False),
        sa.Column("cases", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.String, nullable=False, unique=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
    )
    op.create_index("ix_tokens_name", "tokens", ["name"])


def _claims() -> None:
    op.create_table(
        "claims",
        sa.Column("plan", sa.String, sa.ForeignKey("plans.id"), primary_key=True),
        sa.Column("run", sa.String, primary_key=True),
        sa.Column("entry", sa.Integer, primary_key=True),
    )
    op.create_index("claims_by_entry", "claims", ["run", "entry"])


def _plan_cases() -> None:
    op.create_table(
        "plan_cases",
        sa.Column("plan", sa.String, sa.ForeignKey("plans.id"), primary_key=True),
        sa.Column("case", sa.LargeBinary, primary_key=True),
    )
    op.create_index("ix_plan_cases_case", "plan_cases", ["case"])


def _previews() -> None:
    op.create_table(
        "previews",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("plan", sa.String, sa.ForeignKey("plans.id"), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("table_digest", sa.String, nullable=False),
        sa.Column("effects", sa.Integer, nullable=False),
        sa.Column("model", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_previews_digest", "previews", ["digest"])
    op.create_index("previews_by_plan", "previews", ["plan", "revision"])


def _revisions() -> None:
    op.create_table(
        "revisions",
        sa.Column("plan", sa.String, sa.ForeignKey("plans.id"), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("plan_digest", sa.String, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_revisions_plan_digest", "revisions", ["plan_digest"])


def _chunks() -> None:
    op.create_table(
        "chunks",
        sa.Column("preview", sa.Integer, sa.ForeignKey("previews.seq"), primary_key=True),
        sa.Column("n", sa.Integer, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("plan", sa.String, sa.ForeignKey("plans.id"), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("preview", sa.Integer, sa.ForeignKey("previews.seq"), nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("plan_digest", sa.String, nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("verdict", sa.String, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("consumed_by", sa.String),
    )
    op.create_index("ix_decisions_digest", "decisions", ["digest"])
    op.create_index("ix_decisions_plan", "decisions", ["plan"])
    op.create_index("ix_decisions_plan_digest", "decisions", ["plan_digest"])
    op.create_index("ix_decisions_preview", "decisions", ["preview"])


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("plan", sa.String, sa.ForeignKey("plans.id"), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("preview", sa.Integer, sa.ForeignKey("previews.seq"), nullable=False, unique=True),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("table_digest", sa.String, nullable=False),
        sa.Column("cases", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("receipt_digest", sa.String),
        sa.Column("undo_of", sa.String),
        sa.Column("generation", sa.Integer, nullable=False),
    )
    op.create_index("ix_runs_plan", "runs", ["plan"])
    op.create_index("ix_runs_state", "runs", ["state"])
    op.create_index("ix_runs_undo_of", "runs", ["undo_of"])


def _run_cases() -> None:
    op.create_table(
        "run_cases",
        sa.Column("run", sa.String, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("case", sa.LargeBinary, primary_key=True),
    )
    op.create_index("ix_run_cases_case", "run_cases", ["case"])


def _undone() -> None:
    op.create_table(
        "undone",
        sa.Column("run", sa.String, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("effect", sa.String, primary_key=True),
        sa.Column("by_run", sa.String, nullable=False),
    )
    op.create_index("ix_undone_by_run", "undone", ["by_run"])


def _vault() -> None:
    op.create_table(
        "vault",
        sa.Column("run", sa.String, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("entry", sa.Integer, primary_key=True),
        sa.Column("case", sa.LargeBinary, nullable=False),
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("files", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("kept_at", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("by_run", sa.String),
    )
    op.create_index("ix_vault_case", "vault", ["case"])
    op.create_index("ix_vault_state", "vault", ["state"])
