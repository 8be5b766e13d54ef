"""The outbox: the audit log, and how far along it each sink has been told.

Nothing is copied: a sink is told the rows that follow its place, one after the other. Before a message is sent that
cannot be taken back, it is noted that this is tried; where a crash leaves the note, nobody knows whether the message
arrived, and who sends it again looks for it first.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from treegate.engine import audit, schema
from treegate.engine.audit import AuditRow
from treegate.engine.store import Reader, Transaction


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """How far a sink has been told; times in milliseconds since 1970, UTC."""

    name: str
    seq: int  # the audit row up to which all was told
    trying: int = 0  # the row that may have been told; 0 for none
    tried_at: int | None = None
    failing_since: int | None = None
    error: str = ""


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """The message of a sink that speaks of a plan, and the preview that it showed."""

    plan: str
    preview: int
    place: str


def places(reader: Reader) -> list[Place]:
    """Every sink that was ever told anything."""
    table = schema.sinks
    return reader.all(table.select().order_by(table.c.name), Place)


def place(reader: Reader, name: str) -> Place | None:
    """Where a sink is; None for a new one."""
    return reader.first(schema.sinks.select().where(schema.sinks.c.name == name), Place)


def enter(transaction: Transaction, name: str) -> Place:
    """Lets a new sink be told what happens from now on."""
    found = Place(name=name, seq=audit.head(transaction).seq)
    transaction.execute(schema.sinks.insert().values(msgspec.structs.asdict(found)))
    return found


def following(reader: Reader, seq: int, events: Collection[str]) -> AuditRow | None:
    """The first row after one that tells of one of some events."""
    table = schema.audit
    query = schema.select(*table.c).where((table.c.seq > seq) & table.c.event.in_(sorted(events)))
    found = reader.tuples(query.order_by(table.c.seq).limit(1))
    return AuditRow(*found[0]) if found else None


def trying(transaction: Transaction, name: str, seq: int, at: int) -> None:
    """Notes, before it is begun, that a sink is told a row."""
    _change(transaction, name, trying=seq, tried_at=at)


def told(transaction: Transaction, name: str, seq: int) -> None:
    """Notes that a sink was told all up to a row."""
    _change(transaction, name, seq=seq, trying=0, tried_at=None, failing_since=None, error="")


def failed(transaction: Transaction, name: str, at: int, error: str, *, known: bool) -> None:
    """Notes that a sink could not be told; `known` where it is sure that nothing arrived."""
    now = place(transaction, name)
    since = at if now is None or now.failing_since is None else now.failing_since
    settled: dict[str, Any] = {"trying": 0, "tried_at": None} if known else {}
    _change(transaction, name, failing_since=since, error=error, **settled)


def post(reader: Reader, sink: str, plan: str) -> Post | None:
    """The message that speaks of a plan."""
    table = schema.posts
    return reader.first(table.select().where((table.c.sink == sink) & (table.c.plan == plan)), Post)


def keep_post(transaction: Transaction, sink: str, post: Post) -> None:
    """Notes which message speaks of a plan from now on."""
    table = schema.posts
    transaction.execute(table.delete().where((table.c.sink == sink) & (table.c.plan == post.plan)))
    transaction.execute(table.insert().values({"sink": sink, **msgspec.structs.asdict(post)}))


def _change(transaction: Transaction, name: str, **columns: Any) -> None:
    transaction.execute(schema.sinks.update().where(schema.sinks.c.name == name).values(columns))
