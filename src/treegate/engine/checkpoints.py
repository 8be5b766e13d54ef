"""Checkpoints: signed heads of the audit log, which kept elsewhere prove all of it up to there.

A checkpoint says that row `seq` has `hash`. It is stored beside the log, and the
row after it, `checkpointed`, tells that it was made: a log that ends before one
of its checkpoints was cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from treegate.engine import audit, keys, schema
from treegate.engine.audit import Anchor
from treegate.engine.schema import Prepared
from treegate.errors import NotFound, NotVerified, UsageError
from treegate.model.document import UNREADABLE

if TYPE_CHECKING:
    from treegate.engine.store import Reader
    from treegate.engine.store.records import By
    from treegate.engine.store.writer import Writer

FORMAT = 1
EVENT = "checkpointed"
REKEYED = "rekeyed"  # a new key signs from here on, for the old one was lost
EVENTS = 1000  # rows after which a run's end makes the next one
DAY = 86_400_000  # milliseconds after which it does, too

_columns = schema.checkpoints.c
_LAST = Prepared(schema.select(_columns.seq, _columns.at, _columns.document).order_by(_columns.seq.desc()).limit(1))
_LONGEST = 1 << 16  # bytes that are read of a file


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is signed; `at` in milliseconds since 1970, UTC."""

    format: int
    workspace: str
    state: str
    seq: int
    hash: str
    at: int
    public_key: str
    signature: str = ""

    @property
    def anchor(self) -> Anchor:
        """The place in the chain that it vouches for."""
        return Anchor(self.seq, self.hash)


_encode = msgspec.json.Encoder(order="sorted").encode


def encode(checkpoint: Checkpoint) -> bytes:
    """The document: canonical JSON (RFC 8785)."""
    return _encode(checkpoint)


def decode(document: bytes, name: str) -> Checkpoint:
    """A checkpoint from its document; `name` is for the message. Raises NotVerified "checkpoint-damaged"."""
    try:
        found = msgspec.json.decode(document, type=Checkpoint)
    except UNREADABLE as error:
        raise _damaged(name, f"is no checkpoint: {error}") from None
    if found.format != FORMAT:
        raise _damaged(name, f"is of format {found.format}, and this version reads {FORMAT}")
    return found


def read(path: Path) -> Checkpoint:
    """A checkpoint from a file; raises NotFound, UsageError or NotVerified."""
    try:
        with open(path, "rb") as file:
            return decode(file.read(_LONGEST), str(path))
    except FileNotFoundError:
        text = f"there is no file {str(path)!r}"
        raise NotFound(text, code="file-missing", next="treegate audit verify --help") from None
    except OSError as error:
        text = f"{path}: {error.strerror}"
        raise UsageError(text, code="file-unreadable", next="treegate audit verify --help") from None


def verify(checkpoint: Checkpoint) -> None:
    """Raises NotVerified "signature-invalid" unless the key that it names signed exactly this."""
    keys.verify(checkpoint.public_key, _signed_part(checkpoint), checkpoint.signature)


def make(transaction: Writer, key: keys.Key, by: By) -> Checkpoint:
    """Signs the log's head, stores that and says so in the log; where nothing was added since the last, that one.

    Raises NotVerified "key-unknown" where the log names another key.
    """
    if (known := known_key(transaction)) not in ("", key.public):
        raise _another_key(known, key.public)
    head, last = audit.head(transaction), _last(transaction)
    if last is not None and last[0] >= head.seq:
        raise _cut(head.seq, last[0])
    if last is not None and head.seq == last[0] + 1:
        return decode(last[2], f"the stored checkpoint of row {last[0]}")
    meta = transaction.meta()
    bare = Checkpoint(
        format=FORMAT,
        workspace=meta.workspace,
        state=meta.state,
        seq=head.seq,
        hash=head.hash,
        at=by.at,
        public_key=key.public,
    )
    made = msgspec.structs.replace(bare, signature=key.sign(_signed_part(bare)))
    values = {"seq": made.seq, "at": made.at, "document": encode(made).decode()}
    transaction.insert(schema.checkpoints, values)
    transaction.log(EVENT, by, data={"seq": made.seq, "hash": made.hash, "key": made.public_key})
    return made


def make_if_due(transaction: Writer, key: Callable[[], keys.Key], by: By) -> None:
    """Makes one where a thousand events or a day have gone by since the last; where none can be made, it is not."""
    last = _last(transaction)
    if last is not None and audit.head(transaction).seq - last[0] < EVENTS and abs(by.at - last[1]) < DAY:
        return
    with suppress(NotVerified):  # found before anything is written, and told by `audit verify`
        make(transaction, key(), by)


def stored(reader: Reader) -> Iterator[tuple[int, bytes]]:
    """The documents of all that are stored, with the row that each is stored for, oldest first."""
    table = schema.checkpoints
    for seq, document in reader.tuples(schema.select(table.c.seq, table.c.document).order_by(table.c.seq)):
        yield seq, str(document).encode("utf-8", "replace")


def _last(reader: Reader) -> tuple[int, int, bytes] | None:
    """Row, time and document of the newest that is stored."""
    return next(((seq, at, str(text).encode("utf-8", "replace")) for seq, at, text in reader.asked(_LAST)), None)


def rekey(transaction: Writer, public: str, by: By) -> None:
    """Note that another key signs from now on; nothing where it is the one that signs already."""
    if (known := known_key(transaction)) != public:
        transaction.log(REKEYED, by, data={"key": public, "before": known})


def known_key(reader: Reader) -> str:
    """The public key that signs, as the log names it: when it was replaced last, else at first; "" if nowhere."""
    table = schema.audit
    replaced = schema.select(table.c.seq).where(table.c.event == REKEYED).order_by(table.c.seq.desc()).limit(1)
    for (seq,) in reader.tuples(replaced):
        return named_key(next(audit.rows(reader, seq - 1, page=1)))
    return _first_key(reader)


def _first_key(reader: Reader) -> str:
    """The public key that the log names in its first row, or by its first checkpoint; "" if in neither."""
    first = next(audit.rows(reader, page=1), None)
    found = named_key(first) if first is not None else ""
    if not found:  # a database that an earlier version made
        query = schema.select(schema.checkpoints.c.seq).order_by(schema.checkpoints.c.seq).limit(1)
        after = [seq for (seq,) in reader.tuples(query)]
        row = next(audit.rows(reader, after[0], page=1), None) if after else None
        found = named_key(row) if row is not None else ""
    return found


class _Named(msgspec.Struct):
    key: str = ""


def named_key(row: audit.AuditRow) -> str:
    """The public key that a row of the log names, or ""."""
    if row.event not in ("adopted", EVENT, REKEYED):
        return ""
    try:
        return msgspec.json.decode(row.data, type=_Named).key
    except UNREADABLE:
        return ""


def _signed_part(checkpoint: Checkpoint) -> bytes:
    return _encode(msgspec.structs.replace(checkpoint, signature=""))


def _damaged(name: str, what: str) -> NotVerified:
    return NotVerified(
        f"{name} {what}",
        code="checkpoint-damaged",
        hint="take another copy of it, or an older checkpoint",
        next="treegate audit verify",
    )


def _another_key(known: str, found: str) -> NotVerified:
    return NotVerified(
        f"the log names the key {known}, and the state directory's is {found}",
        code="key-unknown",
        hint="put the file `key` of the state directory back from a backup",
        next="treegate audit verify",
    )


def _cut(head: int, seq: int) -> NotVerified:
    return NotVerified(
        f"the log ends at row {head}, and there is a checkpoint of row {seq}",
        code="audit-broken",
        hint="its end was cut: compare it with a backup or an exported log",
        next="treegate audit verify",
    )
