"""What a JSON document holds beyond what a fast decoder tells: repeated keys, and where a fault lies."""

from __future__ import annotations

import json
import re
from typing import Any

from treegate.model.problems import Problem, problem


class _Repeated(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Repeated(key)
            seen.add(key)
    return made


def repeated_key(document: bytes) -> str | None:
    """The first key that stands twice in one object of the document (RFC 8259 section 4), if any does."""
    try:
        json.loads(document, object_pairs_hook=_refuse_repeated)
    except _Repeated as found:
        return found.key
    except (ValueError, RecursionError):
        return None  # not for this function to say
    return None


def parse_strictly(document: bytes) -> Problem | None:
    """Where a document stops being JSON, by line and column."""
    try:
        json.loads(document)
    except json.JSONDecodeError as error:
        text = f"the document is not JSON: {error.msg.lower()} at line {error.lineno}, column {error.colno}"
        return problem("not-json", text)
    except (ValueError, RecursionError) as error:
        return problem("not-json", f"the document is not JSON: {error}")
    return None


_PART = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


def pointer_of(path: str) -> str:
    """An RFC 6901 pointer from a decoder's path such as `.operations[3].to`."""
    return "".join("/" + (key or index).replace("~", "~0").replace("/", "~1") for key, index in _PART.findall(path))
