"""Decoders of what is sealed, chained or signed: the journal, the step table, receipts, the log, checkpoints, keys.

What they accept must be what was written, or the beginning of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
from fuzzing import Decoder, Differs, Opened
from samples import sample
from tables import RUN, everything

from treegate.engine import audit, checkpoints, durable, exports, frames, journal, keys, receipts, tablefile
from treegate.engine.locks import _Held
from treegate.errors import NeedsRecovery, TreegateError
from treegate.gate import auditing

# -- a run


def _journal(number: int) -> Decoder:
    return Decoder(f"journal, segment {number} of 2", lambda folder: _journal_opened(folder, number))


def _journal_opened(folder: Path, number: int) -> Opened:
    _write_journal(folder)
    paths = [folder / "journal.1", folder / "journal.2"]
    whole = [path.read_bytes() for path in paths]
    true = list(_stories(whole))
    assert _told(journal.read(folder, RUN)) == true[-1]

    def feed(data: bytes) -> str:
        paths[number - 1].write_bytes(data)
        glance = journal.peek(folder, RUN)
        if glance.done > true[-1].done or glance.upto > true[-1].upto or glance.outcome not in ("", "rolled-back"):
            raise Differs("a glance tells what was never written")
        found = _told(journal.read(folder, RUN))
        if found not in true:
            raise Differs("a story that was never written")
        return "the whole story" if found == true[-1] else "the beginning of it"

    return Opened([whole[number - 1]], feed)


def _write_journal(folder: Path) -> None:
    log = journal.Journal.create(folder, journal.Begin(journal.FORMAT, RUN, "a" * 64, "boot", {b"case:C": 7}), 4096)
    log.append(journal.Built([journal.Entry(n, bytes(60), "b" * 64) for n in range(5)], True))
    log.append(journal.Upto(4))
    log.append(journal.Done(4), sync=False)
    log.append(journal.Upto(8))
    log.close()
    log = journal.Journal.resume(folder, RUN, journal.read(folder, RUN), 4096)
    log.append(journal.Upto(9))
    log.append(journal.Back())
    log.append(journal.End("rolled-back"))
    log.close()


def _stories(whole: list[bytes]) -> Iterator[journal.Story]:
    """What the journal tells after each of its frames."""
    story = journal.Story()
    yield _told(story)
    for number, data in enumerate(whole, 1):
        for frame in frames.chained(data, journal._key(RUN, number))[0]:
            for record in journal._decoder.decode(frame.payload):
                story.take(record)
            yield _told(story)


def _told(story: journal.Story) -> journal.Story:
    return msgspec.structs.replace(story, built=dict(story.built), segments=0, mark=b"")


def _step_table(folder: Path) -> Opened:
    site = everything(folder)
    path = site.state / "previews/table"
    whole = path.read_bytes()

    def feed(data: bytes) -> str:
        path.write_bytes(data)
        with contextlib.suppress(TreegateError):  # it is only for a progress bar
            tablefile.steps_in(path)
        table = tablefile.read(path, site.digest)
        if data != whole:
            raise Differs("another table than the sealed one")
        list(table.steps()), list(table.settings()), list(table.chunks_back(table.header.steps))
        return "the very same"

    return Opened([whole], feed)


def _halted(folder: Path) -> Opened:
    sound = msgspec.json.encode(durable.Halt("it failed", "boot", 7))

    def feed(data: bytes) -> None:
        (folder / "halted.1").write_bytes(data)
        with contextlib.suppress(NeedsRecovery):
            durable.must_be_mounted_anew(folder, [7])

    return Opened([sound], feed)


def _lock(folder: Path) -> Opened:
    def feed(data: bytes) -> None:
        path = folder / "lock"
        path.write_bytes(data)
        held = _Held(path)
        held.noted()
        held.release()

    return Opened([b"1234 treegate apply".ljust(100)], feed)


# -- what proves something


def _receipt(folder: Path) -> Opened:
    whole = msgspec.json.decode(sample().receipt, type=receipts.Receipt)
    (folder / f"{whole.run}.lines").write_bytes(sample().lines)

    def feed(data: bytes) -> str:
        (folder / f"{whole.run}.json").write_bytes(data)
        found = receipts.read(folder, whole.run)
        receipts.verify(folder, found, [sample().public])
        if found != whole:
            raise Differs("another receipt than was signed")
        return "the very same"

    return Opened([sample().receipt], feed)


def _lines(folder: Path) -> Opened:
    path = folder / "run.lines"

    def feed(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(TreegateError):
            receipts.read_line(path, len(data) // 2)
        for line in receipts.read_lines(path):
            assert line.packed is not None

    return Opened([sample().lines], feed)


def _log(folder: Path) -> Opened:
    path = folder / "log"
    path.write_bytes(sample().log)
    whole = list(exports.rows(path))

    def feed(data: bytes) -> str:
        path.write_bytes(data)
        auditing.verify_export(path)
        found = list(exports.rows(path))
        if audit.verify(found) != sample().head:
            return "another end"
        if found != whole:
            raise Differs("another log with the same end")
        return "the very same"

    return Opened([sample().log], feed)


def _checkpoint(folder: Path) -> Opened:
    whole = checkpoints.decode(sample().checkpoint, "it")

    def feed(data: bytes) -> str:
        found = checkpoints.decode(data, "it")
        checkpoints.verify(found)
        if found != whole:
            raise Differs("another checkpoint than was signed")
        return "the very same"

    return Opened([sample().checkpoint], feed)


def _key(folder: Path) -> Opened:
    def feed(data: bytes) -> None:
        (folder / "key").write_bytes(data)
        if keys.load(folder).public != sample().public:
            raise Differs("another key")

    return Opened([sample().key], feed)


SEALED: tuple[Decoder, ...] = (
    _journal(1),
    _journal(2),
    Decoder("step table", _step_table),
    Decoder("note of a failed sync", _halted),
    Decoder("note in a lock", _lock),
    Decoder("receipt", _receipt),
    Decoder("lines of a receipt", _lines),
    Decoder("exported log", _log),
    Decoder("checkpoint", _checkpoint),
    Decoder("signing key", _key),
)
