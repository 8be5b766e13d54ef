"""The index of touched paths: which lines of which receipts speak of a path, found without reading any other.

A path is known by 64 bits of its hash; whoever reads the line sees whether it is the one. The index says nothing that
the receipts do not say: it may be thrown away and made anew at any time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from treegate.engine import audit, schema
from treegate.model.lifecycle import State

if TYPE_CHECKING:
    from treegate.engine.store import Reader
    from treegate.engine.store.writer import Writer

Speaks = tuple[int, set[str]]  # where a line begins, and the paths that it speaks of

_SLICE = 50_000  # lines that are sorted and inserted together
_INDEXED = (State.APPLIED.value, State.UNDONE.value)


class Spot(NamedTuple):
    """A line that speaks of a path, or of another with the same hash."""

    seq: int
    run: str
    line: int
    undone: bool


def key_of(path: str) -> int:
    """64 bits of a path's hash, as a signed integer."""
    data = path.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big", signed=True)


def add(transaction: Writer, seq: int, lines: Iterable[Speaks]) -> None:
    """Indexes a run (its `seq`), in place of what was indexed of it before."""
    remaining = iter(lines)
    transaction.delete(schema.touched_runs, run=seq)
    while part := list(islice(remaining, _SLICE)):
        rows = {(key_of(path), seq, line) for line, paths in part for path in paths}
        transaction.insert_tuples(schema.touched, sorted(rows))
    transaction.insert_tuples(schema.touched_runs, [(seq,)])


def missing(reader: Reader) -> list[tuple[int, str]]:
    """The runs that did something and are not indexed, by `seq` and id, oldest first."""
    runs, done = schema.runs, schema.touched_runs
    wanted = runs.c.state.in_(_INDEXED)
    if reader.count(runs, wanted) <= reader.count(done):
        return []
    query = schema.select(runs.c.seq, runs.c.id).where(wanted & runs.c.seq.not_in(schema.select(done.c.run)))
    return [(seq, id) for seq, id in reader.tuples(query.order_by(runs.c.seq))]


def spots(reader: Reader, path: str) -> Iterator[Spot]:
    """The lines that may speak of a path, in the order of their runs."""
    table, runs = schema.touched, schema.runs
    query = schema.select(table.c.run, runs.c.id, table.c.line, runs.c.state).join(runs, runs.c.seq == table.c.run)
    query = query.where(table.c.path == key_of(path)).order_by(table.c.run, table.c.line)
    for seq, run, line, state in reader.tuples(query):
        yield Spot(seq, run, line, state == State.UNDONE.value)


def taken_back_outside(reader: Reader, spot: Spot, effect: str) -> bool:
    """Whether a run's `rollback.sh` took back an effect of it, without treegate."""
    table = schema.undone
    query = schema.select(table.c.by_run).where((table.c.run == spot.run) & (table.c.effect == effect))
    by = [found for (found,) in reader.tuples(query)]
    return spot.run in by or (not by and spot.undone and any(_outside(reader, spot.run)))


class _Undone(msgspec.Struct):
    by_run: str | None = ""


def _outside(reader: Reader, run: str) -> Iterator[bool]:
    for row in audit.rows(reader, run=run):
        if row.event == "undone":
            yield msgspec.json.decode(row.data, type=_Undone).by_run is None
