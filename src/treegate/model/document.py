"""What a JSON document holds beyond what a fast decoder tells: repeated keys, and where a fault lies."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import msgspec

from treegate.model.names import visible
from treegate.model.problems import Problem, problem

# What a decoder raises for bytes that are no document of its kind.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Object(dict[str, Any]):
    """A JSON object that remembers the first key that stood twice in it."""

    repeated: str | None = None


def _remembering(pairs: list[tuple[str, Any]]) -> _Object:
    made = _Object(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                made.repeated = key
                break
            seen.add(key)
    return made


def repeated_key(document: bytes) -> str | None:
    """An RFC 6901 pointer to the first key that stands twice in one object (RFC 8259 section 4), if any does."""
    try:
        whole = json.loads(document.decode(), object_pairs_hook=_remembering)
    except (ValueError, RecursionError):
        return None  # not for this function to say
    todo: list[tuple[str, Any]] = [("", whole)]
    for at, value in todo:
        if isinstance(value, _Object):
            if value.repeated is not None:
                return f"{at}/{escaped(value.repeated)}"
            todo += [(f"{at}/{escaped(key)}", held) for key, held in value.items() if isinstance(held, dict | list)]
        elif isinstance(value, list):
            todo += [(f"{at}/{index}", held) for index, held in enumerate(value) if isinstance(held, dict | list)]
    return None


def escaped(key: str) -> str:
    """A key as one part of a pointer (RFC 6901 section 3)."""
    return key.replace("~", "~0").replace("/", "~1")


_ESCAPE = re.compile(
    r"""\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}  # a pair
    | (\\u[dD][89a-fA-F][0-9a-fA-F]{2})  # half of one
    | \\.""",
    re.VERBOSE | re.DOTALL,
)


_BEYOND = re.compile("[^\n -~]")


def inert(document: bytes) -> bytes:
    """The same JSON, or lines of it, each character that a terminal may act on as its escape (RFC 8259 section 7)."""
    if document.isascii() and b"\x7f" not in document:
        return document  # what is below a space is escaped by every encoder
    return _BEYOND.sub(lambda found: _escape(found.group()), document.decode()).encode()


@lru_cache(maxsize=4096)
def _escape(character: str) -> str:
    return character if visible(character) == character else json.dumps(character)[1:-1].replace("\x7f", "\\u007f")


def parse_strictly(document: bytes) -> Problem | None:
    """Where a document stops being JSON (RFC 8259), by line and column."""
    try:
        text = document.decode()
    except UnicodeDecodeError as error:
        return problem("not-json", f"the bytes from {error.start:,} on are not UTF-8")
    if text.startswith("\ufeff"):
        hint = "save the document as UTF-8 without a byte order mark"
        return problem("not-json", "the document begins with a byte order mark", hint=hint)
    try:
        json.loads(text, parse_constant=_refused_constant)
    except json.JSONDecodeError as error:
        found = f"the document is not JSON: {error.msg.lower()} at line {error.lineno}, column {error.colno}"
        return problem("not-json", found)
    except RecursionError:
        return problem("not-json", "the document is nested too deeply to be a plan")
    except ValueError as error:
        return problem("not-json", f"the document is not JSON: {error}")
    return _lone_surrogate(text)


def _refused_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _lone_surrogate(text: str) -> Problem | None:
    """Half of a pair of escapes stands for no character (RFC 8259 section 8.2)."""
    lone = next((found for found in _ESCAPE.finditer(text) if found.group(1)), None)
    if lone is None:
        return None
    line, column = text.count("\n", 0, lone.start()) + 1, lone.start() - text.rfind("\n", 0, lone.start())
    found = f"a lone surrogate {lone.group()} at line {line}, column {column}, which is no character"
    hint = 'a name that is not UTF-8 is written as percent-encoded bytes, with "raw": true'
    return problem("not-json", found, hint=hint)


_PART = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


def pointer_of(path: str) -> str:
    """An RFC 6901 pointer from a decoder's path such as `.operations[3].to`."""
    return "".join("/" + escaped(key or index) for key, index in _PART.findall(path))
