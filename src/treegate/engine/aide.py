"""The aide of a large run: a second process that does what can be done beside it, where there is a processor for it.

It looks at half of what the run looks at before its first step, and while the files move it writes what follows from
the plan and its step table alone: the lines of the receipt, and rollback.data. Nothing depends on it. Where there is
no aide, or it is gone, or says nothing, the run does all by itself; and what the aide wrote has no name until the run
gives it one.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import NamedTuple, TypeVar

from treegate.engine import handles, many, posix, wire
from treegate.engine.native import Look
from treegate.engine.pieces import Nameless, blocks

LARGE = 20_000  # steps from which on a run gains more than the start of a process takes
SHARED = 100  # entries of one folder from which on it is quicker to share the look at them
PATIENCE = 30  # seconds without an answer after which an aide is given up
A = TypeVar("A", bound=wire.Message)


class _Order(NamedTuple):
    name: str
    task: wire.Task
    beside: list[int]
    files: list[int]  # the last of those


class Aide:
    """A run's end of it. One without a process does all looks here, and writes nothing."""

    def __init__(self, process: subprocess.Popen[bytes] | None = None, end: wire.Wire | None = None) -> None:
        self._process, self._end = process, end
        self._ready = False
        self._orders: list[_Order] = []
        self._sent: list[_Order] = []
        self._made: dict[str, list[Nameless | None]] = {}
        self._handles: list[int] = []

    @property
    def is_there(self) -> bool:
        """Whether there is a process, as far as is known."""
        return self._end is not None

    # -- looks

    def look_each(self, folder: int, names: Sequence[bytes], facts: Sequence[bytes]) -> list[int]:
        """`many.look_each` at entries of one folder."""
        return self._shared(many.look_each, folder, names, facts, known=False)

    def recognise_each(self, folder: int, names: Sequence[bytes], facts: Sequence[bytes]) -> list[int]:
        """`many.recognise_each` of entries of one folder."""
        return self._shared(many.recognise_each, folder, names, facts, known=True)

    def _shared(
        self, look: Callable[[list[Look]], list[int]], folder: int, names: Sequence[bytes], facts: Sequence[bytes], *,
        known: bool,
    ) -> list[int]:  # fmt: skip
        def here(start: int, end: int) -> list[int]:
            return look(list(zip(repeat(folder), names[start:end], facts[start:end])))

        count = len(names)
        half = count // 2 if count >= SHARED and self._is_free() else count
        theirs = list(zip(names[half:], facts[half:], strict=True))
        if not theirs or not self._send(wire.Look(theirs, known), [folder]):
            return here(0, count)
        found, answer = here(0, half), self._answer(wire.Others)
        return found + [half + number for number in (answer.numbers if answer else here(half, count))]

    def _is_free(self) -> bool:
        """Whether it has begun to listen, and was not asked to write yet."""
        if self._end is not None and not self._ready and self._end.has_come():
            self._ready = self._answer(wire.Ready) is not None
        return self._ready and self._end is not None and not self._sent

    # -- files

    def order(
        self, name: str, task: wire.Task, folders: Sequence[Path], chunks: Callable[[], Iterable[bytes]] | None = None
    ) -> None:
        """Have it write a file on the filesystem of each of these folders, from `chunks`, once `begin` is said."""
        if self._end is None or len(folders) >= wire.MOST:
            return
        with contextlib.suppress(OSError):  # a filesystem without nameless files, or without room
            files = [self._file(folder) for folder in folders]
            source = [self._file_of(folders[0], chunks())] if chunks is not None else []
            self._orders.append(_Order(name, task, [*source, *files], files))

    def _file(self, folder: Path) -> int:
        with handles.closing(handles.open_root(str(folder))) as handle:
            self._handles.append(posix.make_nameless(handle))
        return self._handles[-1]

    def _file_of(self, folder: Path, chunks: Iterable[bytes]) -> int:
        file = self._file(folder)
        for block in blocks(wire.LENGTH.pack(len(chunk)) + chunk for chunk in chunks):
            posix.write(file, block)
        return file

    def begin(self) -> None:
        """It is time to write: nothing more is looked at."""
        for order in self._orders:
            if self._send(order.task, order.beside):
                self._sent.append(order)
        self._orders.clear()

    def files(self, name: str) -> list[Nameless | None]:
        """What was written to order: each file, or None where there was nothing to write; [] where all is to be done
        here."""
        while name not in self._made and self._sent:
            order, answer = self._sent.pop(0), self._answer(wire.Made)
            written = answer.files if answer is not None else []
            whole = len(written) == len(order.files)
            self._made[order.name] = list(map(_file, order.files, written)) if whole else []
        return self._made.get(name, [])

    # -- the other end

    def _send(self, message: wire.Message, beside: Sequence[int]) -> bool:
        try:
            if self._end is not None:
                self._end.send(message, beside)
        except OSError:
            self._give_up()
        return self._end is not None

    def _answer(self, kind: type[A]) -> A | None:
        """The next that it says, if it is of that kind; it is given up otherwise."""
        with contextlib.suppress(EOFError, OSError):
            while self._end is not None:
                answer = self._end.receive()[0]
                if isinstance(answer, kind):
                    return answer
                if not isinstance(answer, wire.Ready):  # that may have been left where nothing was looked at
                    break
        self._give_up()
        return None

    def _give_up(self) -> None:
        """End it, whatever it does: nothing depends on it."""
        if self._end is not None:
            self._end.close()
            self._end = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Let it go, and close all that it was given."""
        self._give_up()
        while self._handles:
            handles.close(self._handles.pop())


ALONE = Aide()


def _file(handle: int, written: wire.Written | None) -> Nameless | None:
    return Nameless(handle, written.lines, written.sha256) if written is not None else None


@contextlib.contextmanager
def aiding(steps: int) -> Iterator[Aide]:
    """An aide for a run of so many steps, while a block lasts; one without a process where that gains nothing."""
    aide = _called() if steps >= LARGE and len(os.sched_getaffinity(0)) > 1 else Aide()
    try:
        yield aide
    finally:
        aide.close()


def _called() -> Aide:
    ours, its = socket.socketpair()
    command = [sys.executable, "-P", "-m", "treegate.engine.aiding", str(its.fileno())]
    try:
        with its:
            nowhere = subprocess.DEVNULL
            process = subprocess.Popen(
                command, stdin=nowhere, stdout=nowhere, stderr=nowhere, pass_fds=[its.fileno()], cwd="/"
            )
    except (OSError, ValueError):  # no memory, no more processes, no interpreter of its own
        ours.close()
        return Aide()
    end = wire.Wire(ours)
    end.wait_at_most(PATIENCE)
    return Aide(process, end)
