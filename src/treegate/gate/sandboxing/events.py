"""Events: what a command did, in the order in which it did it, kept so that whoever looks can go on where they were.

A file of lines, one an event. It is written by the one process that runs the command, and read by anybody meanwhile;
a line without its end is still being written, or was when that process died.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from treegate.engine.sandbox.order import Captured, Exited, Failed, Frame, Output, Started
from treegate.model.names import visible

__all__ = ["Captured", "Event", "Events", "Exited", "Failed", "Finished", "Frame", "Output", "Started", "read"]

EVENTS = "events"


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """All that came of a command; nothing follows."""

    id: str
    state: str  # of the command
    status: int | None = None
    why: str | None = None  # it ended
    plan: str | None = None
    plan_state: str = ""
    waiting_for: str = ""  # whose turn it is with the plan
    summary: str = ""
    digest: str = ""  # of the plan's preview
    warnings: int = 0
    run: str = ""  # that applied the plan directly
    logs: tuple[str, ...] = ()  # where people find it, from the workspace
    error: dict[str, Any] | None = None  # why it failed, or why its plan was not applied directly


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event: its number, from 1; when it was, in ms since 1970; what it was."""

    n: int
    at: int
    what: Started | Output | Exited | Captured | Failed | Finished


_decode = msgspec.json.Decoder(Event).decode
_encode = msgspec.json.Encoder().encode


class Events:
    """The file as its one writer has it."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / EVENTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._n = 0

    def add(self, what: Frame | Finished, at: int) -> Event:
        """Writes what happened next."""
        self._n += 1
        event = Event(n=self._n, at=at, what=what)
        data = memoryview(_line(event))
        while data:
            data = data[os.write(self._fd, data) :]
        return event

    def close(self) -> None:
        """Makes it durable."""
        os.fsync(self._fd)
        os.close(self._fd)


def _line(event: Event) -> bytes:
    try:
        return _encode(event) + b"\n"
    except UnicodeEncodeError:  # a name that is not UTF-8
        return _encode(_shown(msgspec.to_builtins(event, builtin_types=(bytes,)))) + b"\n"


def _shown(value: Any) -> Any:
    """The same with each text as messages show it."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {key: _shown(inner) for key, inner in value.items()}
    return [_shown(inner) for inner in value] if isinstance(value, list | tuple) else value


class Tail:
    """The file as a reader has it, who comes back for more."""

    def __init__(self, folder: Path, after: int = 0) -> None:
        self._path, self._after, self._offset, self._seen = folder / EVENTS, after, 0, 0

    def stirred(self) -> bool:
        """Whether something was written since one looked last."""
        try:
            return self._path.stat().st_size > self._offset
        except FileNotFoundError:
            return False

    def more(self) -> Iterator[Event]:
        """The events that are whole by now and were not told yet."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    self._offset += len(line)
                    self._seen += 1
                    if self._seen > self._after:
                        yield _decode(line)
        except FileNotFoundError:
            return


def newest(folder: Path, most: int) -> tuple[list[Event], bool]:
    """The last events that are kept of a command, as many as fit into so many bytes, and whether that is not all."""
    try:
        with (folder / EVENTS).open("rb") as file:
            start = max(0, file.seek(0, os.SEEK_END) - most)
            file.seek(start)
            lines = file.read(most).split(b"\n")[:-1]
    except FileNotFoundError:
        return [], False
    return [_decode(line) for line in (lines[1:] if start else lines)], start > 0


def read(folder: Path) -> Iterator[Event]:
    """All that is kept of a command."""
    return Tail(folder).more()
