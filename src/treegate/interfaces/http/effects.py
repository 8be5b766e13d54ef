"""Pages of a preview's effects, sought through if need be; a preview never changes, so what was read once is kept.

Seeking goes chunk by chunk, over the JSON as it is stored, then over the paths in what may fit, and lets other
requests in between.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable

import msgspec

from treegate.engine.store import Store
from treegate.engine.store.records import CHUNK, StoredPreview
from treegate.model.effects import Text

MOST_KEPT = 64 << 20  # bytes of chunks
AT_ONCE = 20  # chunks that are sought through before others have their turn


class _Paths(msgspec.Struct, rename={"source": "from"}, gc=False):
    """What of an effect is sought through."""

    path: Text
    effect: str
    source: Text | None = None

    def told(self) -> bytes:
        paths = (self.path, self.source or "")
        return "\n".join(path if isinstance(path, str) else path.raw for path in paths).encode()


_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_PATHS = msgspec.json.Decoder(list[_Paths])


class Page(msgspec.Struct, frozen=True):
    """Some effects, as JSON; `next` is where the page after this one begins, and `total` all there are that fit."""

    effects: list[msgspec.Raw]
    next: int | None
    total: int


class Effects:
    """The effects of previews; chunks that were read last are kept."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._size = 0
        self._found: OrderedDict[tuple[int, str, str], list[int]] = OrderedDict()

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
        places: range | list[int] = range(preview.effects)
        if words.strip() or kind:
            places = await self._seek(preview, words, kind)
        if within is not None:
            places = within if isinstance(places, range) else [place for place in places if place in within]
        wanted = places[start : start + count]
        rows = [self._row(preview, place) for place in wanted]
        more = start + len(rows)
        return Page(rows, more if more < len(places) else None, len(places))

    async def _seek(self, preview: StoredPreview, words: str, kind: str) -> list[int]:
        key = (preview.seq, words, kind)
        if key not in self._found:
            may_fit, fits = _holding(_written(word) for word in words.split()), _holding(map(_plain, words.split()))
            found = []
            for n in range(-(-preview.effects // CHUNK)):
                data = self._chunk(preview, n)
                if may_fit(data):
                    rows = enumerate(_PATHS.decode(data), n * CHUNK)
                    found += [place for place, row in rows if fits(row.told()) and kind in ("", row.effect)]
                if n % AT_ONCE == AT_ONCE - 1:
                    await asyncio.sleep(0)
            self._found[key] = found
            while len(self._found) > 64:
                self._found.popitem(last=False)
        return self._found[key]

    def _row(self, preview: StoredPreview, place: int) -> msgspec.Raw:
        return _ARRAY.decode(self._chunk(preview, place // CHUNK))[place % CHUNK]

    def _chunk(self, preview: StoredPreview, n: int) -> bytes:
        key = (preview.seq, n)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        data = self._store.chunk(preview, n)
        self._kept[key] = data
        self._size += len(data)
        while self._size > MOST_KEPT:
            self._size -= len(self._kept.popitem(last=False)[1])
        return data


def _plain(word: str) -> bytes:
    return word.lower().encode("utf-8", "replace")


def _written(word: str) -> bytes:
    """A word as it stands inside a string of JSON."""
    return msgspec.json.encode(_plain(word).decode())[1:-1]


def _holding(words: Iterable[bytes]) -> Callable[[bytes], bool]:
    """Whether a text holds each of some words, which are in lower case, whatever case it is in itself."""
    wanted = list(words)

    def fits(text: bytes) -> bool:
        low = text.decode("utf-8", "replace").lower().encode()
        return all(word in low for word in wanted)

    return fits
