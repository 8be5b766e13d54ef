"""The audit log: every event as one row, chained by hash, so that a later change of any row shows.

A row's hash is the SHA-256 of its own canonical JSON (RFC 8785) without the
hash; `prev` is the hash of the row before. A chain alone cannot show a cut
tail, nor that all of it was written anew: for that, verification compares with
anchors that were signed, and best kept elsewhere (engine.checkpoints).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from treegate.engine import schema
from treegate.errors import NotVerified

if TYPE_CHECKING:
    from treegate.engine.store import Reader
    from treegate.engine.store.writer import Writer

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]
"""What an event's data may hold: no floats, for their canonical form is another's guess."""


class AuditRow(msgspec.Struct, frozen=True):
    """One event; `at` in milliseconds since 1970, UTC; `data` is canonical JSON."""

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
HEAD = "audit_head"  # in the table `meta`: the newest row as the last writer left it
PAGE = 10_000  # rows read at once
GAP = "audit-gap"  # the event that says that rows were found missing

_CANONICAL = msgspec.json.Encoder(order="sorted")


class _Hashed(msgspec.Struct):
    """What a row's hash covers; the fields stand in the order of canonical JSON, so that no sorting is needed."""

    actor: str
    at: int
    channel: str
    data: msgspec.Raw
    event: str
    plan: str | None
    prev: str
    run: str | None
    seq: int


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
    """Add an event to the log, in the transaction that does what it tells of.

    Where rows are gone from its end, the log itself says so from then on.
    """
    before, left = head(transaction), _left(transaction)
    if left is not None and left != before:
        gap: dict[str, Json] = {"expected": left.seq, "found": before.seq, "hash": left.hash}
        before = _anchor(_append(transaction, before, GAP, at, "treegate", channel, None, None, gap))
    row = _append(transaction, before, event, at, _readable(actor), channel, plan, run, data or {})
    _leave(transaction, _anchor(row), new=left is None)
    return row


def _append(
    transaction: Writer,
    before: Anchor,
    event: str,
    at: int,
    actor: str,
    channel: str,
    plan: str | None,
    run: str | None,
    data: Mapping[str, Json],
) -> AuditRow:
    row = AuditRow(
        seq=before.seq + 1,
        at=at,
        event=event,
        actor=actor,
        channel=channel,
        plan=plan,
        run=run,
        data=_CANONICAL.encode(data).decode(),
        prev=before.hash,
        hash="",
    )
    row = msgspec.structs.replace(row, hash=hash_of(row))
    transaction.execute(schema.audit.insert().values(msgspec.structs.asdict(row)))
    return row


def _anchor(row: AuditRow) -> Anchor:
    return Anchor(row.seq, row.hash)


def _left(reader: Reader) -> Anchor | None:
    """The newest row as the last writer left it; None in a log that no such writer has seen."""
    rows = reader.rows(schema.select(schema.meta.c.value).where(schema.meta.c.key == HEAD))
    seq, _, digest = rows[0]["value"].partition(":") if rows else ("", "", "")
    return Anchor(int(seq), digest) if seq.isdecimal() else None


def _leave(transaction: Writer, newest: Anchor, *, new: bool) -> None:
    table, value = schema.meta, f"{newest.seq}:{newest.hash}"
    if new:
        transaction.execute(table.insert().values(key=HEAD, value=value))
    else:
        transaction.execute(table.update().where(table.c.key == HEAD).values(value=value))


def missing(reader: Reader) -> int:
    """How many rows are gone from the end of the log since it was last written to."""
    left = _left(reader)
    return 0 if left is None else max(0, left.seq - head(reader).seq)


def head(reader: Reader) -> Anchor:
    """The newest row's place in the chain."""
    table = schema.audit
    rows = reader.rows(schema.select(table.c.seq, table.c.hash).order_by(table.c.seq.desc()).limit(1))
    return Anchor(rows[0]["seq"], rows[0]["hash"]) if rows else GENESIS


def rows(
    reader: Reader, after: int = 0, plan: str | None = None, run: str | None = None, page: int = PAGE
) -> Iterator[AuditRow]:
    """The rows after `after` in order, a page held at a time; of one plan or run, where given."""
    table = schema.audit
    query = schema.select(*(table.c[name] for name in AuditRow.__struct_fields__)).order_by(table.c.seq).limit(page)
    for column, value in ((table.c.plan, plan), (table.c.run, run)):
        if value is not None:
            query = query.where(column == value)
    while found := reader.tuples(query.where(table.c.seq > after)):
        for values in found:
            yield AuditRow(*values)
        after = found[-1][0]


def newest(reader: Reader, case: str | None, limit: int) -> list[AuditRow]:
    """The newest rows, newest first; of plans and runs of a case, where given."""
    table = schema.audit
    query = schema.select(*(table.c[name] for name in AuditRow.__struct_fields__)).order_by(table.c.seq.desc())
    if case is not None:
        plans, runs = schema.plan_cases, schema.run_cases
        of_plan = table.c.plan.in_(schema.select(plans.c.plan).where(plans.c.case == case))
        query = query.where(of_plan | table.c.run.in_(schema.select(runs.c.run).where(runs.c.case == case)))
    return [AuditRow(*values) for values in reader.tuples(query.limit(limit))]


def verify(chain: Iterable[AuditRow], after: Anchor = GENESIS, known: Mapping[int, str] | None = None) -> Anchor:
    """Check rows that follow `after`, one at a time, and give the place that they lead to.

    `known` are hashes of some rows by their number, from signed checkpoints. Raises NotVerified "audit-broken",
    naming the first row that does not hold.
    """
    seq, before = after
    known = known or {}
    for row in chain:
        seq += 1
        if row.seq != seq:
            raise _broken(seq, f"is missing: after {seq - 1} comes {row.seq}")
        if row.prev != before:
            raise _broken(seq, "does not follow from the one before it")
        before = hash_of(row)
        if row.hash != before:
            raise _broken(seq, "was changed after it was written")
        if known.get(seq, before) != before:
            raise _broken(seq, "is not the one that was signed: the log was written anew up to there, or further")
    return Anchor(seq, before)


_plain = msgspec.json.Encoder().encode


def hash_of(row: AuditRow) -> str:
    """What the row's hash has to be; "" for a row that no writer of ours could have written."""
    try:
        data = msgspec.Raw(row.data.encode())
        covered = _Hashed(row.actor, row.at, row.channel, data, row.event, row.plan, row.prev, row.run, row.seq)
        return hashlib.sha256(_plain(covered)).hexdigest()
    except (AttributeError, TypeError, UnicodeEncodeError, msgspec.MsgspecError):
        return ""


def line(row: AuditRow) -> bytes:
    """A row as a line of an exported log: canonical JSON, the data as an object, and the hash."""
    fields = {**msgspec.structs.asdict(row), "data": msgspec.Raw(row.data.encode())}
    return _CANONICAL.encode(fields) + b"\n"


class _Exported(msgspec.Struct):
    """A line of an exported log."""

    seq: int
    at: int
    event: str
    actor: str
    channel: str
    plan: str | None
    run: str | None
    data: msgspec.Raw
    prev: str
    hash: str


def exported(lines: Iterable[bytes]) -> Iterator[AuditRow]:
    """The rows of an exported log; raises NotVerified "audit-broken" for a line that is none."""
    read = msgspec.json.Decoder(_Exported).decode
    for number, text in enumerate(lines, 1):
        try:
            found = read(text)
            data = bytes(found.data).decode()
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise _broken(number, f"cannot be read: {error}") from error
        values = {name: getattr(found, name) for name in AuditRow.__struct_fields__}
        yield AuditRow(**{**values, "data": data})


def _readable(text: str) -> str:
    """Text that JSON can hold: what comes in through a shell need not be UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _broken(seq: int, what: str) -> NotVerified:
    return NotVerified(
        f"audit row {seq} {what}",
        code="audit-broken",
        hint="the log was edited, or the database is damaged: compare it with a backup or an exported log",
        next="treegate audit verify",
    )
