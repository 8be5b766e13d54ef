"""Checkpoints: signed heads of the audit log, to be kept elsewhere: what comes before one cannot be rewritten unseen.

A checkpoint is a JSON document; the signature is Ed25519 (RFC 8032) over its canonical JSON (RFC 8785) without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from treegate.engine import audit, keys, schema
from treegate.engine.keys import Key
from treegate.errors import NotVerified

if TYPE_CHECKING:
    from treegate.engine.store import By, Reader, Transaction

FORMAT = 1
PUBLIC_KEYS = "public_keys"  # in the table `meta`: the keys that signed here, parted by spaces
MOST_BYTES = 1 << 16  # a larger file is no checkpoint


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """That row `seq` of a log has this hash; `at` in milliseconds since 1970, UTC."""

    format: int
    workspace: str
    state: str
    seq: int
    hash: str
    at: int
    public_key: str
    signature: str = ""


_encode = msgspec.json.Encoder(order="sorted").encode


def make(transaction: Transaction, key: Key, by: By) -> Checkpoint:
    """Sign the head of the log as it is now, keep that, and log it."""
    meta, head = transaction.meta(), audit.head(transaction)
    bare = Checkpoint(
        format=FORMAT,
        workspace=meta.workspace,
        state=meta.state,
        seq=head.seq,
        hash=head.hash,
        at=by.at,
        public_key=key.public,
    )
    made = msgspec.structs.replace(bare, signature=key.sign(_signed(bare)))
    values = {"seq": made.seq, "at": made.at, "document": _encode(made).decode()}
    transaction.execute(schema.checkpoints.delete().where(schema.checkpoints.c.seq == made.seq))
    transaction.execute(schema.checkpoints.insert().values(values))
    transaction.log("checkpoint", by, data={"seq": made.seq, "hash": made.hash, "public_key": made.public_key})
    return made


def kept(reader: Reader) -> list[bytes]:
    """The documents of all checkpoints that were made here, oldest first."""
    table = schema.checkpoints
    rows = reader.rows(schema.select(table.c.document).order_by(table.c.seq))
    return [row["document"].encode() for row in rows]


def newest(reader: Reader) -> tuple[int, int] | None:
    """(row, time) of the last checkpoint."""
    table = schema.checkpoints
    rows = reader.rows(schema.select(table.c.seq, table.c.at).order_by(table.c.seq.desc()).limit(1))
    return (rows[0]["seq"], rows[0]["at"]) if rows else None


def read(document: bytes) -> Checkpoint:
    """A checkpoint whose signature fits the key that it names; raises NotVerified.

    Whether that key is the one to be trusted is for the caller to know.
    """
    try:
        found = msgspec.json.decode(document, type=Checkpoint)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotVerified(f"this is no checkpoint: {error}", code="checkpoint-damaged") from error
    if found.format != FORMAT:
        text = f"the checkpoint has format {found.format}, and this treegate reads {FORMAT}"
        raise NotVerified(text, code="checkpoint-newer")
    keys.verify(found.public_key, _signed(found), found.signature)
    return found


def _signed(checkpoint: Checkpoint) -> bytes:
    return _encode(msgspec.structs.replace(checkpoint, signature=""))


def public_keys(reader: Reader) -> list[str]:
    """The public keys that this installation has signed with, oldest first, as the database has them."""
    rows = reader.rows(schema.select(schema.meta.c.value).where(schema.meta.c.key == PUBLIC_KEYS))
    return rows[0]["value"].split() if rows else []


def note_key(transaction: Transaction, public: str, by: By) -> None:
    """Note the key that signs from now on, once."""
    known = public_keys(transaction)
    if public in known:
        return
    table, value = schema.meta, " ".join([*known, public])
    if known:
        transaction.execute(table.update().where(table.c.key == PUBLIC_KEYS).values(value=value))
    else:
        transaction.execute(table.insert().values(key=PUBLIC_KEYS, value=value))
    transaction.log("key-noted", by, data={"public_key": public, "before": list(known)})
