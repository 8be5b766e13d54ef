"""The write-ahead log of one run: what was announced, what is known to be done, which way it goes.

A journal is the files `journal.1`, `journal.2`, ... of a run's directory. Each is a chain of frames and goes on
where the one before ended: whoever comes after a crash opens the next and never appends to what it read. Every
frame is made durable before the next is written, so a bad frame at the end is a write that did not finish, and is
ignored; a bad frame with a whole one behind it is damage, and nothing may be concluded from it.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import msgspec

from treegate.engine import frames, handles, posix
from treegate.engine.durable import sync_data, sync_folder
from treegate.errors import NotVerified

FORMAT = 1
_SEGMENT = re.compile(r"journal\.([1-9][0-9]*)")
_BLOCK = 4096


class Begin(msgspec.Struct, array_like=True, frozen=True, tag="begin"):
    """The first record: which run of which step table, since which boot, on which mounts."""

    format: int
    run: str
    table: str  # sha256 hex of the step table's file
    boot: str
    mounts: dict[bytes, int]  # root key -> mount id


class Resumed(msgspec.Struct, array_like=True, frozen=True, tag="resumed"):
    """The first record of every later segment."""

    format: int
    boot: str


class Entry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What was built under a number of the step table."""

    number: int
    facts: bytes  # packed
    sha256: str  # of a file's content, else ""


class Built(msgspec.Struct, array_like=True, frozen=True, tag="staged"):
    """New entries that are built, checked and durable; `last` if these are all."""

    entries: list[Entry]
    last: bool


class Upto(msgspec.Struct, array_like=True, frozen=True, tag="upto", gc=False):
    """From now on any step with a smaller number may have been made; behind `Back`: only those are still made, and
    this one too unless it is taken back already (written where looking does not tell)."""

    step: int


class Done(msgspec.Struct, array_like=True, frozen=True, tag="done", gc=False):
    """Every step with a smaller number is made and durable."""

    step: int


class Set(msgspec.Struct, array_like=True, frozen=True, tag="set"):
    """All steps are made and durable; from now on modes and times may change."""


class Back(msgspec.Struct, array_like=True, frozen=True, tag="back"):
    """The run goes back, whatever happens; durable before the first reverse step."""


class End(msgspec.Struct, array_like=True, frozen=True, tag="end"):
    """The last record; `outcome` is "applied" or "rolled-back"."""

    outcome: str


Record = Begin | Resumed | Built | Upto | Done | Set | Back | End
_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(list[Record])


class Story(msgspec.Struct):
    """What a journal tells, all records taken together."""

    begin: Begin | None = None
    built: dict[int, Entry] = {}
    all_built: bool = False
    upto: int = 0
    sure: int = 0  # what was announced before `upto`
    behind: int | None = None  # the last step that was to be taken back, where that was written
    done: int = 0
    setting: bool = False
    back: bool = False
    outcome: str = ""
    segments: int = 0  # the highest number among the files
    mark: bytes = frames.START  # of the last frame

    def take(self, record: Record) -> None:
        """Add what one record tells."""
        match record:
            case Begin():
                self.begin = record
            case Built():
                self.built.update((entry.number, entry) for entry in record.entries)
                self.all_built = record.last
            case Upto() if self.back:
                self.behind = record.step
            case Upto() if record.step > self.upto:
                self.sure, self.upto = self.upto, record.step
            case Done():
                self.done = max(self.done, record.step)
            case Set():
                self.setting = True
            case Back():
                self.back = True
            case End():
                self.outcome = record.outcome

    def window(self) -> tuple[int, int]:
        """The steps that may be half made: those before are made, those behind are not, as far as the journal knows.

        True only of a run that announces each step by itself and gets an answer before the next.
        """
        return (self.sure, self.upto) if self.behind is None else (self.behind, self.behind + 1)


class Journal:
    """One segment being written; records that need no sync of their own ride with the next that does."""

    def __init__(
        self, directory: Path, run: str, number: int, before: bytes, reserve: int, begin: Begin | None = None
    ) -> None:
        self._directory = directory
        self._key = _key(run, number)
        self._run = run
        self.number = number
        self._confirmed = before  # the mark of the last durable frame
        self._riding: list[Record] = []
        self._fd = -1
        with handles.closing(handles.open_root(str(self._directory))) as folder:
            self._open(folder, reserve)
            if begin is not None:
                self.append(begin)
            else:
                sync_data(self._fd)
            sync_folder(folder)

    def _open(self, folder: int, reserve: int) -> None:
        self._fd = posix.make_file(folder, f"journal.{self.number}", 0o600)
        # Space is taken now: a full disk is to be found before anything moved.
        posix.write(self._fd, bytes(-(-reserve // _BLOCK) * _BLOCK))
        os.lseek(self._fd, 0, os.SEEK_SET)

    @classmethod
    def create(cls, directory: Path, begin: Begin, reserve: int = 0) -> Journal:
        """Start a run's journal, durably; `reserve` bytes are taken of the disk at once.

        Raises OSError (ENOSPC: nothing happened), SyncFailed, FileExistsError if the run has a journal.
        """
        return cls(directory, begin.run, 1, frames.START, reserve, begin)

    @classmethod
    def resume(cls, directory: Path, run: str, story: Story, reserve: int = 0) -> Journal:
        """Open the segment after those that were read."""
        journal = cls(directory, run, story.segments + 1, story.mark, reserve)
        journal._riding.append(Resumed(FORMAT, posix.boot_id()))
        return journal

    def append(self, *records: Record, sync: bool = True) -> None:
        """Write records as one frame and make it durable; with sync=False keep them for the next frame.

        Raises OSError or SyncFailed; after that this segment is not written again.
        """
        self._riding += records
        if sync:
            frame, own = frames.seal(self._key, self._confirmed, _encode(self._riding))
            try:
                posix.write(self._fd, frame)
                sync_data(self._fd)
            except BaseException:
                self.close()
                raise
            self._confirmed = own
            self._riding.clear()

    def successor(self) -> Journal:
        """The segment to go on with after a write failed: nobody appends behind what may be torn."""
        self.close()
        after = Story(segments=self.number, mark=self._confirmed)
        return Journal.resume(self._directory, self._run, after)

    @property
    def usable(self) -> bool:
        """Whether records can still be appended."""
        return self._fd >= 0

    def close(self) -> None:
        if self._fd >= 0:
            handles.close(self._fd)
            self._fd = -1


def read(directory: Path, run: str) -> Story:
    """What a run's journal tells, made durable first, for what is acted upon must not be lost afterwards.

    Raises NotVerified with code "journal-damaged" or "journal-format"; OSError; SyncFailed.
    """
    chain: list[frames.Frame] = []
    with handles.closing(handles.open_root(str(directory))) as folder:
        numbers = sorted(int(m[1]) for m in map(_SEGMENT.fullmatch, os.listdir(folder)) if m)
        for number in numbers:
            _join(chain, _segment(folder, run, number), directory)
        sync_folder(folder)
    story = Story(segments=numbers[-1] if numbers else 0, mark=chain[-1].mark if chain else frames.START)
    for frame in chain:
        for record in _records(frame, directory):
            story.take(record)
    return story


def peek(directory: Path, run: str) -> Story:
    """What a run's journal tells at this moment, for whoever only wants to know how far it is; acts on nothing.

    Nothing is synced, and what is torn or being written is passed over; an empty story where there is no journal.
    """
    story = Story()
    with contextlib.suppress(OSError, NotVerified):
        for number in sorted(int(m[1]) for m in map(_SEGMENT.fullmatch, os.listdir(directory)) if m):
            found, _ = frames.chained((directory / f"journal.{number}").read_bytes(), _key(run, number))
            for frame in found:
                for record in _records(frame, directory):
                    story.take(record)
    return story


def _segment(folder: int, run: str, number: int) -> list[frames.Frame]:
    name = f"journal.{number}"
    with handles.closing(handles.open_file(folder, name)) as fd, open(fd, "rb", closefd=False) as file:
        data = file.read()
        sync_data(fd)
    found, end = frames.chained(data, _key(run, number))
    if frames.stray(data, end, _key(run, number)):
        raise _damaged(f"{name} has a damaged frame at byte {end} with a whole one behind it")
    return found


def _join(chain: list[frames.Frame], segment: list[frames.Frame], directory: Path) -> None:
    """Add a segment. Its writer had confirmed all frames before it but, after a failed write, the last."""
    if not segment:
        return
    if chain and segment[0].before != chain[-1].mark and segment[0].before == chain[-1].before:
        chain.pop()
    if segment[0].before != (chain[-1].mark if chain else frames.START):
        raise _damaged(f"a segment of {directory} does not follow the one before it")
    chain += segment


def _records(frame: frames.Frame, directory: Path) -> list[Record]:
    try:
        records = _decoder.decode(frame.payload)
    except msgspec.DecodeError as error:
        raise _format(directory) from error
    if any(record.format != FORMAT for record in records if isinstance(record, Begin | Resumed)):
        raise _format(directory)
    return records


def _damaged(what: str) -> NotVerified:
    return NotVerified(
        f"the run's journal is damaged: {what}; nothing was touched",
        code="journal-damaged",
        hint="put the state directory's disk in order, or restore the file from a backup, then recover again",
    )


def _format(directory: Path) -> NotVerified:
    return NotVerified(
        f"the journal in {directory} was written by another version of treegate",
        code="journal-format",
        hint="finish the run with the version that began it",
    )


def _key(run: str, number: int) -> bytes:
    """What keeps frames of other runs and segments, left on the disk's free blocks, from being taken for ours."""
    return f"treegate journal {run} {number}\n".encode()
