"""Pages of a preview's effects, sought through if need be; a preview never changes, so what was read once is kept.

What effects are sought by is drawn out once, by the crew, and kept; then a filter takes some milliseconds, and lets
other requests in between.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from treegate.engine.store import Store
from treegate.engine.store.records import CHUNK, StoredPreview
from treegate.gate.finding import AT_ONCE, KINDS, Piece
from treegate.interfaces.crew.crews import Crews
from treegate.interfaces.crew.runner import OURSELVES
from treegate.model.document import inert

MOST_KEPT = 64 << 20  # bytes of chunks, and as many of lines to seek through
MOST_FOUND = 8 << 20  # positions that filters found
WORTH = 5_000  # effects from which on who looks at a page may filter it next, so that its lines are drawn out by then

T = TypeVar("T")
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])


class Page(msgspec.Struct, frozen=True):
    """Some effects, as JSON; `next` is where the page after this one begins, and `total` all there are that fit."""

    effects: list[msgspec.Raw]
    next: int | None
    total: int

    def json(self) -> bytes:
        """The page as JSON; its effects as they are stored."""
        after = b"null" if self.next is None else b"%d" % self.next
        return b'{"effects":[%b],"next":%b,"total":%d}' % (b",".join(self.effects), after, self.total)


class _Lines(NamedTuple):
    """A piece, taken apart."""

    lines: list[bytes]
    kinds: bytes


class Effects:
    """The effects of previews; those that were looked at last are kept."""

    def __init__(self, store: Store, crew: Crews) -> None:
        self._store, self._crew = store, crew
        self._chunks: _Kept[list[msgspec.Raw]] = _Kept(MOST_KEPT)
        self._lines: _Kept[list[_Lines]] = _Kept(MOST_KEPT)
        self._found: _Kept[Sequence[int]] = _Kept(MOST_FOUND)
        self._drawing: dict[Hashable, asyncio.Task[list[_Lines]]] = {}
        self._seeking: dict[Hashable, asyncio.Task[Sequence[int]]] = {}

    async def page(
        self,
        preview: StoredPreview,
        start: int,
        count: int,
        words: str = "",
        *,
        kind: str = "",
        within: range | None = None,
    ) -> Page:
        """`count` effects from position `start` on: of all, or of those whose paths hold each of some words.

        `kind`: only effects of this kind. `within`: only those at these positions, such as a pattern's.
        """
        places: Sequence[int] = range(preview.effects)
        if words.strip() or kind:
            places = await self._sought(preview, tuple(words.lower().split()), kind)
        elif preview.effects >= WORTH and preview.seq not in self._lines:
            _once(self._drawing, preview.seq, partial(self._draw, preview))
        if within is not None:
            places = places[bisect_left(places, within.start) : bisect_left(places, within.stop)]
        wanted = places[start : start + count]
        more = start + len(wanted)
        return Page(self._rows(preview, wanted), more if more < len(places) else None, len(places))

    async def _sought(self, preview: StoredPreview, words: tuple[str, ...], kind: str) -> Sequence[int]:
        key = (preview.seq, words, kind)
        found = self._found.get(key)
        if found is None:
            found = await asyncio.shield(_once(self._seeking, key, partial(self._seek, preview, words, kind)))
            self._found.keep(key, found, len(found) * 4 + 100)
        return found

    async def _seek(self, preview: StoredPreview, words: tuple[str, ...], kind: str) -> Sequence[int]:
        lines = self._lines.get(preview.seq)
        if lines is None:
            lines = await asyncio.shield(_once(self._drawing, preview.seq, partial(self._draw, preview)))
        return await _seek(lines, [word.encode("utf-8", "replace") for word in words], kind)

    async def _draw(self, preview: StoredPreview) -> list[_Lines]:
        pieces: list[Piece] = await self._crew.call(OURSELVES, "pieces", preview)
        lines = []
        for piece in pieces:
            lines.append(_Lines(piece.lines.split(b"\0"), piece.kinds))
            await asyncio.sleep(0)
        self._lines.keep(preview.seq, lines, sum(len(piece.lines) + 34 * len(piece.kinds) for piece in pieces))
        return lines

    def _rows(self, preview: StoredPreview, places: Sequence[int]) -> list[msgspec.Raw]:
        chunks = {n: self._chunks.get((preview.seq, n)) for n in {place // CHUNK for place in places}}
        missing = [n for n, chunk in chunks.items() if chunk is None]
        for n, data in self._store.chunks(preview, missing).items() if missing else ():
            chunks[n] = rows = _ARRAY.decode(inert(data))
            self._chunks.keep((preview.seq, n), rows, len(data))
        return [chunk[place % CHUNK] for place in places if (chunk := chunks[place // CHUNK]) is not None]


async def _seek(pieces: list[_Lines], words: list[bytes], kind: str) -> Sequence[int]:
    """The positions of the effects of a kind whose lines hold each word."""
    found = array("I")
    for number, piece in enumerate(pieces):
        lines, fit = piece.lines, range(len(piece.lines)) if not kind else _of_kind(piece.kinds, kind)
        for word in words:
            fit = [place for place in fit if word in lines[place]]
        found.extend(place + number * AT_ONCE for place in fit)
        await asyncio.sleep(0)
    return found


def _of_kind(kinds: bytes, kind: str) -> Sequence[int]:
    wanted = KINDS.index(kind) if kind in KINDS else -1
    return [place for place, one in enumerate(kinds) if one == wanted]


def _once(
    tasks: dict[Hashable, asyncio.Task[T]], key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]
) -> asyncio.Task[T]:
    """Some work under way: whoever comes for the same meanwhile waits for the same."""

    def ended(done: asyncio.Task[T]) -> None:
        del tasks[key]
        if not done.cancelled():
            done.exception()  # whoever waits is told of it; where nobody does, the next one tries again

    if key not in tasks:
        tasks[key] = asyncio.create_task(work())
        tasks[key].add_done_callback(ended)
    return tasks[key]


class _Kept(Generic[T]):
    """Values that were used last, as many as are allowed together."""

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._held: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._held

    def get(self, key: Hashable) -> T | None:
        held = self._held.get(key)
        if held is None:
            return None
        self._held.move_to_end(key)
        return held[0]

    def keep(self, key: Hashable, value: T, size: int) -> None:
        """Keeps a value of some size; the newest one is kept whatever its size."""
        self._size += size - self._held.pop(key, (None, 0))[1]
        self._held[key] = (value, size)
        while self._size > self._most and len(self._held) > 1:
            self._size -= self._held.popitem(last=False)[1][1]
