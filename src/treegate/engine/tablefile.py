"""Step tables as files: written once, sealed by the SHA-256 of the whole file, read again as a stream.

The rows stand in frames of at most 1,000 rows of one kind, so that a table of any size is read, forwards and
backwards, in little memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import msgspec

from treegate.engine import frames, handles, posix
from treegate.engine.durable import sync_file, sync_folder
from treegate.errors import NotVerified
from treegate.model.table import FORMAT, ROOT, Check, Header, Place, Row, Setting, Staged, Step

CHUNK = 1000  # rows in a frame
KEPT = 100_000  # steps of a table that are kept once they are read, in about 40 MB
NAME = "table"  # of a run's table, in the run's directory
_KEY = b"treegate step table\n"
_encode = msgspec.msgpack.Encoder().encode
_rows = msgspec.msgpack.Decoder(list[Row])
_steps = msgspec.msgpack.Decoder(list[Step])
R = TypeVar("R", bound=Row)


def write(path: Path, rows: Iterable[Row], *, sync: bool = True) -> str:
    """Write a table, its Header first, to a new file; the SHA-256 of the file, hex.

    Durable with its folder unless `sync` is False. Raises FileExistsError, OSError; after an error the file is
    removed.
    """
    with handles.closing(handles.open_root(str(path.parent))) as folder:
        fd = posix.make_file(folder, path.name, 0o600)
        try:
            with handles.closing(fd):
                digest = _write(fd, rows)
                if sync:
                    sync_file(fd)
            if sync:
                sync_folder(folder)
        except Exception:
            with contextlib.suppress(OSError):
                posix.unlink(folder, path.name)
            raise
    return digest


def _write(fd: int, rows: Iterable[Row]) -> str:
    digest, before = hashlib.sha256(), frames.START
    for _, same_kind in groupby(rows, type):
        while chunk := list(islice(same_kind, CHUNK)):
            frame, before = frames.seal(_KEY, before, _encode(chunk))
            digest.update(frame)
            posix.write(fd, frame)
    return digest.hexdigest()


class Table:
    """A verified table: its small parts in memory, its steps and settings on call."""

    def __init__(self, path: Path, digest: str, header: Header, places: list[Place], checks: list[Check],
                 staged: list[Staged], offsets: list[int], kept: list[list[Step]] | None = None) -> None:  # fmt: skip
        self.path = path
        self.digest = digest
        self.header = header
        self.places = places
        self.checks = checks
        self.staged = staged
        self._offsets = offsets
        self._kept: list[list[Step]] = [] if kept is None else kept
        self._steps = offsets[: _frames(header.steps)]
        self._settings = offsets[_frames(header.steps) :]

    def at(self, path: Path) -> Table:
        """The same table, read from another name of its file."""
        return Table(path, self.digest, self.header, self.places, self.checks, self.staged, self._offsets, self._kept)

    def areas(self) -> set[str]:
        """Which of treegate's own areas its steps need: of new, park, vault."""
        kinds = {row.name.partition(b":")[0].decode() for row in self.places if row.parent == ROOT}
        return kinds - {"case"}

    def backups(self) -> list[Staged]:
        """The copies of files that are laid into the run's vault before anything moves."""
        vaults = {row.number for row in self.places if row.parent == ROOT and row.name.startswith(b"vault:")}
        return [row for row in self.staged if row.into in vaults]

    def chunks(self) -> Iterator[list[Step]]:
        """The steps in order, as lists of 1,000 (the last may be shorter); a few are kept, for a run asks often."""
        if self.header.steps > KEPT:
            return self._read()
        if not self._kept:
            self._kept.extend(self._read())
        return iter(self._kept)

    def _read(self) -> Iterator[list[Step]]:
        with open(self.path, "rb") as file:
            for offset in self._steps:
                yield self._chunk(file, offset)

    def chunks_back(self, count: int) -> Iterator[list[Step]]:
        """The first `count` steps, last one first, as lists of at most 1,000."""
        whole, rest = divmod(count, CHUNK)
        with open(self.path, "rb") as file:
            if rest:
                yield self._chunk(file, self._steps[whole])[:rest][::-1]
            for offset in reversed(self._steps[:whole]):
                yield self._chunk(file, offset)[::-1]

    def steps(self) -> Iterator[Step]:
        """The steps in order, one by one."""
        for chunk in self.chunks():
            yield from chunk

    def settings(self) -> Iterator[Setting]:
        """The settings in order."""
        with open(self.path, "rb") as file:
            for offset in self._settings:
                yield from cast(list[Setting], _rows.decode(_payload(file, offset, self.path)))

    def _chunk(self, file: BinaryIO, offset: int) -> list[Step]:
        return _steps.decode(_payload(file, offset, self.path))


def read(path: Path, digest: str) -> Table:
    """A table whose file has this SHA-256; NotVerified ("table-damaged", "table-format") if it has not."""
    try:
        found, offsets = _verify(path)
        if found != digest:
            raise _damaged(path)
        with open(path, "rb") as file:
            return _parts(path, digest, file, offsets)
    except msgspec.DecodeError as error:
        raise NotVerified(
            f"the step table {path.name} was written by another version of treegate",
            code="table-format",
            hint="preview the plan again, or finish the run with the version that began it",
        ) from error


def steps_in(path: Path) -> int:
    """How many steps a table says that it holds; for a progress bar, for the rest of the file is not looked at."""
    with open(path, "rb") as file:
        return _Frame(file, 0, path).rows(Header)[0].steps


def _verify(path: Path) -> tuple[str, list[int]]:
    """The file's digest and where its frames start (to be trusted only if the digest is the right one)."""
    digest, offsets, offset = hashlib.sha256(), [], 0
    with open(path, "rb") as file:
        while head := file.read(frames.HEAD.size):
            digest.update(head)
            if len(head) < frames.HEAD.size:
                break
            offsets.append(offset)
            length = frames.HEAD.unpack(head)[1]
            offset += len(head) + length
            digest.update(_up_to(file, length))
    return digest.hexdigest(), offsets


def _parts(path: Path, digest: str, file: BinaryIO, offsets: list[int]) -> Table:
    rows = iter([_Frame(file, offset, path) for offset in offsets])
    header = next(rows).rows(Header)[0] if offsets else None
    if header is None or header.format != FORMAT:
        raise msgspec.DecodeError("no header of this version")
    places = [row for f in islice(rows, _frames(header.places)) for row in f.rows(Place)]
    checks = [row for f in islice(rows, _frames(header.checks)) for row in f.rows(Check)]
    staged = [row for f in islice(rows, _frames(header.staged)) for row in f.rows(Staged)]
    rest = [f.offset for f in rows]
    counts = (len(places), len(checks), len(staged), len(rest))
    wanted = (header.places, header.checks, header.staged, _frames(header.steps) + _frames(header.settings))
    if counts != wanted:
        raise msgspec.DecodeError("other rows than the header says")
    return Table(path, digest, header, places, checks, staged, rest)


class _Frame:
    """One frame of an open table, read when asked."""

    def __init__(self, file: BinaryIO, offset: int, path: Path) -> None:
        self.file, self.offset, self.path = file, offset, path

    def rows(self, kind: type[R]) -> list[R]:
        found = _rows.decode(_payload(self.file, self.offset, self.path))
        return [row for row in found if isinstance(row, kind)]


def _payload(file: BinaryIO, offset: int, path: Path) -> bytes:
    """A frame's payload, its mark checked again: the file may have changed since its digest was taken."""
    file.seek(offset)
    head = file.read(frames.HEAD.size)
    if len(head) == frames.HEAD.size:
        frame = frames.at(head + _up_to(file, frames.HEAD.unpack(head)[1]), 0, _KEY)
        if frame:
            return frame.payload
    raise _damaged(path)


def _up_to(file: BinaryIO, length: int) -> bytes:
    """So many bytes, or as many as there are: a damaged length asks for no more memory than the file is long."""
    return file.read(min(length, os.fstat(file.fileno()).st_size))


def _frames(rows: int) -> int:
    return -(-rows // CHUNK)


def _damaged(path: Path) -> NotVerified:
    return NotVerified(
        f"the step table {path.name} is not the one that was sealed: it is damaged or was replaced",
        code="table-damaged",
        hint="preview the plan again; if a run is unfinished, restore the file from a backup of the state directory",
    )


def adopt(path: Path, directory: Path) -> Path:
    """Give a run's directory its table, durably: a second name for the file made at preview.

    The folder itself is made durable with the journal, begun in it next. Raises OSError (ENOSPC and the like:
    nothing has happened yet) or SyncFailed.
    """
    with handles.closing(handles.open_root(str(directory))) as folder:
        if path.parent != directory:
            with handles.closing(handles.open_root(str(path.parent))) as source:
                _link_or_copy(source, path, folder)
    with handles.closing(handles.open_root(str(directory.parent))) as above:
        sync_folder(above)
    return directory / NAME


def _link_or_copy(source: int, path: Path, folder: int) -> None:
    try:
        posix.link(source, path.name, folder, NAME)
    except FileExistsError:
        return
    except OSError:
        with handles.closing(posix.make_file(folder, NAME, 0o600)) as fd, open(path, "rb") as file:
            while data := file.read(1 << 20):
                posix.write(fd, data)
            sync_file(fd)
