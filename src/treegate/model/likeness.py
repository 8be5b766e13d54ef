"""How alike two names are: which one somebody who mistyped it most likely meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_MARKS = re.compile("[\u0300-\u036f]+")
_TRIES = 1000  # candidates whose distance is measured exactly, the likeliest first


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that a person who wrote `name` most likely meant, or None if none is near.

    Case and accents do not count. Then a few wrong, missing or extra characters or changed pairs, more of them in a
    longer name; then a name that holds this one, or is held by it. The first of equals wins.
    """
    names = list(dict.fromkeys(candidates))
    at = nearest_of(plain([name])[0], plain(names))
    return names[at] if at >= 0 else None


def nearest_of(wanted: str, plain: list[str]) -> int:
    """The index of the name that is nearest, -1 if none is; for who compares many names with the same ones."""
    if wanted in plain:
        return plain.index(wanted)
    bound = slips(wanted)
    likely = _likely(wanted, plain, bound)
    best, at = bound + 1, -1
    for lost, i in likely[:_TRIES]:
        if lost >= best:
            break
        measured = distance(wanted, plain[i], best - 1)
        if measured < best:
            best, at = measured, i
    return at if at >= 0 else _holding(wanted, plain)


def slips(wanted: str) -> int:
    """How many slips of the pen a name may have and still be meant; a longer one more."""
    stem = wanted.rpartition(".")[0] or wanted
    return min(4, (len(wanted) + 2) // 4, len(stem) - 1)  # another letter for the only one is another name


def plain(names: list[str]) -> list[str]:
    """The names without case and accents; all in one go, for a NUL is in no name and survives every folding."""
    text = "\0".join(names)
    if text.isascii():
        return text.lower().split("\0")
    return _MARKS.sub("", unicodedata.normalize("NFD", text.casefold())).split("\0")


def _likely(wanted: str, plain: list[str], bound: int) -> list[tuple[int, int]]:
    """(least possible distance, index) of those within the bound, best first.

    Cut `wanted` into pieces: one wrong character spoils one piece at most and a changed pair two, so two pieces that
    a candidate lacks cost at least one.
    """
    size = max(2, len(wanted) // (bound + 2))
    pieces = [wanted[i : i + size] for i in range(0, len(wanted), size)]
    low, high = len(wanted) - bound, len(wanted) + bound
    found = []
    for i, candidate in enumerate(plain):
        if low <= len(candidate) <= high:
            lost = 0
            for piece in pieces:
                if piece not in candidate:
                    lost += 1
                    if lost > 2 * bound:
                        break
            if lost <= 2 * bound:
                found.append(((lost + 1) // 2, i))
    return sorted(found)


def distance(a: str, b: str, bound: int) -> int:
    """How many characters are wrong, missing, extra, or two changed about; bound + 1 once it is sure to be more.

    Optimal string alignment: Boytsov, "Indexing methods for approximate dictionary searching", 2011, section 2.
    """
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        now = [i]
        for j, y in enumerate(b, 1):
            cost = min(row[j] + 1, now[j - 1] + 1, row[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and y == a[i - 2]:
                cost = min(cost, before[j - 2] + 1)
            now.append(cost)
        if min(now) > bound and min(row) > bound:
            return bound + 1
        before, row = row, now
    return row[-1]


def _holding(wanted: str, plain: list[str]) -> int:
    """The index of the shortest name that holds `wanted`, or of the longest that it holds; -1 if there is none."""
    if len(wanted) < 4:
        return -1
    longer = [(len(name), i) for i, name in enumerate(plain) if wanted in name]
    shorter = [(-len(name), i) for i, name in enumerate(plain) if len(name) > 3 and name in wanted]
    return min(longer or shorter, default=(0, -1))[1]
