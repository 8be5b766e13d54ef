"""The table of a plan's operations as its author wrote them: `# | op | from | to | why | result`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from msgspec import UNSET, UnsetType

from treegate.model.operations import (
    Copy,
    Create,
    Delete,
    Mkdir,
    Move,
    Operation,
    Rename,
    Replace,
    Restore,
    Set,
    Symlink,
)
from treegate.model.problems import Problem


class OperationRow(NamedTuple):
    """One operation; all texts are the author's own and not yet inert."""

    number: int
    op: str
    source: str
    to: str
    why: str
    result: str  # "ok", "error: destination-exists", "warning: extension-lost"


def operation_rows(plan_operations: Iterable[Operation], problems: Iterable[Problem]) -> Iterator[OperationRow]:
    """The rows, one an operation in plan order; `result` names the gravest problem of each.

    In a plan whose case is not there, none was tried.
    """
    results: dict[int, str] = {}
    fine = "ok"
    for found in sorted(problems, key=lambda found: found.severity, reverse=True):
        if found.operation is not None:
            results[found.operation] = f"{found.severity}: {found.code}"
        elif found.code == "unknown-case":
            fine = "not tried"
    for number, operation in enumerate(plan_operations, 1):
        source, to = _ends(operation)
        if operation.raw is True:
            source, to = _decoded(source), _decoded(to)
        yield OperationRow(number, _tag(operation), source, to, _given(operation.why), results.get(number, fine))


def _ends(operation: Operation) -> tuple[str, str]:
    """Where an operation takes from, and where it leads to."""
    match operation:
        case Move() | Copy():
            return _given(operation.source) or _given(operation.match), operation.to
        case Rename():
            return operation.path, operation.name
        case Delete():
            return _given(operation.path) or _given(operation.match), ""
        case Restore():
            return f"vault:{operation.run}/{operation.entry}", operation.to
        case Symlink():
            return operation.target, operation.path
        case Set():
            return operation.path, " ".join(filter(None, (_given(operation.mode), _given(operation.mtime))))
        case Create() | Replace():
            return _content(operation), operation.path
        case Mkdir():
            return "", operation.path


def _content(operation: Create | Replace) -> str:
    if operation.blob is not UNSET:
        return operation.blob[:19]
    if operation.content is not UNSET:
        return f"{len(operation.content.encode('utf-8', 'surrogatepass')):,} bytes in the plan"
    return "bytes in the plan"


def _given(value: str | UnsetType) -> str:
    return "" if value is UNSET else value


def _tag(operation: Any) -> str:
    return str(operation.__struct_config__.tag)


def _decoded(path: str) -> str:
    return unquote_to_bytes(path).decode("utf-8", "surrogateescape")
