"""What does not fit the shape of a plan, in words: from a decoder's sentence to a Problem with its place."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import msgspec

from treegate.model import paths
from treegate.model.document import escaped, pointer_of
from treegate.model.nearmiss import corrected
from treegate.model.operations import OPERATIONS, Operation
from treegate.model.problems import Problem, problem

_AT = re.compile(r" - at `(?:key in )?\$?([^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(.*)`$", re.DOTALL)
_MISSING = re.compile(r"missing required field `([^`]+)`")
_EXPECTED = re.compile(r"Expected `([^`]+)`(?: of length)?(?: (>=|<=) (\d+))?(?:.*, got `([^`]+)`)?")
_VALUE = re.compile(r"Invalid (?:enum )?value (.*)", re.DOTALL)

_WORDS = {
    "object": "an object", "array": "a list", "str": "text", "int": "a whole number", "bool": "true or false",
    "float": "a number with a fraction", "null": "null",
}  # fmt: skip
_KEYS = {  # what a key takes, where its type does not say it all
    "mode": 'permissions in octal digits, such as "0644"',
    "mtime": 'a time in UTC, such as "2024-03-01T09:00:00Z"',
    "sha256": "64 hexadecimal digits in small letters",
    "blob": '"sha256:" and 64 hexadecimal digits in small letters',
    "if_exists": "one of fail, replace, number",
    "on_stale": "one of fail, skip",
    "version": "1, the version that this treegate reads",
    "operations": "a list of at least one operation",
    "op": "the name of an operation",
}
_BRIEF = 40  # characters of a value that a message shows


def of_document(document: bytes, error: msgspec.ValidationError) -> Problem:
    """The problem of a document whose own keys do not fit."""
    sentence = str(error)
    return _problem(sentence, None, None if ", got `" in sentence else _read(document))


def of_operation(number: int, raw: bytes, error: msgspec.ValidationError, case: str | None) -> Problem:
    """The problem of one operation, with the path it is about; with a corrected operation where it is a near miss."""
    given = _read(raw)
    found = msgspec.structs.replace(_problem(str(error), number, given), path=path_of(given, case))
    near = corrected(raw, OPERATIONS)
    if near is None:
        return found
    return msgspec.structs.replace(found, code=near.code, hint=near.hint, suggestion=near.operation, suggests=True)


def of_keys(number: int, operation: Operation, key: str, text: str, case: str | None) -> Problem:
    """The problem of an operation whose keys do not go together."""
    path = path_of(msgspec.to_builtins(operation), case)
    return msgspec.structs.replace(problem("wrong-keys", text, number, f"/operations/{number - 1}/{key}"), path=path)


def path_of(given: Any, case: str | None) -> str | None:
    """The path that an operation is about, from `projects/`, as far as it can be read."""
    if not isinstance(given, dict):
        return None
    found = (given.get(key) for key in ("from", "path", "match", "to"))
    path = next((value for value in found if isinstance(value, str) and value), None)
    return None if path is None else paths.joined(case or "", path)


class _Number(NamedTuple):
    """A number as it is written, for one may have more digits than can be read."""

    text: str


def _read(raw: bytes) -> Any:
    try:
        return json.loads(raw, parse_int=_Number, parse_float=_Number)
    except (ValueError, RecursionError):
        return None


def _problem(sentence: str, number: int | None, given: Any) -> Problem:
    where = _AT.search(sentence)
    sentence = _AT.sub("", sentence)
    within = pointer_of(where.group(1) if where else "")
    at = (f"/operations/{number - 1}" if number else "") + within
    here = f"operation {number}" if number else "the plan"
    if key := _UNKNOWN.search(sentence):
        text = f"there is no key {key.group(1)!r} in {here}"
        return problem("unknown-key", text, number, f"{at}/{escaped(key.group(1))}")
    if key := _MISSING.search(sentence):
        text = f"the key {key.group(1)!r} is missing in {here}"
        return problem("missing-key", text, number, f"{at}/{escaped(key.group(1))}")
    code = "unknown-operation" if number and within == "/op" else "wrong-type"
    name = f"{within[1:].replace('/', '.')!r} of {here}" if within else here
    takes = _taken(within.rpartition("/")[2], sentence)
    return problem(code, f"{name} takes {takes}, not {_found(within, sentence, given)}", number, at)


def _taken(key: str, sentence: str) -> str:
    """What may stand there."""
    if key in _KEYS:
        return _KEYS[key]
    expected = _EXPECTED.match(sentence)
    if expected is None:
        return "something else"
    kind, relation, bound, _ = expected.groups()
    word = " or ".join(_WORDS.get(part, part) for part in kind.split(" | "))
    return word if relation is None else f"{word} of at {'least' if relation == '>=' else 'most'} {int(bound):,}"


def _found(within: str, sentence: str, given: Any) -> str:
    """What stands there instead."""
    if (value := _VALUE.match(sentence)) is not None:
        return value.group(1)
    expected = _EXPECTED.match(sentence)
    got = expected.group(4) if expected is not None else None
    if got in ("object", "array") or given is None or not within:
        return _WORDS.get(got or "", got or "an empty one")
    for part in within[1:].split("/"):
        given = given[int(part)] if isinstance(given, list) else given.get(part.replace("~1", "/").replace("~0", "~"))
    text = given.text if isinstance(given, _Number) else json.dumps(given, ensure_ascii=False)
    return text if len(text) <= _BRIEF else text[: _BRIEF - 1] + "…"
