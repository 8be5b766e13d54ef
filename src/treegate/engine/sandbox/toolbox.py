"""The tools that a command sees: files of the tools folder by their SHA-256, and an own copy of them for each run.

A copy, so that what runs is what was hashed, and that whoever runs it can read it, whatever the modes of the folder.
No link is followed, and none is a tool.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from treegate.engine import handles, posix
from treegate.engine.projections import Where, folder
from treegate.errors import NotFound, Stale, UsageError
from treegate.model.commands import Tool
from treegate.model.likeness import nearest
from treegate.model.names import visible
from treegate.model.paths import is_utf8
from treegate.model.tree import Kind

MOST_FILES, MOST_BYTES = 5_000, 256 << 20
CHUNK = 1 << 20


def listed(root: Path, where: Where, only: Collection[str] = ()) -> list[Tool]:
    """The tools below a workspace's folder by path, or only some of them, each with its SHA-256.

    Raises NotFound "no-such-tool" for one that is not there, UsageError "tools-too-large".
    """
    found: list[Tool] = []
    with _below(root, where) as fd:
        paths = sorted(only) if only else _paths(fd)
        size = 0
        for path in paths:
            with _opened(fd, path) as file:
                size += os.fstat(file).st_size
                if len(found) == MOST_FILES or size > MOST_BYTES:
                    raise _too_large()
                found.append(Tool(path, _hashed(file)))
    return found


def copy(root: Path, where: Where, tools: Iterable[Tool], target: Path) -> None:
    """Puts tools into a folder that is made; raises Stale "tools-changed" for one that is not what it was."""
    _open_folder(target)
    wanted = list(tools)
    if not wanted:
        return
    with _below(root, where) as fd:
        for tool in wanted:
            place = target / tool.path
            for above in reversed(place.relative_to(target).parents[:-1]):
                _open_folder(target / above)
            with _opened(fd, tool.path) as file:
                _copied(file, place, tool)


def _open_folder(place: Path) -> None:
    """A folder that the command's user may enter, whatever the umask of this process."""
    if not place.is_dir():
        place.mkdir()
        place.chmod(0o755)


def tool_of(name: str, data: bytes) -> Tool:
    """A script as a tool."""
    return Tool(name, hashlib.sha256(data).hexdigest())


def put(target: Path, name: str, data: bytes) -> None:
    """Puts a script among the tools that were copied."""
    place = target / name
    place.write_bytes(data)
    place.chmod(0o555)


def _copied(file: int, place: Path, tool: Tool) -> None:
    mode = 0o555 if os.fstat(file).st_mode & 0o111 else 0o444
    hasher = hashlib.sha256()
    with handles.closing(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)) as made:
        while data := os.read(file, CHUNK):
            hasher.update(data)
            posix.write(made, data)
        os.fchmod(made, mode)
    if hasher.hexdigest() != tool.sha256:
        raise Stale(
            f"the tool '{visible(tool.path)}' is not what it was when the command was asked for",
            code="tools-changed",
            hint="ask for the command again: what was allowed was another one",
        )


def _hashed(file: int) -> str:
    hasher = hashlib.sha256()
    while data := os.read(file, CHUNK):
        hasher.update(data)
    return hasher.hexdigest()


@contextmanager
def _below(root: Path, where: Where) -> Iterator[int]:
    """The tools folder; an empty one stands for none."""
    try:
        with folder(root, where) as fd:
            yield fd
    except FileNotFoundError:
        raise NotFound(
            f"the workspace has no folder '{visible('/'.join(where))}'",
            code="no-such-tool",
            hint="tools lie there, or where workspace.tools says",
        ) from None


def _paths(fd: int) -> list[str]:
    """Every regular file below a folder, sorted by path; names that are not UTF-8 are left out."""
    found = []
    for at, _, files, here in os.fwalk(".", dir_fd=fd, follow_symlinks=False):
        for name in files:
            path = os.path.normpath(os.path.join(at, name))
            if is_utf8(path) and posix.facts(here, name).kind is Kind.FILE:
                found.append(path)
        if len(found) > MOST_FILES:
            raise _too_large()
    return sorted(found)


@contextmanager
def _opened(fd: int, path: str) -> Iterator[int]:
    """A file below the folder, reached through no link; raises NotFound."""
    if {"", ".", ".."} & set(path.split("/")):
        raise _no_such(fd, path)
    *above, name = path.split("/")
    try:
        with handles.closing(handles.open_below(fd, b"/".join(map(handles.raw, above)) or b".")) as where:
            file = handles.open_file(where, name)
    except OSError:
        raise _no_such(fd, path) from None
    with handles.closing(file):
        yield file


def _no_such(fd: int, path: str) -> NotFound:
    near = None
    with suppress(OSError, UsageError):
        near = nearest(path, _paths(fd))
    hint = f"did you mean '{visible(near)}'?" if near else "name a file by its path below the tools folder"
    return NotFound(f"there is no tool '{visible(path)}'", code="no-such-tool", hint=hint)


def _too_large() -> UsageError:
    return UsageError(
        f"the tools are more than {MOST_FILES:,} files or {MOST_BYTES >> 20} MiB, and each run gets them all",
        code="tools-too-large",
        hint="name those that the command needs with --tool",
    )
