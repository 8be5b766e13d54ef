"""Text from outside on a line of its own: inert, as wide as it looks, cut in the middle, two paths with an arrow.

Widths are columns of a terminal (UAX #11, by wcwidth). Everything here gives back text without control characters.
"""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache

from wcwidth import wcswidth, wcwidth

from treegate.model.effects import Text, untagged
from treegate.model.names import restated, visible

ELLIPSIS = "…"
MOST_MARKS = 4  # marks on one letter; scripts need three at most, more would paint over the lines around
ARROW = " -> "


def inert(text: Text) -> str:
    """Text from outside as it may be shown: `names.visible`, and no mark without a letter below it."""
    shown = visible(untagged(text))
    return shown if shown.isascii() else _tamed(shown)


def sentence(text: str) -> str:
    """A sentence of ours as it may be shown: names in it are quoted already (`names.restated`)."""
    shown = restated(text)
    return shown if shown.isascii() else _tamed(shown)


def _tamed(text: str) -> str:
    out, marks = [], MOST_MARKS
    for character in text:
        marks = 0 if _wide(character) else marks + 1
        out.append(character if marks <= MOST_MARKS else _number(character))
    return "".join(out)


def _number(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@lru_cache(maxsize=4096)
def _wide(character: str) -> int:
    """The columns that a character adds to a line: a vowel sign of Tamil takes one after a letter, none alone."""
    return max(0, wcwidth(character), wcswidth("a" + character) - 1)


def columns(text: str) -> int:
    """How many columns inert text takes."""
    return len(text) if text.isascii() else sum(map(_wide, text))


def cut(text: str, room: int) -> str:
    """The text in at most `room` columns, the middle left out: a path's end says more than its beginning."""
    if columns(text) <= room:
        return text
    if room < 2:
        return ELLIPSIS[: max(0, room)]
    head = (room - 1) * 2 // 5
    return _head(text, head) + ELLIPSIS + _tail(text, room - 1 - head)


def clip(text: str, room: int) -> str:
    """The text in at most `room` columns, the end left out: right for sentences."""
    if columns(text) <= room:
        return text
    return _head(text, room - 1).rstrip() + ELLIPSIS if room > 0 else ""


def _head(text: str, room: int) -> str:
    taken = 0
    for at, character in enumerate(text):
        taken += _wide(character)
        if taken > room:
            return text[:at]
    return text


def _tail(text: str, room: int) -> str:
    at, taken = len(text), 0
    while at > 0 and (taken := taken + _wide(text[at - 1])) <= room:
        at -= 1
    while at < len(text) and not _wide(text[at]):
        at += 1  # its letter was left out
    return text[at:]


def pad(text: str, room: int, *, right: bool = False) -> str:
    """The text filled up to `room` columns."""
    space = " " * max(0, room - columns(text))
    return space + text if right else text + space


def wrap(text: str, room: int, most: int = 100) -> list[str]:
    """The text in lines of at most `room` columns, broken between words; the last of `most` lines is clipped."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if columns(longer) <= room:
            lines[-1] = longer
        else:
            lines += _pieces(word, room)
    lines = [line for line in lines if line] or [""]
    return lines if len(lines) <= most else [*lines[: most - 1], clip(" ".join(lines[most - 1 :]), room)]


def hanging(line: str, room: int, left: int) -> list[str]:
    """A line in pieces of at most `room` columns; those after the first begin at column `left`."""
    if columns(line) <= room:
        return [line]
    head, rest = line[:left], line[left:].lstrip(" ")
    pieces = wrap(rest, max(room - left, 20))
    return [head.ljust(left) + pieces[0], *(" " * left + piece for piece in pieces[1:])]


def _pieces(word: str, room: int) -> list[str]:
    """A word in pieces that fit; nearly always one."""
    pieces, start, taken = list[str](), 0, 0
    for at, character in enumerate(word):
        wide = _wide(character)
        if taken + wide > room and at > start:
            pieces.append(word[start:at])
            start, taken = at, 0
        taken += wide
    return [*pieces, word[start:]]


# What could pass for the renderer's own marks: arrows, counts, columns, quotes.
_PASSES_FOR_OURS = re.compile(r"->|=>|  |[\"\u3000…]|^[ +#]|^$| $|^\./?$")


def name(text: Text, case: str = "", *, folder: bool = False) -> str:
    """A path as it stands on a line: within its case, a folder with `/`, in quotes if it could mislead.

    With `case` given, paths of other cases begin with `/`, and `./` is the case itself.
    """
    path = untagged(text)
    if folder and not path.endswith("/"):
        path += "/"
    if case:
        inside = path.startswith(f"{case}/")
        path = path[len(case) + 1 :] if inside else f"/{path}"
        if not path:
            return "./"
    shown = inert(path)
    return '"' + shown.replace('"', '\\"') + '"' if _PASSES_FOR_OURS.search(shown) else shown


def arrow(source: str, to: str, room: int) -> str:
    """`from -> to` in at most `room` columns; `to` ends in `/` where the name stays, as a plan would write it."""
    to = short_target(source, to)
    if columns(source) + columns(to) + len(ARROW) <= room:
        return source + ARROW + to
    if '"' not in source + to and posixpath.dirname(source) and posixpath.dirname(source) == posixpath.dirname(to):
        to = f"{ELLIPSIS}/{posixpath.basename(to)}"
    left, right = split(columns(source), columns(to), max(0, room - len(ARROW)))
    return cut(source, left) + ARROW + cut(to, right) if room >= 9 else cut(source + ARROW + to, room)


def short_target(source: str, to: str) -> str:
    """The destination without a name that stays the same."""
    folder, base = posixpath.split(to)
    if '"' in source + to or not base or base != posixpath.basename(source) or source == to:
        return to
    return f"{folder}/" if folder else "./"


def split(left: int, right: int, room: int) -> tuple[int, int]:
    """Columns for two texts that share `room`: half each, and what one does not need goes to the other."""
    half = room // 2
    if left <= half:
        return left, room - left
    if right <= room - half:
        return room - right, right
    return half, room - half
