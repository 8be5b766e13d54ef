"""The names in one folder, with which many new ones are compared: in linear time, however many both are."""

from __future__ import annotations

from collections.abc import Iterator

from treegate.model import likeness

PAIRS = 100_000  # new names times old ones that are compared each with each
MOST_INDEXED = 20_000  # old names that are found in spite of a slip; it takes an entry per letter


class Neighbours:
    """Names, and which of them another one is near to; `asked` says how many will ask.

    Up to so many pairs, the nearest as `likeness.nearest` has it. Beyond, the one that is the same but for case and
    accents, or else but for one slip: a letter wrong, missing, extra, or two changed about. Two such names are the
    same once each has lost at most one letter, so these are looked up (Garbe's SymSpell, 2012, with one deletion).
    """

    def __init__(self, known: list[str], asked: int) -> None:
        self._known, self._plain = known, likeness.plain(known) if known else []
        self._exact = len(known) * asked <= PAIRS
        self._whole, self._shorn = _indexed([] if self._exact else self._plain)

    def nearest(self, name: str) -> str | None:
        """The name that is nearest to this one, or None if none is near."""
        if not self._known:
            return None
        wanted = likeness.plain([name])[0]
        at = likeness.nearest_of(wanted, self._plain) if self._exact else self._looked_up(wanted)
        return self._known[at] if at >= 0 else None

    def _looked_up(self, wanted: str) -> int:
        """The one that is the same, or the same but for one slip; -1 if there is none."""
        if wanted in self._whole or likeness.slips(wanted) < 1:
            return self._whole.get(wanted, -1)
        less = list(_shorn(wanted))
        near = (*map(self._whole.get, less), self._shorn.get(wanted), *map(self._shorn.get, less))
        likely = (i for i in near if i is not None)
        return next((i for i in likely if likeness.distance(wanted, self._plain[i], 1) <= 1), -1)


def _indexed(plain: list[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Where each name is, and where one is that comes to this without one of its letters."""
    whole: dict[str, int] = {}
    shorn: dict[str, int] = {}
    for i, name in enumerate(plain):
        whole.setdefault(name, i)
    for i, name in enumerate(plain[:MOST_INDEXED]):
        for less in _shorn(name):
            shorn.setdefault(less, i)
    return whole, shorn


def _shorn(name: str) -> Iterator[str]:
    """The name without each of its letters."""
    return (name[:i] + name[i + 1 :] for i in range(len(name)))
