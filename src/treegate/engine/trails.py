"""Trails: which lines of which receipts speak of a path, found by the path's hash; all of it made anew from receipts.

Two paths with one hash are told apart by reading the line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from treegate.engine import schema
from treegate.engine.receipts import Line
from treegate.errors import NotVerified
from treegate.model import inverse
from treegate.model.effects import Effect, untagged

if TYPE_CHECKING:
    from treegate.engine.store import Reader, Run, Transaction


class Mark(NamedTuple):
    """A line of a receipt: its run, by number and id, and where in its file the line begins."""

    run: int  # runs.seq
    id: str
    offset: int


def key(path: str) -> int:
    """The hash of a path, as a signed 64-bit number."""
    raw = path.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "big", signed=True)


def named(effect: Effect) -> set[str]:
    """The paths that an effect speaks of, from `projects/`; `vault:RUN/ENTRY` for what it takes out of a vault."""
    texts = (effect.path, effect.source, effect.replaces)
    found = {untagged(text) for text in texts if text is not None}
    kept = inverse.kept_source(effect)
    return found if kept is None else found | {place(*kept)}


def place(run: str, entry: int) -> str:
    """What stands for the path of something in a run's vault."""
    return f"vault:{run}/{entry}"


def note(transaction: Transaction, run: Run, receipts: Path) -> None:
    """Enter a run's lines; one that is entered already, or has no lines, changes nothing."""
    done = schema.touched_runs
    if transaction.rows(done.select().where(done.c.run == run.seq)):
        return
    rows: set[tuple[int, ...]] = set()
    for offset, line in _lines(receipts / f"{run.id}.lines"):
        rows.update((key(path), run.seq, offset) for path in named(line.effect))
    transaction.insert_tuples(schema.touched, sorted(rows))
    transaction.execute(done.insert().values(run=run.seq))


def unnoted(reader: Reader) -> list[int]:
    """The runs (seq) that ended applied and whose lines are not entered yet."""
    runs, done = schema.runs, schema.touched_runs
    query = schema.select(runs.c.seq).where(
        runs.c.receipt_digest.is_not(None) & runs.c.seq.not_in(schema.select(done.c.run))
    )
    return [row["seq"] for row in reader.rows(query.order_by(runs.c.seq))]


def find(reader: Reader, path: str) -> list[Mark]:
    """Where lines speak of a path, or of another with the same hash; oldest run first."""
    table, runs = schema.touched, schema.runs
    query = schema.select(table.c.run, runs.c.id, table.c.line).join(runs, runs.c.seq == table.c.run)
    found = reader.tuples(query.where(table.c.path == key(path)).order_by(table.c.run, table.c.line))
    return [Mark(*values) for values in found]


def read(receipts: Path, run: str, offset: int) -> Effect:
    """The effect of one line; raises NotVerified for a file that is not what it was."""
    try:
        with open(receipts / f"{run}.lines", "rb") as file:
            file.seek(offset)
            return msgspec.json.decode(file.readline(), type=Line).effect
    except (OSError, msgspec.MsgspecError) as error:
        text = f"what {run} did cannot be read: {error}"
        raise NotVerified(text, code="receipt-damaged", next="treegate fsck") from error


def _lines(path: Path) -> Iterator[tuple[int, Line]]:
    decode, offset = msgspec.json.Decoder(Line).decode, 0
    with open(path, "rb") as file:
        for text in file:
            line = decode(text)
            if line.result == "done":
                yield offset, line
            offset += len(text)
