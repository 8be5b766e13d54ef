"""Every decoder of treegate, set up to be fed: what it reads, valid samples of it, and what it must never answer."""

from __future__ import annotations

import contextlib
import csv
import io
import socket
from pathlib import Path
from types import SimpleNamespace

import msgspec
import overlay_marks
from fuzzing import Decoder, Opened
from samples import FILES, sample
from sealed import SEALED
from tables import RUN

from treegate.engine import configfile, packing, vault, workspace
from treegate.engine.sandbox import wire
from treegate.engine.store import reader
from treegate.gate import bare, plans, skipping
from treegate.gate.queue import settling
from treegate.interfaces.cli import writing
from treegate.interfaces.slack import cards
from treegate.model import globs, statusfile, worksheet
from treegate.model.repair import repaired

# -- plans


def _plan(folder: Path) -> Opened:
    return Opened([sample().plan], lambda data: plans.decode(data).digest and None)


def _checked(folder: Path) -> Opened:
    """Simulated on a small tree, repaired by its own suggestions, and checked again."""
    for path in FILES:
        (folder / "Smith" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "Smith" / path).write_text(path)

    def feed(data: bytes) -> str:
        preview = bare.check(data, folder / "Smith")
        if any(one.suggestion for one in preview.problems):
            bare.check(repaired(data, preview.problems).document, folder / "Smith")
        return "with problems" if preview.problems else "without"

    return Opened([sample().plan], feed)


def _dropped(folder: Path) -> Opened:
    """What lies in the queue's folder: whole or not, and then a plan or not."""

    def feed(data: bytes) -> str:
        if not settling.complete(data):
            return "not whole"
        plans.decode(data)
        return "a plan"

    return Opened([sample().plan], feed)


def _sheet(folder: Path) -> Opened:
    rows = [worksheet.Row(number, path, False) for number, path in enumerate(FILES, 1)]
    text = "".join(worksheet.sheet(rows, "Smith")).encode()

    def feed(data: bytes) -> str:
        edited = worksheet.read(data.decode("utf-8", "replace"), rows)
        return "with faults" if edited.faults else "without"

    return Opened([text, text.replace(b"1\ta", b"1\tnew/a\\xff"), text.replace(b"2\tb\n", b"")], feed)


def _table(folder: Path) -> Opened:
    """A CSV file of names, as `treegate new` takes it."""
    written = io.StringIO()
    csv.writer(written).writerows([("from", "to"), ("a", "sorted/a"), ("b, old", 'c "new"')])
    path = folder / "names.csv"

    def feed(data: bytes) -> None:
        path.write_bytes(data)
        list(writing._table(str(path)))

    return Opened([written.getvalue().encode()], feed)


def _glob(folder: Path) -> Opened:
    def feed(data: bytes) -> str:
        text = data[:50_000].decode("utf-8", "replace")
        try:
            globs.Glob.parse(text).matches("in/a/b/draft.pdf", False)
            globs.PathRule.parse(text, itself=True)
        except globs.PatternError:
            return "no pattern"
        return "a pattern"

    return Opened([b"in/*.pdf", b"**/draft[0-9!a-z]*/", b"/*/[[:x:]]?.pdf", b"a/**/b/**/c*d*e"], feed)


def _status(folder: Path) -> Opened:
    text = b"# a note\napproved\nby: Anna\ncomment: fine\n  so far\n"
    return Opened([text, text.replace(b"approved", b"rejected:")], lambda data: statusfile.read(data) and None)


# -- what is kept


def _config(folder: Path) -> Opened:
    def feed(data: bytes) -> None:
        (folder / configfile.FILE).write_bytes(data)
        configfile.load(folder, {})

    return Opened([_CONFIG], feed)


_CONFIG = b"""\
lock_wait = "1m"
[vault]
keep = "2w"
max_size = "3 GiB"
[policy.limits]
delete_share = 0.5
[policy.names]
rules = ["gcs", "windows"]
[policy.protect]
paths = ["Final/**", "/*/Sealed"]
[policy.apply]
by = []
[groups]
partners = ["anna", "ben"]
[queue]
settle = "2s"
"""


def _marker(folder: Path) -> Opened:
    (folder / workspace.AREA).mkdir()

    def feed(data: bytes) -> None:
        (folder / workspace.AREA / workspace.MARKER).write_bytes(data)
        workspace.read_marker(folder)

    return Opened([sample().marker], feed)


def _generation(folder: Path) -> Opened:
    (folder / workspace.AREA).mkdir()

    def feed(data: bytes) -> None:
        (folder / workspace.AREA / workspace.GENERATION).write_bytes(data)
        workspace.generation(folder)

    return Opened([b"0000000000000012\n"], feed)


def _probed(folder: Path) -> Opened:
    def feed(data: bytes) -> None:
        (folder / "probe.json").write_bytes(data)
        workspace._remembered(folder / "probe.json")

    return Opened([b'{"boot 1 /projects": {"noreplace": true}}'], feed)


class _Kept:
    """As much of a workspace as the vault's files ask for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def vault(self, volume: str, run: str) -> Path:
        return self.folder


def _rest(folder: Path) -> Opened:
    """What a run left out of its plan."""
    (folder / "previews").mkdir()
    core, run = SimpleNamespace(state=folder), SimpleNamespace(table_digest="t")

    def feed(data: bytes) -> None:
        (folder / "previews/t.rest").write_bytes(data)
        skipping.rest_of(core, run)

    return Opened(
        [b'{"counts":{"moved":1},"effects":[{"id":"e1","effect":"moved","path":"a","kind":"file"}],"left":[]}'], feed
    )


def _manifest(folder: Path) -> Opened:
    def feed(data: bytes) -> None:
        (folder / vault.MANIFEST).write_bytes(data)
        vault.manifest(_Kept(folder), "", RUN)

    return Opened([sample().manifest], feed)


def _mark(folder: Path) -> Opened:
    def feed(data: bytes) -> None:
        (folder / vault.MARK).write_bytes(data)
        vault.mark_of(_Kept(folder), "", RUN)

    return Opened([b"20260131T120000Z\n"], feed)


def _stored(folder: Path) -> Opened:
    """A document, model or chunk as the database keeps it."""
    return Opened([packing.packed(sample().plan * 20)], lambda data: reader.unpacked(data) and None)


# -- messages


def _word(folder: Path) -> Opened:
    """What a runner is told, and what it tells: whoever sends what is none is hung up on."""
    order = {"id": "sb_1", "command": ["true"], "cases": [], "engine": "bwrap", "scratch": "/s", "blobs": "/b"}
    run = msgspec.convert({"type": "Run", "order": {**order, "document": "/d", "title": "t"}}, wire.Word)
    samples = [_sent(one) for one in (run, wire.Cancel(), wire.Release())]

    def feed(data: bytes) -> str:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                theirs.sendall(data)
            theirs.shutdown(socket.SHUT_WR)
            try:
                while True:
                    wire.Line(ours).word()
            except EOFError:
                return "hung up"

    return Opened(samples, feed)


def _sent(message: wire.Word) -> bytes:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire.Line(ours).send(message)
        return theirs.recv(1 << 16)


def _button(folder: Path) -> Opened:
    """What a button or window of Slack brings back; nothing where it is none of ours."""
    sound = msgspec.json.encode(cards.Carried("pl_1", "d" * 64))

    def feed(data: bytes) -> str:
        found = cards.carried(data.decode("utf-8", "surrogateescape"))
        return "none of ours" if found is None else "ours"

    return Opened([sound], feed)


DECODERS: tuple[Decoder, ...] = (
    Decoder("plan", _plan),
    Decoder("plan, checked and repaired", _checked),
    Decoder("file in the queue", _dropped),
    Decoder("worksheet", _sheet),
    Decoder("table of names", _table),
    Decoder("pattern", _glob),
    Decoder("status file", _status),
    *SEALED,
    Decoder("configuration", _config),
    Decoder("marker of a workspace", _marker),
    Decoder("number of runs", _generation),
    Decoder("what a mount can", _probed),
    Decoder("manifest of a vault", _manifest),
    Decoder("what was left out of a plan", _rest),
    Decoder("mark of rollback.sh", _mark),
    Decoder("stored document", _stored),
    Decoder("message to a runner", _word),
    Decoder("button of Slack", _button),
    Decoder("marks of an overlay", overlay_marks.opened),
)
