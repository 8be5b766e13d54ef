"""Answers: what treegate found, and what it refused, in the shapes and words of deepagents."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from deepagents.backends.protocol import (
    FILE_NOT_FOUND,
    INVALID_PATH,
    IS_DIRECTORY,
    PERMISSION_DENIED,
    FileInfo,
    GlobResult,
    GrepMatch,
    GrepResult,
)

from treegate.client import Client
from treegate.errors import Denied, NotFound, PlanError, TreegateError
from treegate.gate import Gate
from treegate.gate.outcomes import Entry
from treegate.interfaces.agent import telling
from treegate.interfaces.deepagents import names
from treegate.interfaces.deepagents.pending import Pending
from treegate.interfaces.deepagents.view import FILE, FOLDER, Lines, Walk
from treegate.model.names import visible
from treegate.model.problems import Problem
from treegate.render import jsons

Answer = TypeVar("Answer")
Fits = Callable[[str], bool]
_SAYABLE = {"op", "path", "from", "to", "raw", "recursive", "content", "content_base64"}  # with the tools there are
_MOST_LINES = 100_000  # where nobody says how many, or a filter is applied afterwards


class IsFolder(PlanError):
    """A folder is where a file was meant."""

    code = "is-folder"


# --- what was found


def entry(found: Entry) -> FileInfo:
    """An entry; whatever is no folder counts as a file."""
    folder = found.kind == FOLDER
    path = names.told(found.path)
    info = FileInfo(path=f"{path}/" if folder else path, is_dir=folder, size=found.size)
    if found.mtime is not None:
        info["modified_at"] = _moment(found.mtime)
    return info


def _moment(milliseconds: int) -> str:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()
    except (OverflowError, ValueError, OSError):  # a year that no calendar has
        return ""


def files(walk: Walk, base: str, fits: Fits) -> GlobResult:
    """The files of a walk that a pattern means."""
    start = _start(base)
    found = [one for one in map(entry, walk) if one["path"].startswith(start) and fits(one["path"][len(start) :])]
    found.sort(key=lambda one: one["path"])
    return GlobResult(matches=found, truncated=walk.cut, truncation_reason="budget" if walk.cut else None)


def most_lines(max_count: int | None, fits: Fits | None) -> int:
    """How many lines to ask for: one more than wanted tells whether there are more."""
    return _MOST_LINES if max_count is None or fits is not None else max(max_count, 0) + 1


def lines(found: Lines, base: str, fits: Fits | None, max_count: int | None) -> GrepResult:
    """The lines that were found, as many as are wanted."""
    start, alone = _start(base), names.shown(base)
    matches: list[GrepMatch] = []
    for hit in found:
        path = names.told(hit.path)
        relative = path.rpartition("/")[2] if path == alone else path[len(start) :]
        if (path != alone and not path.startswith(start)) or (fits is not None and not fits(relative)):
            continue
        if len(matches) == max_count:
            return GrepResult(matches=matches, truncated=True)
        matches.append(GrepMatch(path=path, line=hit.line, text=hit.text))
    return GrepResult(matches=matches, truncated=found.cut)


def _start(base: str) -> str:
    return f"{names.shown(base)}/" if base else "/"


def preview(door: Gate | Client, pending: Pending) -> dict[str, Any]:
    """What the changes would do, and the changes themselves."""
    document = pending.base()
    if document is None:
        return {"changes": [], "next": "there are no changes"}
    changes = list(map(names.in_operation, pending.operations))
    return {**telling.preview(door.check(document)), "changes": changes, "next": "submit_changes hands them in"}


# --- what was refused


def no_file(path: str, kind: str | None) -> str:
    """That no regular file is at a path."""
    if kind is None:
        return f"File '{path}' not found"
    if kind == FOLDER:
        return f"'{path}' is a folder; ls lists it"
    return f"'{path}' is no regular file that can be read; links are not followed"


def told(error: TreegateError) -> str:
    """The same for answers that deepagents hands on as they are."""
    return f"Error: {plain(error)}"


def plain(error: TreegateError) -> str:
    """What was refused, why, and what to do instead."""
    text = visible(error.message)
    problem = next((one for one in getattr(error, "problems", ()) if isinstance(one, Problem)), None)
    if error.hint:
        text += f". Hint: {visible(error.hint)}"
    if problem is not None and problem.suggestion is not None and set(problem.suggestion) <= _SAYABLE:
        text += f". Suggestion: {jsons.dumps(names.in_operation(problem.suggestion))}"
    return text


def standard(error: TreegateError) -> str:
    """The same as one of the protocol's own words, where one says it."""
    if isinstance(error, names.BadPath):
        return INVALID_PATH
    if isinstance(error, IsFolder):
        return IS_DIRECTORY
    if isinstance(error, Denied):
        return PERMISSION_DENIED
    if isinstance(error, NotFound) and error.code == "file-not-found":
        return FILE_NOT_FOUND
    return plain(error)


def standard_kind(kind: str | None) -> str:
    """The protocol's word for why there is nothing to download."""
    assert kind != FILE
    return FILE_NOT_FOUND if kind is None else IS_DIRECTORY if kind == FOLDER else INVALID_PATH
