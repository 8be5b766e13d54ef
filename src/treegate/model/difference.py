"""The difference of two lists of effects: what came, what is gone, what happens otherwise to the same entry."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import islice

import msgspec

from treegate.model import inverse
from treegate.model.effects import Effect, Text

SHOWN = 200  # effects of each kind that a difference carries; the others are counted

Effects = Callable[[], Iterator[Effect]]  # a list that can be read more than once, for it may be too long to hold


class Changed(msgspec.Struct, frozen=True):
    """One entry to which something else happens now."""

    was: Effect
    now: Effect


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What distinguishes two lists of effects; the first `SHOWN` of each kind, and how many there are."""

    same: int
    came: list[Effect]
    came_count: int
    gone: list[Effect]
    gone_count: int
    changed: list[Changed]
    changed_count: int

    @property
    def empty(self) -> bool:
        """Whether both lists say the same."""
        return not (self.came_count or self.gone_count or self.changed_count)


def difference(before: Effects, after: Effects) -> Difference:
    """Compares two lists, whose numbers and order do not matter; a digest of each effect is held, not the effect."""
    was, now = _digests(before()), _digests(after())
    gone = dict(_those(before(), was.keys() - now.keys()))
    came = dict(_those(after(), now.keys() - was.keys()))
    by_entry = {_entry(effect): digest for digest, effect in gone.items()}
    pairs = [(by_entry[_entry(effect)], digest) for digest, effect in came.items() if _entry(effect) in by_entry]
    changed = [Changed(gone.pop(old), came.pop(new)) for old, new in dict(pairs).items()]
    return Difference(
        same=len(was.keys() & now.keys()),
        came=list(islice(came.values(), SHOWN)),
        came_count=len(came),
        gone=list(islice(gone.values(), SHOWN)),
        gone_count=len(gone),
        changed=changed[:SHOWN],
        changed_count=len(changed),
    )


def _digests(effects: Iterator[Effect]) -> dict[bytes, None]:
    return {_digest(effect): None for effect in effects}


def _those(effects: Iterator[Effect], wanted: set[bytes]) -> Iterator[tuple[bytes, Effect]]:
    for effect in effects if wanted else ():
        digest = _digest(effect)
        if digest in wanted:
            yield digest, effect


def _digest(effect: Effect) -> bytes:
    """What an effect says but for its numbers; two effects of one plan never say the same."""
    return hashlib.blake2b(msgspec.json.encode(inverse.likeness(effect)), digest_size=16).digest()


_NEW = frozenset({"made", "copied", "created", "linked"})


def _entry(effect: Effect) -> tuple[bool, Text]:
    """Which entry an effect is about: where it was, or, for one that is new, where it comes to be."""
    new = effect.effect in _NEW
    return new, effect.path if new or effect.source is None else effect.source
