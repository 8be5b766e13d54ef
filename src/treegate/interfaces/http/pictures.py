"""Pictures of files, drawn by a limited process for each (`picturing.py`); in this one no image or PDF is ever read.

Of what such a process sends back only a WebP of modest size is believed; no source passes through.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import OrderedDict

from treegate.errors import NotFound
from treegate.gate.looking import Content
from treegate.interfaces.http.picturing import SECONDS, No

MOST_BYTES = 100 << 20  # of a file
MOST_DRAWN = 1 << 20  # bytes of a picture
MOST_KEPT = 16 << 20  # bytes of pictures
AT_ONCE = 2  # processes
MOST_WAITING = 200  # a page shows fewer
_PROGRAM = (sys.executable, "-I", "-m", "treegate.interfaces.http.picturing")
_WHY = {
    No.KIND: "there are pictures of PDFs and images only",
    No.ENCRYPTED: "it is encrypted",
    No.LARGE: "it is too large to be drawn",
    -signal.SIGXCPU: "it takes too long to draw",
    -signal.SIGALRM: "it takes too long to draw",
    -signal.SIGKILL: "it takes too long to draw",
    **dict.fromkeys(
        (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGTRAP, -signal.SIGILL, -signal.SIGBUS),
        "it asks for too much memory, or is damaged",  # PDFium ends itself for want of memory
    ),
}

_ANOTHER_TIME = {-signal.SIGALRM, -signal.SIGKILL}


class NoPicture(NotFound):
    """There is no picture of a file, and why."""

    code = "no-picture"


class Pictures:
    """Draws few at once; the last ones are kept, by what the file holds, and so is why there was none."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._kept: OrderedDict[str, bytes | str] = OrderedDict()
        self._size = 0

    async def of(self, content: Content) -> bytes:
        """The picture of a content, WebP; raises NoPicture."""
        if content.size > MOST_BYTES:
            raise NoPicture(_WHY[No.LARGE])
        if self._waiting >= MOST_WAITING:
            raise NoPicture("too many pictures are waited for", hint="load the page again")
        self._waiting += 1
        try:
            async with self._turn:
                found = self._known(content.mark) or self._keep(content.mark, await _drawn(content))
        finally:
            self._waiting -= 1
        if isinstance(found, str):
            raise NoPicture(found)
        return found

    def _known(self, mark: str) -> bytes | str | None:
        if mark in self._kept:
            self._kept.move_to_end(mark)
        return self._kept.get(mark)

    def _keep(self, mark: str, found: bytes | str) -> bytes | str:
        self._kept[mark] = found
        self._size += len(found)
        while self._size > MOST_KEPT:
            self._size -= len(self._kept.popitem(last=False)[1])
        return found


async def _drawn(content: Content) -> bytes | str:
    """What one process makes of a content: a picture, or why there is none; it limits itself, we wait a bit longer.

    Raises NoPicture for what may be otherwise the next time.
    """
    process = await asyncio.create_subprocess_exec(
        *_PROGRAM, stdin=content.file, stdout=PIPE, stderr=DEVNULL, env={}, cwd="/", limit=MOST_DRAWN
    )
    try:
        async with asyncio.timeout(SECONDS + 5):
            data = await _sent(process)
            status = await process.wait()
    except TimeoutError:
        status = -signal.SIGKILL
    finally:
        if process.returncode is None:
            process.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await process.communicate()  # what was on its way: only at its end is a pipe closed
    if status in _ANOTHER_TIME:
        raise NoPicture(_WHY[status], hint="the machine was busy, or the file slow to come: load the page again")
    if status == 0 and data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return data
    return _WHY.get(status, "it is damaged")


async def _sent(process: Process) -> bytes:
    """What a process writes, as long as it is of a modest size; a longer one is ended."""
    assert process.stdout is not None
    try:
        await process.stdout.readexactly(MOST_DRAWN)
    except asyncio.IncompleteReadError as all_of_it:
        return all_of_it.partial
    process.kill()
    return b""
