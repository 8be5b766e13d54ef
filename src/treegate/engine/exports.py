"""The audit log as JSON lines: each row with its hash, so that a file alone can be verified anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from treegate.engine.audit import AuditRow
from treegate.errors import NotFound, NotVerified, UsageError
from treegate.model.document import UNREADABLE

_LONGEST = 1 << 24  # bytes of one line


class _Line(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A row as it stands in a file, in the order of canonical JSON; `data` as the bytes that were hashed."""

    actor: str
    at: int
    channel: str
    data: msgspec.Raw
    event: str
    hash: str
    plan: str | None
    prev: str
    run: str | None
    seq: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode


def line(row: AuditRow) -> bytes:
    """A row as one line of canonical JSON, without its end; even of one that was edited, as far as it is a row."""
    data = msgspec.Raw(str(row.data).encode("utf-8", "replace"))
    return _encode(
        _Line(row.actor, row.at, row.channel, data, row.event, row.hash, row.plan, row.prev, row.run, row.seq)
    )


def rows(path: Path) -> Iterator[AuditRow]:
    """The rows of a file, one held at a time; raises NotFound, UsageError, or NotVerified "export-damaged"."""
    try:
        with open(path, "rb") as file:
            number = 0
            while found := file.readline(_LONGEST):
                number += 1
                yield _row(path, number, found)
    except FileNotFoundError:
        text = f"there is no file {str(path)!r}"
        raise NotFound(text, code="file-missing", next="treegate audit export --help") from None
    except OSError as error:
        text = f"{path}: {error.strerror}"
        raise UsageError(text, code="file-unreadable", next="treegate audit verify --help") from None


def _row(path: Path, number: int, text: bytes) -> AuditRow:
    try:
        found = _decode(text)
        data = bytes(found.data).decode()
    except UNREADABLE as error:
        raise NotVerified(
            f"line {number} of {str(path)!r} is no audit row: {error}",
            code="export-damaged",
            hint="it was edited, or not copied whole: export the log again",
            next="treegate audit export --help",
        ) from None
    return AuditRow(
        found.seq,
        found.at,
        found.event,
        found.actor,
        found.channel,
        found.plan,
        found.run,
        data,
        found.prev,
        found.hash,
    )
