"""The difference of two contents as lines of text, for those who decide on a file that is written anew."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

MOST_BYTES = 256 << 10  # of each content; what is longer is compared as far as that
MOST_LINES = 2_000  # of a difference
BEGINNING = 2_000  # bytes of a content of which `beginning` shows some
_CONTEXT = 3


def difference(old: bytes | None, new: bytes | None) -> tuple[list[str], str]:
    """Lines of a unified difference, each beginning with `+`, `-`, a space or `@`, and a note on what they leave out.

    None stands for a file that is not there. Binary contents have no lines, only the note.
    """
    texts = [_text(content) for content in (old, new)]
    before, after = texts
    if before is None or after is None:
        return [], _binary(old, new)
    lines = list(_unified(before, after))
    notes = ["only the beginning is compared: it is longer"] if max(map(_size, (old, new))) > MOST_BYTES else []
    if len(lines) > MOST_LINES:
        notes.append(f"{len(lines) - MOST_LINES:,} more lines of it are not shown")
    if not lines:
        notes.append("both are the same")
    return lines[:MOST_LINES], "; ".join(notes)


def beginning(content: bytes) -> str:
    """The first lines of a content, of which BEGINNING bytes are given; "" for one that is no text."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        if error.start < len(content) - 3:  # else it was cut within a character
            return ""
        text = content[: error.start].decode()
    return "" if "\0" in text else "\n".join(line[:60] for line in text.splitlines()[:12])


def _unified(before: str, after: str) -> Iterator[str]:
    pair = (before.splitlines(), after.splitlines())
    yield from list(difflib.unified_diff(*pair, lineterm="", n=_CONTEXT))[2:]
    if pair[0] == pair[1] and before != after:
        yield "@@ only the ends of lines differ @@"


def _size(content: bytes | None) -> int:
    return 0 if content is None else len(content)


def _text(content: bytes | None) -> str | None:
    """A content as text; None where it is none. What was cut within a character is still text."""
    if content is None:
        return ""
    head = content[:MOST_BYTES]
    if b"\0" in head:
        return None
    try:
        return head.decode()
    except UnicodeDecodeError as error:
        cut = len(content) > MOST_BYTES and error.start >= len(head) - 3
        return head[: error.start].decode() if cut else None


def _binary(old: bytes | None, new: bytes | None) -> str:
    if old == new:
        return "both are the same, and no text"
    return "no text: it cannot be shown as lines"
