"""The audit log: every event as one row, chained by hash, so that a later change of any row shows.

A row's hash is the SHA-256 of its own canonical JSON (RFC 8785) without the
hash; `prev` is the hash of the row before. A chain alone cannot show a cut
tail, nor that all of it was written anew: for that, verification starts from or
compares with an `Anchor` that was kept elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from treegate.engine import schema
from treegate.engine.schema import Prepared, bind
from treegate.errors import NotVerified

if TYPE_CHECKING:
    from treegate.engine.store import Reader
    from treegate.engine.store.writer import Writer

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]
"""What an event's data may hold: no floats, for their canonical form is another's guess."""


class AuditRow(msgspec.Struct, frozen=True, gc=False):
    """One event, its fields in the table's order; `at` in milliseconds since 1970, UTC; `data` is canonical JSON."""

    seq: int
    at: int
    event: str
    actor: str
    channel: str
    plan: str | None
    run: str | None
    data: str
    prev: str
    hash: str


class Anchor(NamedTuple):
    """A place in the chain: the row `seq` has this hash. Kept elsewhere, it proves all that comes before."""

    seq: int
    hash: str


GENESIS = Anchor(0, "0" * 64)

_columns = schema.audit.c
_HEAD = Prepared(schema.select(_columns.seq, _columns.hash).order_by(_columns.seq.desc()).limit(1))
_EVERY = schema.select(*_columns).where(_columns.seq > bind("after")).order_by(_columns.seq).limit(bind("page"))
_OF_PLAN, _OF_RUN = _columns.plan == bind("plan"), _columns.run == bind("run")
_PAGES = {
    (): Prepared(_EVERY),
    ("plan",): Prepared(_EVERY.where(_OF_PLAN)),
    ("run",): Prepared(_EVERY.where(_OF_RUN)),
    ("plan", "run"): Prepared(_EVERY.where(_OF_PLAN & _OF_RUN)),
}

_CANONICAL = msgspec.json.Encoder(order="sorted")
PAGE = 2000  # rows held at a time


class _Hashed(msgspec.Struct, gc=False):
    """What a hash is of. Fields stand in the order of canonical JSON, so that encoding need not sort them."""

    actor: str
    at: int
    channel: str
    data: msgspec.Raw
    event: str
    plan: str | None
    prev: str
    run: str | None
    seq: int


_encode = msgspec.json.Encoder().encode


def append(
    transaction: Writer,
    event: str,
    *,
    at: int,
    actor: str,
    channel: str,
    plan: str | None = None,
    run: str | None = None,
    data: Mapping[str, Json] | None = None,
) -> AuditRow:
    """Add an event to the log, in the transaction that does what it tells of."""
    before = head(transaction)
    row = AuditRow(
        seq=before.seq + 1,
        at=at,
        event=event,
        actor=_readable(actor),
        channel=channel,
        plan=plan,
        run=run,
        data=_written(data or {}),
        prev=before.hash,
        hash="",
    )
    row = msgspec.structs.replace(row, hash=digest_of(row))
    transaction.insert(schema.audit, msgspec.structs.asdict(row))
    return row


def head(reader: Reader) -> Anchor:
    """The newest row's place in the chain."""
    rows = reader.asked(_HEAD)
    return Anchor(*rows[0]) if rows else GENESIS


def rows(
    reader: Reader, after: int = 0, plan: str | None = None, run: str | None = None, page: int = PAGE
) -> Iterator[AuditRow]:
    """The rows after `after` in order, a page held at a time; of one plan or run, where given.

    Each page is a query of its own: reading a long log keeps no writer's log from being folded in.
    """
    given = {name: value for name, value in (("plan", plan), ("run", run)) if value is not None}
    query = _PAGES[tuple(given)]
    while found := reader.asked(query, after=after, page=page, **given):
        for values in found:
            yield AuditRow(*values)
        if len(found) < page:
            return
        after = found[-1][0]


def plans_from(reader: Reader, channel: str) -> set[str]:
    """The plans that were handed in at a door."""
    table = schema.audit
    came = (table.c.event == "submitted") & (table.c.channel == channel)
    return {str(plan) for (plan,) in reader.tuples(schema.select(table.c.plan).where(came))}


def checked(chain: Iterable[AuditRow], after: Anchor = GENESIS) -> Iterator[tuple[AuditRow, str]]:
    """Each row that follows `after`, with what is wrong there in a sentence, or "".

    A row is held against the one before it as that one stands, so that one fault is told once, where it is.
    """
    seq, known = after
    for row in chain:
        said = ""
        if row.seq != seq + 1:
            said = _missing(seq, row.seq)
        elif row.prev != known:
            said = f"audit row {row.seq} does not follow from the one before it"
        elif row.hash != digest_of(row):
            said = f"audit row {row.seq} was changed after it was written"
        yield row, said
        seq, known = row.seq, row.hash


def verify(chain: Iterable[AuditRow], after: Anchor = GENESIS) -> Anchor:
    """Check rows that follow `after`, one at a time, and give the place that they lead to.

    Raises NotVerified "audit-broken", naming the first row that does not hold.
    """
    for row, said in checked(chain, after):
        if said:
            raise _broken(said)
        after = Anchor(row.seq, row.hash)
    return after


def digest_of(row: AuditRow) -> str:
    """The hash that a row must have; "" for one that was edited into something that no event can be."""
    if type(row.at) is not int:
        return ""
    try:
        data = msgspec.Raw(row.data.encode())
        fields = _Hashed(row.actor, row.at, row.channel, data, row.event, row.plan, row.prev, row.run, row.seq)
        return hashlib.sha256(_encode(fields)).hexdigest()
    except (AttributeError, TypeError, ValueError):
        return ""


def _missing(before: int, found: int) -> str:
    first, last = before + 1, found - 1
    if first < last:
        return f"audit rows {first} to {last} are missing: after {before} comes {found}"
    return f"audit row {first} is missing: after {before} comes {found}"


def _written(data: Mapping[str, Json]) -> str:
    """An event's data as canonical JSON."""
    try:
        return _CANONICAL.encode(data).decode()
    except UnicodeEncodeError:
        return _CANONICAL.encode(_all_readable(data)).decode()


def _all_readable(value: Json) -> Json:
    if isinstance(value, str):
        return _readable(value)
    if isinstance(value, Mapping):
        return {_readable(key): _all_readable(inner) for key, inner in value.items()}
    return [_all_readable(inner) for inner in value] if isinstance(value, Sequence) else value


def _readable(text: str) -> str:
    """Text that JSON can hold: what comes in through a shell need not be UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _broken(what: str) -> NotVerified:
    return NotVerified(
        what,
        code="audit-broken",
        hint="the log was edited, or the database is damaged: compare it with a backup or an exported log",
        next="treegate fsck",
    )
