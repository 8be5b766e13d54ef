"""Deeds done in a process that strace watches: which system calls they make, and a fault at any one of them.

A child is forked from a process in which all is loaded, waits until strace holds it, and begins: that costs a tenth
of an interpreter's start. Whatever the product calls is seen, also what SQLite and Python call by themselves.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from treegate.errors import TreegateError

KILL = "SIGKILL"
ERRORS = ("EIO", "ENOSPC", "EINTR", "EROFS")
PATIENCE = 60  # seconds after which a deed that does not end is ended

# Calls that change or sync; of those that open, and of ioctl, `changes` says which do.
CALLS = (
    *("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "symlink", "symlinkat"),
    *("mkdir", "mkdirat", "rmdir", "mknod", "mknodat", "open", "openat", "openat2", "creat"),
    *("write", "writev", "pwrite64", "pwritev", "pwritev2", "sendfile", "copy_file_range", "splice"),
    *("truncate", "ftruncate", "fallocate", "ioctl", "utimensat"),
    *("chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat"),
    *("setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"),
    *("fsync", "fdatasync", "syncfs", "sync", "sync_file_range", "msync"),
)
_LINE = re.compile(r"(\d*) *\b([a-z]\w+)\((.*)")  # with the thread where several are followed
_MAKES = re.compile(r"O_CREAT|O_TRUNC|O_TMPFILE")
_ROOM = 1 << 16  # bytes for what a child has to tell
_PR_SET_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)


class Call(NamedTuple):
    """One call of a deed: the so-manieth of its name, counted in each thread by itself as strace does."""

    name: str
    when: int
    text: str = ""  # as strace shows it


class Fault(NamedTuple):
    """What goes wrong at a call: "SIGKILL" in front of it, or the name of an error in its place."""

    call: Call
    what: str = KILL
    torn: bool = False  # a journal's frame that was written and not synced is there by half

    @property
    def injection(self) -> str:
        """The fault as strace is told it."""
        how = f"signal={KILL}" if self.what == KILL else f"error={self.what}"
        return f"inject={self.call.name}:{how}:when={self.call.when}"


@dataclass
class Ended:
    """How a deed ended: "killed", its answer, or an error's code; `kinds` are the classes of that error."""

    how: str = ""
    text: str = ""
    kinds: tuple[str, ...] = ()
    reached: bool = False  # the fault took place


def needs_strace() -> None:
    """Skips a test where there is no strace."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace, to kill at a system call")


def traced(
    act: Callable[[], str], log: Path, fault: Fault | None = None, names: tuple[str, ...] = CALLS, follow: bool = True
) -> Ended:
    """Does something in a child under strace, with a fault or without; `log` gets its calls.

    `follow`: processes and threads that it starts are traced as well.
    """
    if fault is not None:
        names = (fault.call.name,)
    with mmap(-1, _ROOM) as told:  # shared with the child, which can tell without a system call
        start, go = os.pipe()
        child = os.fork()
        if not child:
            os.close(go)
            _child(act, start, told)
        os.close(start)
        with _tracer(child, log, fault, names, follow):
            os.close(go)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        ended = _ended(status, told)
    if fault is not None:
        ended.reached = status == -signal.SIGKILL if fault.what == KILL else "(INJECTED)" in log.read_text()
    return ended


def _ended(status: int, told: mmap) -> Ended:
    if status == -signal.SIGKILL:
        return Ended("killed")
    return pickle.loads(told[:]) if status == 0 else Ended(f"crashed: exit status {status}")


def _child(act: Callable[[], str], start: int, told: mmap) -> None:
    """Waits until it is traced, does the deed, tells how it ended; never returns."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)
        signal.alarm(PATIENCE)
        os.read(start, 1)
        told[:] = pickle.dumps(answered(act)).ljust(_ROOM, b"\0")
    finally:
        os._exit(0)


def answered(act: Callable[[], str]) -> Ended:
    """What a deed answered, or which error it raised."""
    try:
        return Ended(act())
    except BaseException as error:
        kinds = tuple(kind.__name__ for kind in type(error).__mro__)
        known = error.code if isinstance(error, TreegateError) else ""
        return Ended(known or _unforeseen(error), str(error)[:2000], kinds)


def _unforeseen(error: BaseException) -> str:
    """An error of the system's own has a name; any other is a mistake."""
    return "system-error" if isinstance(error, OSError) else f"crashed: {error!r}"


@contextlib.contextmanager
def _tracer(pid: int, log: Path, fault: Fault | None, names: tuple[str, ...], follow: bool) -> Iterator[None]:
    """strace, from when it holds the process until that has ended."""
    command = ["strace", *(["-f"] if follow else []), "-y", "-s", "1", "-o", str(log), "-p", str(pid)]
    command += ["-e", f"trace={','.join(names)}", *(["-e", fault.injection] if fault else [])]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
            os.kill(pid, signal.SIGKILL)
            pytest.skip(f"needs strace, to kill at a system call: {said.strip()}")
        yield
        tracer.stderr.read()


def calls(log: Path, below: Path) -> list[Call]:
    """The calls of a trace that changed or synced something below a folder, each once, in the order they came."""
    counted: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, int], Call] = {}
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        thread, name, text = match.groups()
        counted[thread, name] += 1
        call = Call(name, counted[thread, name], text)
        if _changes(call) and str(below) in text:
            found.setdefault(call[:2], call)
    return list(found.values())


def _changes(call: Call) -> bool:
    if call.name in ("open", "openat", "openat2"):
        return _MAKES.search(call.text) is not None
    return call.name != "ioctl" or "FICLONE" in call.text


def apart(work: Callable[[], Any]) -> Any:
    """What `work` gives, or raises, done in a forked child: whatever it breaks is broken only there."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(_outcome(work), pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    done, value = pickle.loads(data)
    if not done:
        raise AssertionError(value)
    return value


def _outcome(work: Callable[[], Any]) -> tuple[bool, Any]:
    try:
        return True, work()
    except BaseException as error:
        import traceback

        return False, "".join(traceback.format_exception(error)[-6:])
