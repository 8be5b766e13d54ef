"""The tables of the state directory's database.

Times are integer milliseconds since 1970, UTC, given by the caller. Order is
kept by `seq` columns, never by times: clocks go backwards. Columns that may
hold file names are bytes, for names need not be UTF-8.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from treegate.engine.schema.columns import Name, Names, Prose

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),  # workspace, state, generation, policy
    Column("value", Text, nullable=False),
)

plans = Table(
    "plans",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("cases", Names, nullable=False),
    Column("title", Prose, nullable=False),
    Column("author", Prose, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("preview", Integer),  # the current one; null until previewed
    Column("digest", String),  # of the current preview
    Column("undo_of", String),  # the run that this plan takes back
    Column("expires_at", BigInteger),  # of the approval
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

plan_cases = Table(
    "plan_cases",
    metadata,
    Column("plan", ForeignKey("plans.id"), primary_key=True),
    Column("case", Name, primary_key=True, index=True),
)

revisions = Table(
    "revisions",
    metadata,
    Column("plan", ForeignKey("plans.id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("plan_digest", String, nullable=False, index=True),
    Column("document", LargeBinary, nullable=False),  # zstd
    Column("author", Prose, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

claims = Table(  # what the newest revision of a plan would take out of a vault
    "claims",
    metadata,
    Column("plan", ForeignKey("plans.id"), primary_key=True),
    Column("run", String, primary_key=True),
    Column("entry", Integer, primary_key=True),
    Index("claims_by_entry", "run", "entry"),
)

previews = Table(
    "previews",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("plan", ForeignKey("plans.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("digest", String, nullable=False, index=True),
    Column("table_digest", String, nullable=False),
    Column("effects", Integer, nullable=False),
    Column("model", LargeBinary, nullable=False),  # zstd
    Column("created_at", BigInteger, nullable=False),
    Index("previews_by_plan", "plan", "revision"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("preview", ForeignKey("previews.seq"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),  # zstd
)

decisions = Table(
    "decisions",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("plan", ForeignKey("plans.id"), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("preview", ForeignKey("previews.seq"), nullable=False, index=True),
    Column("digest", String, nullable=False, index=True),
    Column("plan_digest", String, nullable=False, index=True),
    Column("reviewer", Prose, nullable=False),
    Column("role", String, nullable=False),
    Column("verdict", String, nullable=False),
    Column("comment", Prose, nullable=False),
    Column("channel", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("consumed_by", String),  # the run that used this approval
    Column("sample", Integer),  # how many effects, drawn by chance, were shown with their contents
    Column("pins", Text),  # JSON: the effects and patterns that a comment is about
)

runs = Table(
    "runs",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("plan", ForeignKey("plans.id"), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    # one run a preview, whatever races: an approved digest is applied once
    Column("preview", ForeignKey("previews.seq"), nullable=False, unique=True),
    Column("digest", String, nullable=False),
    Column("table_digest", String, nullable=False),
    Column("cases", Names, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("actor", Prose, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("receipt_digest", String),
    Column("undo_of", String, index=True),
    Column("generation", Integer, nullable=False),
)

run_cases = Table(
    "run_cases",
    metadata,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("case", Name, primary_key=True, index=True),
)

undone = Table(  # effects of a run that a later run took back
    "undone",
    metadata,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("effect", String, primary_key=True),
    Column("by_run", String, nullable=False, index=True),
)

vault = Table(
    "vault",
    metadata,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("entry", Integer, primary_key=True),
    Column("case", Name, nullable=False, index=True),
    Column("path", Name, nullable=False),
    Column("kind", String, nullable=False),
    Column("files", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("kept_at", BigInteger, nullable=False),
    Column("until", BigInteger),  # null: kept until someone decides otherwise
    Column("state", String, nullable=False, index=True),
    Column("by_run", String),  # the run that restored it
)

tokens = Table(
    "tokens",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("name", Prose, nullable=False, index=True),
    Column("role", String, nullable=False),
    Column("all_cases", Boolean, nullable=False),
    Column("cases", Names, nullable=False),
    Column("hash", String, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Prose, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("event", String, nullable=False),
    Column("actor", Prose, nullable=False),
    Column("channel", String, nullable=False),
    Column("plan", String, index=True),
    Column("run", String, index=True),
    Column("data", Text, nullable=False),  # canonical JSON
    Column("prev", String, nullable=False),
    Column("hash", String, nullable=False),
)

pauses = Table(  # what is paused: one case, or with an empty name the whole workspace
    "pauses",
    metadata,
    Column("case", Name, primary_key=True),
    Column("actor", Prose, nullable=False),
    Column("channel", String, nullable=False),
    Column("comment", Prose, nullable=False),
    Column("at", BigInteger, nullable=False),
)

tallies = Table(  # what each run did to each case, for the limits of a day
    "tallies",
    metadata,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("case", Name, primary_key=True),
    Column("author", Prose, nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("deletes", BigInteger, nullable=False),
    Column("delete_bytes", BigInteger, nullable=False),
    Column("replacements", BigInteger, nullable=False),
)

touched = Table(  # which lines of which receipts speak of a path, found by the path's hash; made anew from receipts
    "touched",
    metadata,
    Column("path", BigInteger, primary_key=True, autoincrement=False),
    Column("run", Integer, primary_key=True),  # runs.seq
    Column("line", BigInteger, primary_key=True, autoincrement=False),  # where it begins in the run's lines, in bytes
    sqlite_with_rowid=False,
)

touched_runs = Table(  # the runs whose lines are in `touched`
    "touched_runs",
    metadata,
    Column("run", Integer, primary_key=True, autoincrement=False),  # runs.seq
)

footprints = Table(  # what each plan that may still be carried out has to do with which path (model.footprint)
    "footprints",
    metadata,
    Column("path", BigInteger, primary_key=True, autoincrement=False),  # its hash, as in `touched`
    Column("mark", Integer, primary_key=True, autoincrement=False),
    Column("plan", Integer, primary_key=True, autoincrement=False, index=True),  # plans.seq
    sqlite_with_rowid=False,
)

checkpoints = Table(  # signed heads of the audit log
    "checkpoints",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),  # of the audit row that each vouches for
    Column("at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),  # as it was exported
)

jobs = Table(  # runs that the service was asked for; `run` is the id that the run gets when it begins
    "jobs",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("run", String, nullable=False, unique=True),
    Column("plan", ForeignKey("plans.id"), nullable=False),
    Column("preview", ForeignKey("previews.seq"), nullable=False, index=True),
    Column("cases", Names, nullable=False),
    Column("actor", Text, nullable=False),  # JSON: on whose behalf
    Column("state", String, nullable=False, index=True),  # queued, running, done, failed
    Column("error", Text),  # JSON, as every door tells errors
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
)

sessions = Table(  # people logged in to the pages, by the hash of their cookie
    "sessions",
    metadata,
    Column("hash", String, primary_key=True),
    Column("token", String),  # id of the token they came with; null: OpenID Connect, or the shell
    Column("actor", Text, nullable=False),  # JSON
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

logins = Table(  # addresses that log in once
    "logins",
    metadata,
    Column("hash", String, primary_key=True),
    Column("actor", Text, nullable=False),  # JSON
    Column("expires_at", BigInteger, nullable=False),
)

answers = Table(  # what was answered to requests with an Idempotency-Key; no status yet: under way
    "answers",
    metadata,
    Column("actor", Text, primary_key=True),
    Column("key", String, primary_key=True),
    Column("request", String, nullable=False),  # hash of method, path and body
    Column("status", Integer),
    Column("headers", Text),  # JSON
    Column("body", LargeBinary),  # zstd
    Column("at", BigInteger, nullable=False),
)

looks = Table(  # the preview of a plan that a reviewer saw last
    "looks",
    metadata,
    Column("reviewer", Text, primary_key=True),
    Column("plan", ForeignKey("plans.id"), primary_key=True),
    Column("preview", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
)

sinks = Table(  # how far each place that is told what happens has been told
    "sinks",
    metadata,
    Column("name", String, primary_key=True),  # "slack", or the name of a webhook
    Column("seq", Integer, nullable=False),  # the audit row up to which all was told
    Column("trying", Integer, nullable=False),  # the row that may have been told: nobody knows; 0 for none
    Column("tried_at", BigInteger),  # when that was begun
    Column("failing_since", BigInteger),  # null: the last attempt went well
    Column("error", Text, nullable=False),
)

posts = Table(  # the message that speaks of a plan, where a sink has messages that stay
    "posts",
    metadata,
    Column("sink", String, primary_key=True),
    Column("plan", ForeignKey("plans.id"), primary_key=True),
    Column("preview", Integer, nullable=False),  # what it showed; 0 where it showed none
    Column("place", Text, nullable=False),  # the sink's own name of it
)

alerts = Table(  # what is wrong now, as it was told
    "alerts",
    metadata,
    Column("kind", String, primary_key=True),
    Column("about", Prose, primary_key=True),  # a run, a plan, a case, or ""
    Column("text", Prose, nullable=False),
    Column("at", BigInteger, nullable=False),
)

sandboxes = Table(  # commands that run, or ran, in sandboxes
    "sandboxes",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("author", Prose, nullable=False),
    Column("channel", String, nullable=False),
    Column("actor", Text, nullable=False),  # JSON: on whose behalf
    Column("cases", Names, nullable=False),
    Column("command", Names, nullable=False),
    Column("tools", Text, nullable=False),  # JSON: path below the tools folder, SHA-256
    Column("script", LargeBinary),  # one that was dropped: its content, seen as the last of the tools
    Column("engine", String, nullable=False),  # asked for
    Column("image", String, nullable=False),
    Column("limits", Text, nullable=False),  # JSON
    Column("direct", Boolean, nullable=False),
    Column("reads", Boolean, nullable=False),
    Column("digest", String, nullable=False),  # of all that an approval of the command is of
    Column("state", String, nullable=False, index=True),
    Column("decided_by", Prose),
    Column("decided_at", BigInteger),
    Column("comment", Prose),
    Column("expires_at", BigInteger),  # of the command's approval
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger, index=True),
    Column("ended_at", BigInteger),
    Column("status", Integer),  # of the command
    Column("why", String),  # it ended
    Column("error", Text),  # JSON, as every door tells errors: why it failed
    Column("wanted", String, unique=True),  # the id that its plan is to have, of a script that was dropped
    Column("plan", String, index=True),  # that came of it
    Column("problems", Text, nullable=False),  # JSON: what its plan has to say besides its operations
)

sandbox_cases = Table(
    "sandbox_cases",
    metadata,
    Column("sandbox", ForeignKey("sandboxes.id"), primary_key=True),
    Column("case", Name, primary_key=True, index=True),
)
