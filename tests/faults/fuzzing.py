"""Damaged and hostile input for every decoder: what it answers is an error with a code, or the value, never more.

A decoder is fed in a child process with a bound on memory and on processor time, so that a few megabytes of input
that ask for gigabytes, or for minutes, are found as well.
"""

from __future__ import annotations

import os
import pickle
import resource
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import NamedTuple

from damaging import mutated

from treegate.errors import TreegateError

Feed = Callable[[bytes], object]
ROOM = 1 << 30  # bytes that a decoder may take beyond what the process has
SECONDS = 300  # of processor time for a whole batch
REFUSED, READ = "refused", "read"


class Differs(AssertionError):
    """A value was accepted that a digest or signature should have kept out."""


class Opened(NamedTuple):
    """A decoder, ready: valid inputs, and what to feed. It returns a word for what it answered, or nothing."""

    samples: list[bytes]
    feed: Feed


class Decoder(NamedTuple):
    """One thing that reads files or messages; `open` sets it up in a folder."""

    name: str
    open: Callable[[Path], Opened]


class Fuzzed(NamedTuple):
    """How often a decoder answered what, and each input to which the answer was wrong, with why."""

    outcomes: Counter[str]
    wrong: list[tuple[str, bytes]]


def fuzz(decoder: Decoder, count: int, seed: int = 0, inputs: Iterable[bytes] = ()) -> Fuzzed:
    """Feed these inputs and so many mutated samples."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        return _in_child(lambda: _fed(decoder, Path(folder), count, seed, list(inputs)))


def _fed(decoder: Decoder, folder: Path, count: int, seed: int, inputs: list[bytes]) -> Fuzzed:
    samples, feed = decoder.open(folder)
    _bound()
    found = Fuzzed(Counter(), [])
    for data in samples:
        assert not _answer(feed, data)[0], f"{decoder.name}: a valid sample is refused: {_answer(feed, data)}"
    for number in range(len(inputs) + count):
        data = inputs[number] if number < len(inputs) else mutated(Random(f"{seed} {number}"), samples)
        why, how = _answer(feed, data)
        if why in ("", REFUSED):
            found.outcomes[why or how] += 1
        else:
            found.wrong.append((why, data[:2000]))
    return found


def _answer(feed: Feed, data: bytes) -> tuple[str, str]:
    """Why an answer is none ("refused" for an error that may be), and what it was."""
    try:
        return "", str(feed(data) or READ)
    except TreegateError as error:
        return (REFUSED if error.code != "internal" else f"internal: {error}"), ""
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:200]} ({Path(where.filename).name}:{where.lineno})", ""


def _bound() -> None:
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
    resource.setrlimit(resource.RLIMIT_CPU, (used + SECONDS, used + SECONDS))


def _in_child(work: Callable[[], Fuzzed]) -> Fuzzed:
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(_found(work), pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return pickle.loads(data) if status == 0 else Fuzzed(Counter(), [(f"the process ended with {status}", b"")])


def _found(work: Callable[[], Fuzzed]) -> Fuzzed:
    try:
        return work()
    except BaseException:
        return Fuzzed(Counter(), [(traceback.format_exc(), b"")])
