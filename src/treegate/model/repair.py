"""Repair: suggestions, how they are made of an operation and how a plan takes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from treegate.model import paths
from treegate.model.operations import Operation
from treegate.model.problems import Problem

_PATH_KEYS = ("from", "to", "path", "name", "target")
_STARTING_KEYS = ("from", "to", "path", "match", "except")  # of paths that start at the case


def suggested(operation: Operation, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The operation with some keys changed, ready to take the place of the faulty one.

    Where a changed path holds bytes that are not UTF-8, all its paths are percent-encoded and `raw` says so.
    """
    made: dict[str, Any] = msgspec.to_builtins(operation)
    was_raw = made.get("raw") is True
    texts = [value for value in changes.values() if isinstance(value, str)]
    raw = was_raw or not all(paths.is_utf8(text) for text in texts)
    if raw and not was_raw:
        made = {key: paths.to_raw(value) if key in _PATH_KEYS else value for key, value in made.items()} | {
            "raw": True
        }
    for key, value in changes.items():
        made[key] = paths.to_raw(value) if raw and key in _PATH_KEYS else value
    return made


class Round(NamedTuple):
    """A plan with suggestions taken: how many were, and the numbers (from 1) of the operations still there."""

    document: bytes
    taken: int
    kept: list[int]


class Mended(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of a plan, as it was and as it is now; `now` is None where it was dropped."""

    operation: int  # its number in the plan as it was given
    was: dict[str, Any]
    now: dict[str, Any] | None


def difference(before: bytes, after: bytes, kept: Sequence[int]) -> list[Mended]:
    """What repair changed of each operation; `kept` are the numbers, before, of the operations after it."""
    old, new = (json.loads(document)["operations"] for document in (before, after))
    now = dict(zip(kept, new, strict=True))
    return [
        Mended(operation=number, was=was, now=now.get(number))
        for number, was in enumerate(old, 1)
        if now.get(number) != was
    ]


def repaired(document: bytes, problems: Iterable[Problem]) -> Round:
    """The plan's document with each operation's first suggestion taken.

    Errors go before warnings; a warning's suggestion is taken only where the operation has no error. A suggestion
    for the plan itself is the keys of its head that are to be changed.
    """
    plan: dict[str, Any] = json.loads(document)
    chosen: dict[int, Problem] = {}
    taken = 0
    for found in sorted(problems, key=lambda one: one.severity):
        if found.suggests and found.operation is None and found.suggestion is not None:
            _change_head(plan, found.suggestion)
            taken += 1
        elif found.suggests and found.operation is not None:
            chosen.setdefault(found.operation, found)
    operations = {
        number: chosen[number].suggestion if number in chosen else operation
        for number, operation in enumerate(plan["operations"], 1)
        if number not in chosen or chosen[number].suggestion is not None
    }
    plan["operations"] = list(operations.values())
    written = json.dumps(plan, indent=2, ensure_ascii=False).encode() + b"\n"
    return Round(written, taken + len(chosen), list(operations))


def _change_head(plan: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Changes keys of a plan's head; paths that begin with a case that there is not start in it from then on."""
    case = plan.get("case")
    plan.update(changes)
    if case and case != plan["case"]:
        plan["operations"] = [
            {key: _in_case(value, case) if key in _STARTING_KEYS else value for key, value in operation.items()}
            for operation in plan["operations"]
        ]


def _in_case(value: Any, case: str) -> Any:
    if isinstance(value, list):
        return [_in_case(each, case) for each in value]
    better = paths.from_case(value.lstrip("/"), case)
    return better if better and value.lstrip("/").startswith((f"{case}/", f"projects/{case}/")) else value
