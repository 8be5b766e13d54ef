"""A guard over tools that run in this process: what they would change below a folder is refused, and noted.

By Python's audit events (PEP 578), which tell of every file that Python opens, renames or removes, and of programs
that it starts. It is no wall: threads that a tool starts, C code and ctypes pass by it. The wall is that an agent's
user may not write the workspace; this tells an agent in words, before the wall does.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Events of changes, and which of their arguments are paths; behind them, at the same step, the folders' handles.
_CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.rename": ((0, 2), (1, 3)),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.link": ((0, 2), (1, 3)),  # by another name, a file is written past all of this
    "sqlite3.connect": ((0, None),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
    "os.setxattr": ((0, None),),
    "os.removexattr": ((0, None),),
    "shutil.rmtree": ((0, 1),),
}
_FOLLOWS = frozenset(
    {"sqlite3.connect", "os.truncate", "os.chmod", "os.chown", "os.utime", "os.setxattr", "os.removexattr"}
)
_STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn")


class Refused(PermissionError):
    """A change that goes through treegate."""


class Attempt(NamedTuple):
    """Something that a tool tried: an event's name, and the paths it is about."""

    what: str
    paths: tuple[str, ...]


class Guard:
    """What is guarded, and what was tried."""

    def __init__(self, root: Path) -> None:
        self.attempts: list[Attempt] = []
        self._root = os.path.realpath(root)

    def covers(self, path: Any, folder: Any = None, *, follows: bool = True) -> bool:
        """Whether a path lies in what is guarded; what it means, if it is relative, a folder's handle says."""
        real = _real(path, folder)
        return _within(real, self._root) or (follows and _within(os.path.realpath(real), self._root))

    def look(self, event: str, args: tuple[Any, ...]) -> None:
        """Raises Refused for a change of what is guarded."""
        paths = self._changed(event, args)
        if paths:
            self.attempts.append(Attempt(event, paths))
            text = "changes of these files go through treegate: hand in a plan"
            raise Refused(errno.EACCES, text, paths[0])

    def _changed(self, event: str, args: tuple[Any, ...]) -> tuple[str, ...]:
        if event == "open":
            path, _, flags = args
            writes = isinstance(flags, int) and flags & _WRITES
            return (os.fsdecode(path),) if writes and not isinstance(path, int) and self.covers(path) else ()
        if event in _STARTS:
            return self._started(event, args)
        if event == "sqlite3.connect" and str(args[0]) in ("", ":memory:"):
            return ()
        found = []
        for at, handle in _CHANGES[event]:
            folder = args[handle] if handle is not None and handle < len(args) else None
            if self.covers(args[at], folder, follows=event in _FOLLOWS):
                found.append(_shown(args[at]))
        return tuple(found)

    def _leads_in(self, line: str, here: Any) -> bool:
        """Whether a word of a command line is a path into what is guarded, from where the program begins."""
        folder = os.fsdecode(here)
        parts = (part for part in _parts(line) if "/" in part and len(part) < 4096)
        return any(self.covers(os.path.join(folder, part)) for part in parts)

    def _started(self, event: str, args: tuple[Any, ...]) -> tuple[str, ...]:
        """A program that is told of what is guarded, or begins there."""
        words = list(_words(args))
        here = args[2] if event == "subprocess.Popen" and args[2] is not None else os.getcwd()
        named = [word for word in words if self._root in word or self._leads_in(word, here)]
        if named or self.covers(here):
            return (named[0] if named else _shown(here),)
        return ()


def _parts(line: str) -> list[str]:
    """The words of a command line, roughly as a shell has them."""
    return [part for part in re.split(r"[\s;|&<>()'\"`=]+", line) if part]


_guard: ContextVar[Guard | None] = ContextVar("guard", default=None)
_looking = threading.local()
_installed = threading.Lock()
_hooks: list[Callable[..., None]] = []


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event != "open" and event not in _CHANGES and event not in _STARTS:
        return
    guard = _guard.get()
    if guard is None or getattr(_looking, "now", False):
        return
    _looking.now = True
    try:
        guard.look(event, args)
    finally:
        _looking.now = False


@contextmanager
def guarded(root: Path) -> Iterator[Guard]:
    """Refuses what this context would change below a folder, and notes it."""
    with _installed:
        if not _hooks:  # a hook stays for as long as the process does
            _hooks.append(_hook)
            sys.addaudithook(_hook)
    guard = Guard(root)
    token = _guard.set(guard)
    try:
        yield guard
    finally:
        _guard.reset(token)


def _real(path: Any, folder: Any = None) -> str:
    """Where a path really leads, as far as its folder goes: the last part may be a link that is itself meant."""
    if isinstance(path, int):
        return os.path.realpath(f"/proc/self/fd/{path}")
    text = os.fsdecode(path)
    if isinstance(folder, int) and folder >= 0:
        text = os.path.join(f"/proc/self/fd/{folder}", text)
    above, name = os.path.split(os.path.abspath(text) if not text.startswith("/proc/self/fd/") else text)
    return os.path.join(os.path.realpath(above), name) if name not in ("", ".", "..") else os.path.realpath(text)


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/")


def _shown(path: Any) -> str:
    return _real(path) if isinstance(path, int) else os.fsdecode(path)


def _words(value: Any) -> Iterator[str]:
    """All texts in the arguments of an event, but not an environment."""
    if isinstance(value, str | bytes | os.PathLike):
        yield os.fsdecode(value)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _words(one)
