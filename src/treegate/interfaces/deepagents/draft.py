"""Drafts: changes to one case, collected as the operations of a plan, in order.

An operation that makes the one before needless takes its place, where nothing between the two touches what they
touch; all others are appended, and treegate nets them.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from treegate.model import paths

Operation = dict[str, Any]
_PLACES = ("path", "from", "to")
_PUTS = ("create", "replace")


def document(case: str, operations: Sequence[Operation], title: str = "", reason: str = "") -> dict[str, Any]:
    """The plan of some changes."""
    words = {key: text for key, text in (("title", title), ("reason", reason)) if text}
    return {"version": 1, "case": case, **words, "operations": list(operations)}


def encoded(plan: dict[str, Any]) -> bytes:
    """A plan as it is handed in."""
    return msgspec.json.encode(plan)


def put(done: Sequence[Operation], path: str, data: bytes, *, exists: bool) -> list[Operation]:
    """What was done, and a file that holds something."""
    at = _last_put(done, path)
    if at is None:
        return [*done, _located({"op": "replace" if exists else "create", **_content(data)}, path=path)]
    return [*done[:at], _located({"op": done[at]["op"], **_content(data)}, path=path), *done[at + 1 :]]


def delete(done: Sequence[Operation], path: str, *, folder: bool) -> list[Operation]:
    """What was done, without what is at a path."""
    at = _last_put(done, path)
    kept = [*done] if at is None else [*done[:at], *done[at + 1 :]]
    if at is not None and done[at]["op"] == "create":
        return kept
    return [*kept, _located({"op": "delete", **({"recursive": True} if folder else {})}, path=path)]


def move(done: Sequence[Operation], source: str, target: str) -> list[Operation]:
    """What was done, and an entry at another place."""
    return [*done, _located({"op": "move"}, **{"from": source, "to": target})]


def _content(data: bytes) -> Operation:
    try:
        return {"content": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"content_base64": base64.b64encode(data).decode("ascii")}


def _located(operation: Operation, **places: str) -> Operation:
    """An operation with its paths, all percent-encoded where one is not UTF-8."""
    if all(map(paths.is_utf8, places.values())):
        return {**operation, **places}
    return {**operation, "raw": True, **{key: paths.to_raw(path) for key, path in places.items()}}


def _last_put(done: Sequence[Operation], path: str) -> int | None:
    """The last operation that put a file there, if none after it touches that path, what is above or below it."""
    for at in range(len(done) - 1, -1, -1):
        places = _places(done[at])
        if done[at]["op"] in _PUTS and places == [path]:
            return at
        if any(_related(path, place) for place in places):
            return None
    return None


def _places(operation: Operation) -> list[str]:
    found = [operation[key] for key in _PLACES if key in operation]
    return [paths.from_raw(path) for path in found] if operation.get("raw") else found


def _related(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
