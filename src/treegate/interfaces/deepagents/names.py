"""Names: how deepagents writes a path, `/folder/file` with `/` for the case, and how treegate does.

A name that is not UTF-8 is told as `raw:` and its percent-encoded bytes, component by component: a model can write
that back, and no other spelling of it is taken, so that rules about paths hold for what they name.
"""

from __future__ import annotations

from typing import Any

from treegate.errors import PlanError
from treegate.model import paths
from treegate.model.effects import Text, untagged

RAW = "raw:"
_HINT = "a path is absolute and within the case, like /Scans/a.pdf"
_PLACES = ("path", "from", "to")  # of an operation


class BadPath(PlanError):
    """A path that names nothing that could be in a case."""

    code = "path-invalid"


def within(path: str) -> str:
    """The path within the case; "" for the case itself. Raises BadPath."""
    if not path.startswith("/"):
        raise BadPath(f"{path!r} is not absolute", hint=_HINT)
    if not paths.is_utf8(path):
        raise BadPath("the path is not UTF-8", hint=f"write such a name as {RAW} and its percent-encoded bytes")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BadPath(f"{path!r} may lead out of the case", hint=f"{_HINT}; `..` is not taken")
    found = "/".join(map(_read, parts))
    try:
        if found:
            paths.check(found)
    except paths.Malformed as error:
        raise BadPath(error.message, code=error.code, hint=_HINT) from None
    return found


def shown(path: str) -> str:
    """The path as deepagents writes it."""
    return "/" + "/".join(map(_written, path.split("/")))


def told(path: Text) -> str:
    """The same of a path as it stands in a document."""
    return shown(untagged(path))


def in_operation(operation: dict[str, Any]) -> dict[str, Any]:
    """An operation without what it brings, its paths as deepagents writes them."""
    raw = operation.get("raw", False)
    kept = {key: value for key, value in operation.items() if key not in ("content", "content_base64", "raw")}
    for key in _PLACES:
        if isinstance(kept.get(key), str):
            kept[key] = shown(paths.from_raw(kept[key]) if raw else kept[key])
    return kept


def _written(part: str) -> str:
    odd = not paths.is_utf8(part) or part.startswith(RAW)
    return RAW + paths.to_raw(part) if odd else part


def _read(part: str) -> str:
    if not part.startswith(RAW):
        return part
    try:
        found = paths.from_raw(part.removeprefix(RAW))
    except paths.Malformed as error:
        raise BadPath(error.message, code=error.code, hint=f"{RAW} is followed by percent-encoded bytes") from None
    if "/" in found or _written(found) != part:
        text = f"{part!r} is not how that name is written"
        raise BadPath(text, hint=f"write {_written(found)!r}" if "/" not in found else _HINT)
    return found
