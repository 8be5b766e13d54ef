"""Output: what a command wrote, as lines for people; whatever is in them is only shown."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from treegate.gate.core import Core
from treegate.gate.sandboxing import events, looking
from treegate.gate.sandboxing.events import Event, Output, Started
from treegate.model.names import visible

_LONGEST = 1 << 16  # characters of a line, before it is broken
_PAGE = 256 << 10  # bytes of what is kept that a page shows, from its end


class Line(NamedTuple):
    """A line that a command wrote; inert, but for tabs."""

    stream: Literal["stdout", "stderr"]
    text: str


class Written(NamedTuple):
    """What a command wrote last; `cut` where it wrote more before."""

    lines: list[Line]
    cut: bool
    started: Started | None


def lines(found: Iterable[Event]) -> Iterator[Line]:
    """What a command wrote, line by line as it came; one that has no end yet comes last."""
    readers = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in ("stdout", "stderr")}
    open_ = dict.fromkeys(readers, "")
    for event in found:
        if isinstance(event.what, Output):
            stream = event.what.stream
            *whole, open_[stream] = (open_[stream] + readers[stream].decode(event.what.data)).split("\n")
            yield from (_line(stream, line) for line in whole)
            if len(open_[stream]) > _LONGEST:
                yield _line(stream, open_[stream])
                open_[stream] = ""
    yield from (_line(stream, open_[stream]) for stream in ("stdout", "stderr") if open_[stream])


def _line(stream: Literal["stdout", "stderr"], text: str) -> Line:
    return Line(stream, "\t".join(visible(part) for part in text.rstrip("\r").split("\t")))


def newest(core: Core, prefix: str, most: int = _PAGE) -> Written:
    """What a command wrote last, as much as a page can show."""
    where = looking.folder(core, looking.one(core, prefix).id)
    found, cut = events.newest(where, most)
    first = next(iter(events.read(where)), None)
    return Written(list(lines(found)), cut, first.what if first and isinstance(first.what, Started) else None)
