"""What looks at views from inside a container, where treegate's own process has no way to: our code, in the image.

Everything is at fixed places there: cases at /lower/NUMBER, what is changed of them in /changes/NUMBER/upper, both
together at /seen/NUMBER; copies in /changes/copies. Standard input and output are a `streaming.Stream`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

from treegate.engine import mounts
from treegate.engine.sandbox import multilinks, view
from treegate.engine.sandbox.difference import Difference, Keeper
from treegate.engine.sandbox.opened import Opened
from treegate.engine.sandbox.order import Case, Limits
from treegate.engine.sandbox.overlay import OverlayCapture
from treegate.engine.sandbox.streaming import Content, Full, Look, Over, Piece, Seen, Stream, Take, Told, Wrong, rows
from treegate.engine.sandbox.view import Layer, Owner, Unfit
from treegate.engine.sandbox.views import CopyView, inside
from treegate.errors import TreegateError

CHANGES = "/changes"
_LOOK = 0.1  # seconds between two looks at how much was written
_ROWS = 500  # that are told at a time
_CHUNK = 1 << 20
_BLOCK = 512  # bytes, of st_blocks (inode(7))
_NEEDED = ("redirect_dir=on", "metacopy=on")


class _View(Protocol):
    user: Owner
    warnings: tuple[str, ...]

    def watched(self) -> Sequence[Opened]: ...

    def capture(self, keeper: Keeper, since: int, *, reads: bool = False) -> Iterator[Difference]: ...


class _Overlays:
    """Overlays that the daemon has mounted."""

    def __init__(self, cases: Sequence[Case]) -> None:
        """Raises Unfit where their marks cannot be trusted to be there, or to be seen."""
        view.prove("/tmp")
        self._layers = [_layer(case, number) for number, case in enumerate(cases)]
        owners = {Owner(facts.st_uid, facts.st_gid) for facts in (os.stat(case.folder) for case in cases)}
        if len(owners) > 1 or any(0 in owner for owner in owners):
            raise Unfit("the cases are root's, or belong to several users")
        self.user = owners.pop()
        self.warnings = tuple(text for case in cases for text in multilinks.warnings(case))
        self._opened = [_opened(layer.seen, inside(layer.case, cases)) for layer in self._layers]

    def watched(self) -> list[Opened]:
        return [opened for opened in self._opened if opened is not None]

    def capture(self, keeper: Keeper, since: int, *, reads: bool = False) -> Iterator[Difference]:
        for layer, opened in zip(self._layers, self._opened, strict=True):
            if reads and (opened is None or not opened.complete):
                raise Unfit("the kernel has not told of all that the command opened, so what it read cannot be asked")
            paths = frozenset(opened.paths) if opened is not None else frozenset()
            with contextlib.closing(OverlayCapture(layer, keeper, since, paths, reads=reads)) as found:
                yield from found


def _layer(case: Case, number: int) -> Layer:
    layer = Layer(case, case.folder, f"{CHANGES}/{number}/upper", f"/seen/{number}")
    mount = mounts.mount_of(layer.seen)
    missing = [option for option in _NEEDED if option not in mount.options]
    if mount.type != "overlay" or missing:
        raise Unfit(f"the daemon has mounted no overlay that tells of renames ({mount.type}, without {missing})")
    return layer


def _opened(seen: str, inside: str) -> Opened | None:
    try:
        return Opened(seen, inside)
    except OSError:
        return None


class _Sender:
    """Sends contents to whoever keeps them."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def keep(self, fd: int) -> tuple[str, int]:
        """All that a handle for reading holds."""
        with open(os.dup(fd), "rb") as file:
            file.seek(0)
            sha256, size = hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(fd).st_size
        self._stream.put(Content(sha256, size))
        place = 0
        while place < size:
            data = os.pread(fd, min(_CHUNK, size - place), place)
            if not data:
                raise OSError("a file became shorter while it was read")
            self._stream.put(Piece(data))
            place += len(data)
        return sha256, size


class _Guard:
    """While the command runs: says once that it has written too much, and takes note of what it opens."""

    def __init__(self, stream: Stream, limits: Limits, watched: Sequence[Opened]) -> None:
        self._stream, self._watched = stream, watched
        self._most = (limits.written, limits.entries)
        self._counted_at, self._own = _used_on_disk(), _used()
        self._said = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        for one in self._watched:
            one.take()

    def _run(self) -> None:
        while not self._stop.is_set():
            for one in select.select(self._watched, [], [], _LOOK)[0]:
                one.take()
            if not self._said and self._is_full():
                self._said = True
                self._stream.put(Full())

    def _is_full(self) -> bool:
        """Counted one by one only when the disk says that there is something to count."""
        now = _used_on_disk()
        if not any(grown >= most // 8 for grown, most in zip(_less(now, self._counted_at), self._most, strict=True)):
            return False
        self._counted_at = now
        return any(used > most for used, most in zip(_less(_used(), self._own), self._most, strict=True))


def _less(now: tuple[int, int], then: tuple[int, int]) -> tuple[int, int]:
    return now[0] - then[0], now[1] - then[1]


def _used_on_disk() -> tuple[int, int]:
    """Bytes and entries in use on the disk that changes are written to, by whomever."""
    found = os.statvfs(CHANGES)
    return (found.f_blocks - found.f_bfree) * found.f_frsize, found.f_files - found.f_ffree


def _used() -> tuple[int, int]:
    """Bytes and entries that changes take, counted one by one; what goes away meanwhile does not count."""
    size = count = 0
    for _, folders, files, fd in os.fwalk(CHANGES, follow_symlinks=False):
        for name in (*folders, *files):
            with contextlib.suppress(FileNotFoundError):
                facts = os.stat(name, dir_fd=fd, follow_symlinks=False)
                size += facts.st_blocks * _BLOCK // max(1, facts.st_nlink)
                count += 1
    return size, count


def _made(look: Look) -> tuple[_View, list[Case]]:
    cases = [
        Case(name=os.fsdecode(name), folder=f"/lower/{number}", hidden=tuple(map(os.fsdecode, hidden)))
        for number, (name, hidden) in enumerate(look.cases)
    ]
    return (CopyView(cases, CHANGES, look.limits) if look.copies else _Overlays(cases)), cases


def _root(case: Case) -> tuple[int, int]:
    facts = os.stat(case.folder)
    return facts.st_dev, facts.st_ino


def _serve(stream: Stream) -> None:
    look = stream.get()
    assert isinstance(look, Look)
    made, cases = _made(look)
    warnings = tuple(map(os.fsencode, made.warnings))
    stream.put(Seen(made.user, tuple(map(_root, cases)), warnings))
    guard = _Guard(stream, look.limits, made.watched())
    take = stream.get()
    assert isinstance(take, Take)
    guard.stop()
    batch = []
    for row in rows(made.capture(_Sender(stream), take.since, reads=take.reads)):
        batch.append(row)
        if len(batch) == _ROWS:
            stream.put(Told(batch))
            batch = []
    stream.put(Told(batch))
    stream.put(Over())


def main() -> None:
    """Serves the one runner that started this."""
    stream = Stream(0, 1)
    try:
        _serve(stream)
    except EOFError:
        return
    except Unfit as error:
        stream.put(Wrong("sandbox-unfit", os.fsencode(str(error)), unfit=True))
    except TreegateError as error:
        stream.put(Wrong(error.code, os.fsencode(error.message), os.fsencode(error.hint)))
    except OSError as error:
        stream.put(Wrong("sandbox-failed", os.fsencode(f"the view could not be looked at: {error}")))
