"""The footprints of plans that may be carried out: who has to do with the same places, found without reading any.

A path is known by 64 bits of its hash; whoever tells people of two plans has looked at their effects.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from treegate.engine import schema
from treegate.engine.schema import Prepared, bind
from treegate.engine.touched import key_of
from treegate.model.effects import EffectKind, Text
from treegate.model.footprint import Mark, Print, Prints

if TYPE_CHECKING:
    from treegate.engine.store.reader import Reader
    from treegate.engine.store.writer import Writer

_TOUCH = ((Mark.SLOT, Mark.SLOT), (Mark.WHOLE, Mark.ABOVE), (Mark.ABOVE, Mark.WHOLE))
_UPSET = (*_TOUCH, (Mark.SLOT, Mark.READ), (Mark.ABOVE, Mark.READ))  # what was to be copied is another thing then


class _Line(msgspec.Struct, rename={"source": "from"}):
    """What a footprint is made of."""

    effect: EffectKind
    path: Text
    kind: str
    source: Text | None = None


_decode = msgspec.json.Decoder(list[_Line]).decode


def add(prints: Prints, chunk: bytes) -> None:
    """Takes in the effects of a chunk: a JSON array."""
    prints.add(_decode(chunk))


def keep(transaction: Writer, seq: int, prints: Iterable[Print]) -> None:
    """Keeps the footprint of a plan (its `seq`), in place of the one before."""
    drop(transaction, seq)
    rows = [(key_of(path), int(mark), seq) for mark, path in prints]
    transaction.insert_tuples(schema.footprints, sorted(rows))


def drop(transaction: Writer, seq: int) -> None:
    """A plan has to do with nothing any more."""
    transaction.execute(schema.footprints.delete().where(schema.footprints.c.plan == seq))


def beside(reader: Reader, seq: int, most: int) -> list[str]:
    """The ids of plans that touch what a plan touches, oldest first, as many as `most`."""
    return [str(id) for (id,) in reader.asked(_meeting(_TOUCH), seq=seq, most=most)]


def upset(reader: Reader, seq: int, most: int) -> list[str]:
    """The ids of plans that may not fit any more once a plan is carried out, likewise."""
    return [str(id) for (id,) in reader.asked(_meeting(_UPSET), seq=seq, most=most)]


@cache
def _meeting(pairs: tuple[tuple[Mark, Mark], ...]) -> Prepared:
    """The question, for any plan `seq`."""
    plans, met = schema.plans, schema.union(*(_met(one, other) for one, other in pairs))
    return Prepared(schema.select(plans.c.id).where(plans.c.seq.in_(met)).order_by(plans.c.seq).limit(bind("most")))


def _met(one: Mark, other: Mark) -> schema.Select[Any]:
    """The plans of one mark on the paths on which the plan has another: of each path the oldest few."""
    mine, theirs, among = (schema.footprints.alias(name) for name in ("mine", "theirs", "among"))
    seq, most = bind("seq"), bind("most")
    first = schema.select(among.c.plan).where(
        among.c.path == mine.c.path, among.c.mark == int(other), among.c.plan != seq
    )
    few = first.correlate(mine).order_by(among.c.plan).limit(most)
    same = (theirs.c.path == mine.c.path) & (theirs.c.mark == int(other)) & theirs.c.plan.in_(few)
    met = schema.select(theirs.c.plan).select_from(mine.join(theirs, same))
    return met.where((mine.c.plan == seq) & (mine.c.mark == int(one)))
