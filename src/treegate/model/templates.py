"""Templates: what each entry that a glob matched is then called.

Braces hold placeholders, and are doubled to mean themselves. Times are written in UTC and English.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from treegate.model.globs import PatternError


class _Match(NamedTuple):
    name: str
    parent: str
    mtime_ns: int
    n: int


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HALF_YEAR = ("January", "February", "March", "April", "May", "June")
_MONTHS = (*_HALF_YEAR, "July", "August", "September", "October", "November", "December")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TIME_CODES: dict[str, Callable[[datetime], str]] = {
    "%": lambda t: "%",
    "Y": lambda t: f"{t.year:04}",
    "y": lambda t: f"{t.year % 100:02}",
    "m": lambda t: f"{t.month:02}",
    "d": lambda t: f"{t.day:02}",
    "H": lambda t: f"{t.hour:02}",
    "M": lambda t: f"{t.minute:02}",
    "S": lambda t: f"{t.second:02}",
    "f": lambda t: f"{t.microsecond:06}",
    "j": lambda t: f"{t.timetuple().tm_yday:03}",
    "F": lambda t: f"{t.year:04}-{t.month:02}-{t.day:02}",
    "B": lambda t: _MONTHS[t.month - 1],
    "b": lambda t: _MONTHS[t.month - 1][:3],
    "A": lambda t: _DAYS[t.weekday()],
    "a": lambda t: _DAYS[t.weekday()][:3],
    "G": lambda t: f"{t.isocalendar().year:04}",
    "V": lambda t: f"{t.isocalendar().week:02}",
    "u": lambda t: str(t.isoweekday()),
}
_TOKEN = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]|[^{}]+", re.DOTALL)
KNOWN_PLACEHOLDERS = "{name}, {stem}, {ext}, {parent}, {mtime:%Y-%m-%d}, {n} and {n:03}"


def split_ext(name: str) -> tuple[str, str]:
    """A name as (stem, extension with its dot); dots that a name begins with belong to the stem."""
    dot = name.rfind(".")
    if dot <= 0 or not name[:dot].strip("."):
        return name, ""
    return name[:dot], name[dot:]


def _moment(mtime_ns: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=mtime_ns // 1000)
    except OverflowError:
        raise ValueError(f"the time {mtime_ns} ns lies outside the years 1 to 9999") from None


def _time_filler(form: str, at: int) -> Callable[[_Match], str]:
    """The filler for `{mtime:FORMAT}`: strftime(3)'s codes in UTC and English, whatever the locale."""
    if not form:
        raise PatternError("{mtime} needs a format, such as {mtime:%Y-%m-%d}", at)
    codes = re.findall(r"%(.?)|([^%]+)", form, re.DOTALL)
    for code, literal in codes:
        if not literal and code not in _TIME_CODES:
            known = " ".join(f"%{known}" for known in _TIME_CODES)
            raise PatternError(f"'%{code}' is not a time code; known are {known}", at)
    return lambda match: "".join(text or _TIME_CODES[code](_moment(match.mtime_ns)) for code, text in codes)


def _filler(text: str, at: int) -> Callable[[_Match], str]:
    """What fills the placeholder `text` (without braces)."""
    kind, colon, form = text.partition(":")
    if kind == "mtime":
        return _time_filler(form, at)
    if kind == "n" and re.fullmatch(r"(0[0-9]{1,2})?", form) and bool(form) == bool(colon):
        return lambda match: f"{match.n:{form}}"
    plain: dict[str, Callable[[_Match], str]] = {
        "name": lambda match: match.name,
        "stem": lambda match: split_ext(match.name)[0],
        "ext": lambda match: split_ext(match.name)[1],
        "parent": lambda match: match.parent,
    }
    if text not in plain:
        raise PatternError(f"'{{{text}}}' is not a placeholder; known are {KNOWN_PLACEHOLDERS}", at)
    return plain[text]


@dataclass(frozen=True, slots=True)
class Template:
    """The `to` of a `match`: text with placeholders, filled once for each entry that matched."""

    text: str
    placeholders: frozenset[str]  # "name", "mtime", ...
    _parts: tuple[str | Callable[[_Match], str], ...] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a template; the PatternError for an unknown placeholder names it and lists the known."""
        parts: list[str | Callable[[_Match], str]] = []
        names = set()
        for token in _TOKEN.finditer(text):
            piece, at = token[0], token.start() + 1
            if piece in ("{{", "}}"):
                parts.append(piece[0])
            elif piece in ("{", "}"):
                what = "never closed" if piece == "{" else "closed but never opened"
                raise PatternError(f"a placeholder is {what}; write '{piece * 2}' for a brace", at)
            elif piece.startswith("{"):
                parts.append(_filler(piece[1:-1], at))
                names.add(piece[1:-1].partition(":")[0])
            else:
                parts.append(piece)
        return cls(text, frozenset(names), tuple(parts))

    def fill(self, name: str, parent: str, mtime_ns: int, n: int) -> str:
        """The text for one entry: its name, its folder ("" at the top), its mtime in ns since 1970, its count from 1.

        A placeholder that is a whole component and empty takes its slash with it. Raises ValueError for a time
        outside the years 1 to 9999.
        """
        match = _Match(name, parent, mtime_ns, n)
        filled = ""
        emptied = False
        for part in self._parts:
            text = part if isinstance(part, str) else part(match)
            if emptied and isinstance(part, str):
                text = text.removeprefix("/")
            emptied = not text and (not filled or filled.endswith("/"))
            filled += text
        return filled
