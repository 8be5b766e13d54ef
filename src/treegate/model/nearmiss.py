"""Near misses: operations written as another tool would, and the plan's own form of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, NamedTuple

import msgspec


class Correction(NamedTuple):
    """The operation as it should be written, and a sentence why."""

    operation: dict[str, Any]
    hint: str
    code: str = "near-miss"


# What other tools and models write, and our word for it.
_VERBS = {
    "mv": "move", "relocate": "move", "cp": "copy", "duplicate": "copy", "rm": "delete", "remove": "delete",
    "unlink": "delete", "trash": "delete", "makedir": "mkdir", "make_dir": "mkdir", "create_folder": "mkdir",
    "create_directory": "mkdir", "write": "create", "create_file": "create", "touch": "create", "new": "create",
    "overwrite": "replace", "update": "replace", "edit": "replace", "link": "symlink", "ln": "symlink",
    "chmod": "set",
}  # fmt: skip
_KEYS = {
    "source": "from", "src": "from", "old": "from", "from_path": "from", "old_path": "from", "source_path": "from",
    "destination": "to", "dest": "to", "dst": "to", "target": "to", "to_path": "to", "new_path": "to",
    "destination_path": "to", "file": "path", "folder": "path", "dir": "path", "directory": "path",
    "filename": "path", "reason": "why", "comment": "why", "text": "content", "contents": "content",
    "new_name": "name", "pattern": "match", "glob": "match", "exclude": "except", "overwrite": "if_exists",
}  # fmt: skip
_WISHES: dict[object, str] = {
    True: "replace", False: "fail", "overwrite": "replace", "rename": "number", "error": "fail", "skip": "fail",
}  # fmt: skip
_OF_A_LINK = {"to": "target", "points_to": "target", "link_target": "target", "link": "path", "link_name": "path"}


def corrected(raw: bytes, kinds: Iterable[type[msgspec.Struct]]) -> Correction | None:
    """The nearest well-formed operation to one that is not, or None; `kinds` are the operations there are."""
    try:
        given = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, dict):
        return None
    shapes = {str(kind.__struct_config__.tag): kind for kind in kinds}
    verb = given.get("op", given.get("operation", given.get("action", given.get("type"))))
    made = _with_verb(given, verb, shapes)
    if made is None:
        return None
    made = _with_keys(made, shapes[made["op"]])
    try:
        msgspec.convert(made, shapes[made["op"]])
    except msgspec.ValidationError:
        return None
    return Correction(made, _explained(given, made))


def _with_verb(given: dict[str, Any], verb: object, shapes: dict[str, Any]) -> dict[str, Any] | None:
    if not isinstance(verb, str):
        return None
    word = verb.lower()
    known = word if word in shapes else _VERBS.get(word) or next(iter(get_close_matches(word, shapes, 1, 0.75)), None)
    if known is None:
        return None
    rest = {key: value for key, value in given.items() if key not in ("op", "operation", "action", "type")}
    return {"op": known, **rest}


def _with_keys(given: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The operation with keys renamed to those its kind has, and `rename` with `to` made what it means."""
    keys = set(kind.__struct_encode_fields__) | {"op"}
    made: dict[str, Any] = {}
    for key, value in given.items():
        better = key if key in keys else _nearest_key(key, keys, str(given["op"]))
        made.setdefault(better, value)
    if made["op"] == "rename":
        made = _rename_with_to(made)
    wish = made.get("if_exists")
    if isinstance(wish, bool | str):
        made["if_exists"] = _WISHES.get(wish, wish)
    if isinstance(made.get("mode"), int):
        made["mode"] = f"{made['mode']:04}"  # 755 is meant as the octal digits that it shows
    return made


def _nearest_key(key: str, keys: set[str], verb: str) -> str:
    if verb in ("rename", "mkdir", "delete", "set", "create", "replace") and _KEYS.get(key, key) == "from":
        return "path"
    if verb in ("mkdir", "create") and key == "name":
        return "path"
    alias = _OF_A_LINK.get(key, "") if verb == "symlink" else _KEYS.get(key, "")
    if alias in keys or alias in ("from", "to"):  # `rename` sorts these out
        return alias
    return next(iter(get_close_matches(key, keys, 1, 0.7)), key)


def _rename_with_to(given: dict[str, Any]) -> dict[str, Any]:
    """`rename` takes a name; with a `to` that leads elsewhere it was a move."""
    path = given.get("path", given.get("from"))
    to = given.get("to", given.get("name"))
    if not isinstance(path, str) or not isinstance(to, str):
        return given
    rest = {key: value for key, value in given.items() if key not in ("op", "path", "from", "to", "name")}
    folder, _, _ = path.rpartition("/")
    above, _, name = to.rpartition("/")
    if not above or above == folder:
        return {"op": "rename", "path": path, "name": name, **rest}
    return {"op": "move", "from": path, "to": to, **rest}


def _explained(given: dict[str, Any], made: dict[str, Any]) -> str:
    gone = [key for key in given if key not in made]
    come = [key for key in made if key not in given]
    if given.get("op") != made["op"]:
        return f"write it as a `{made['op']}`"
    if gone and come:
        return f"write {', '.join(f'`{key}`' for key in come)} instead of {', '.join(f'`{key}`' for key in gone)}"
    return "take the suggestion"
