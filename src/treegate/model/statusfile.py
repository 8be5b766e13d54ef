"""The `status` file of a plan in the queue: what treegate writes into it, and what a person made of it.

    pending
    digest: 3f2a9c…
    by:
    comment:

A person changes the first word, fills in `by`, and saves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from treegate.errors import UsageError
from treegate.model.actors import LONGEST_NAME, is_name
from treegate.model.names import visible

WORDS = ("approved", "rejected", "changes-requested")
MOST = 64 << 10  # bytes that anybody needs to say yes or no
_KEYS = ("digest", "by", "comment")
_MARK = b"# nobody has changed this file: "


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What a status file says; `word` is its first one, in lower case."""

    word: str
    digest: str = ""
    by: str = ""
    comment: str = ""

    @property
    def decides(self) -> bool:
        """Whether it says yes or no to something."""
        return self.word in WORDS


def write(word: str, digest: str, notes: Iterable[str] = ()) -> bytes:
    """A status file on which nobody has decided; `notes` are for whoever opens it, and mean nothing."""
    lines = [word, f"digest: {digest}", "by:", "comment:", *(f"# {note}" for note in notes)]
    text = "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
    return text + _mark(text)


def untouched(data: bytes) -> bool:
    """Whether a status file is as treegate wrote it, at whatever time."""
    start = data.rfind(_MARK)
    return start >= 0 and data[start:] == _mark(data[:start])


def _mark(text: bytes) -> bytes:
    return b"%b%b\n" % (_MARK, hashlib.sha256(text).hexdigest()[:12].encode())


def read(data: bytes) -> Status:
    """What a status file says; raises UsageError "status-unreadable" or "status-unknown-word".

    Lines from a `#` on are notes. A comment may go on over lines. Line ends and a BOM of other systems do not matter.
    """
    if len(data) > MOST:
        raise _unreadable(f"it has more than {MOST:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable("it is not UTF-8") from None
    lines = [line.rstrip() for line in text.splitlines() if not line.lstrip().startswith("#")]
    lines = lines[next((n for n, line in enumerate(lines) if line), len(lines)) :]
    if not lines:
        raise _unreadable("it is empty")
    word = lines[0].split()[0].rstrip(":.,;").lower().replace("_", "-")
    if not (word and word.isascii()):
        raise _unknown(lines[0].split()[0])
    return Status(word=word, **_fields(lines[1:]))


def checked(status: Status) -> Status:
    """A status that somebody has set; raises UsageError where it decides nothing, or nobody with a name says so."""
    if not status.decides:
        raise _unknown(status.word)
    if not status.by:
        text = f"it says {status.word}, and not who says so"
        raise UsageError(text, code="status-by-missing", hint="fill in your name behind `by:` and save it again")
    if not is_name(status.by):
        text = f"{visible(status.by[:60])!r} is no name"
        hint = f"a name is 1 to {LONGEST_NAME} characters that can be printed"
        raise UsageError(text, code="status-by-invalid", hint=hint)
    return status


def _fields(lines: list[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    key = ""
    for line in lines:
        name, colon, rest = line.partition(":")
        if colon and name.strip().lower() in _KEYS:
            key = name.strip().lower()
            found[key] = [rest.strip()]
        elif key == "comment":  # of the others, one line is all there is
            found[key].append(line.strip())
    return {key: "\n".join(parts).strip() for key, parts in found.items()}


def _unknown(word: str) -> UsageError:
    text = f"{visible(word[:60])!r} is no word for a decision"
    hint = "the first word is pending, " + ", ".join(WORDS[:-1]) + f" or {WORDS[-1]}"
    return UsageError(text, code="status-unknown-word", hint=hint)


def _unreadable(why: str) -> UsageError:
    return UsageError(
        f"the status file cannot be read: {why}", code="status-unreadable", hint="undo what was changed"
    )
