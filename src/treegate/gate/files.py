"""Files: the cases that somebody sees, what their folders hold, what is in a file; read, and no link followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from treegate.engine import pauses
from treegate.engine.world import WorldTree
from treegate.errors import NotFound, PlanError, TreegateError
from treegate.gate.core import Core
from treegate.gate.waiting import OPEN
from treegate.model import paths
from treegate.model.actors import Action
from treegate.model.effects import Text, tagged
from treegate.model.tree import Kind, unpack


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A case that the actor sees: how many plans wait there, and whether it is paused."""

    case: Text
    waiting: int
    paused: bool
    own_filesystem: bool


class File(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a folder; `size` in bytes, `mtime` in milliseconds since 1970, UTC."""

    name: Text
    kind: str  # file, dir, link, other
    size: int
    mtime: int


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Some entries of a folder in byte order; `next` is the cursor of the page after this one."""

    case: Text
    prefix: Text
    files: list[File]
    next: str | None


class Opened(NamedTuple):
    """An open file, which whoever asked closes: its name, its size, and a mark of its state."""

    file: BinaryIO
    name: str
    size: int
    mark: str


def cases(core: Core) -> list[Case]:
    """The cases that the actor sees, by name."""
    core.actor.require(Action.READ)
    held = {one.case for one in pauses.pauses(core.store)}
    waiting = core.store.count_by_case(OPEN)
    return [
        Case(
            case=tagged(case),
            waiting=waiting.get(case, 0),
            paused=case in held or pauses.WHOLE in held,
            own_filesystem=bool(volume),
        )
        for case, volume in sorted(core.workspace.cases().items(), key=lambda one: os.fsencode(one[0]))
        if core.actor.sees([case])
    ]


def listing(
    core: Core, case: str, prefix: str = "", *, cursor: str = "", limit: int = 100, raw: bool = False
) -> Files:
    """What a folder of a case holds, from behind `cursor` on."""
    after = unquote_to_bytes(cursor)
    with _tree(core, case, raw) as (tree, case):
        folder = checked(prefix.removesuffix("/"), raw) if prefix else ""
        whole = f"{case}/{folder}" if folder else case
        with told(prefix):
            names = tree.names(whole)
        behind = sorted(raw for raw in map(os.fsencode, names) if raw > after)
        shown = [os.fsdecode(name) for name in behind[:limit]]
        files = [file for name in shown if (file := _file(tree, whole, name))]
    more = quote_from_bytes(behind[limit - 1]) if len(behind) > limit else None
    return Files(case=tagged(case), prefix=tagged(folder), files=files, next=more)


def open_file(core: Core, case: str, path: str, *, raw: bool = False) -> Opened:
    """A regular file of a case, opened; never through a link."""
    with _tree(core, case, raw) as (tree, case):
        below = checked(path, raw)
        with told(path):
            file = tree.open(f"{case}/{below}")
    found = os.fstat(file.fileno())
    mark = f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}-{found.st_ctime_ns:x}"
    return Opened(file, paths.split(below)[1], found.st_size, mark)


def _file(tree: WorldTree, folder: str, name: str) -> File | None:
    packed = tree.facts(folder, name)
    if packed is None:
        return None  # gone since its folder was listed
    facts = unpack(packed)
    size = facts.size if facts.kind is Kind.FILE else 0
    return File(name=tagged(name), kind=facts.kind.value, size=size, mtime=facts.mtime // 1_000_000)


@contextmanager
def _tree(core: Core, case: str, raw: bool) -> Iterator[tuple[WorldTree, str]]:
    """The tree, and the case by its name; who may not see a case does not learn whether it is there."""
    name = checked(case, raw) if raw else case
    core.actor.require(Action.READ, [name])
    core.workspace.check_marker()
    core.check_case(name)
    with core.world() as world:
        yield world.tree, name


def checked(text: str, raw: bool = False) -> str:
    """A path as it may stand in a plan; raises PlanError."""
    try:
        path = paths.from_raw(text) if raw else text
        paths.check(path)
    except paths.Malformed as error:
        raise PlanError(error.message, code=error.code, hint="a path within the case, like Scans/a.pdf") from None
    return path


@contextmanager
def told(path: str) -> Iterator[None]:
    """What the operating system says of a path, as an error of ours."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise missing(path) from error
    except IsADirectoryError as error:
        raise _no_file(path, "is a folder") from error
    except PermissionError as error:
        raise _no_file(path, "may not be read here") from error
    except OSError as error:
        raise _no_file(path, "is no regular file") from error


def missing(path: str) -> TreegateError:
    """What is said where there is nothing at a path."""
    return NotFound(f"there is no {path!r}", code="file-not-found", hint="what a link leads to is not seen either")


def _no_file(path: str, why: str) -> TreegateError:
    return NotFound(f"{path!r} {why}", code="file-not-readable", hint="only regular files are read")
