"""What a JSON document holds beyond what a fast decoder tells: repeated keys, and where a fault lies."""

from __future__ import annotations

import json
import re
from typing import Any

from treegate.model.problems import Problem, problem


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


def parse_strictly(document: bytes) -> Problem | None:
    """Where a document stops being JSON, by line and column."""
    try:
        json.loads(document.decode())
    except json.JSONDecodeError as error:
        text = f"the document is not JSON: {error.msg.lower()} at line {error.lineno}, column {error.colno}"
        return problem("not-json", text)
    except UnicodeDecodeError as error:
        return problem("not-json", f"byte {error.start:,} is not UTF-8")
    except (ValueError, RecursionError) as error:
        return problem("not-json", f"the document is not JSON: {error}")
    return None


_PART = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


def pointer_of(path: str) -> str:
    """An RFC 6901 pointer from a decoder's path such as `.operations[3].to`."""
    return "".join("/" + escaped(key or index) for key, index in _PART.findall(path))
