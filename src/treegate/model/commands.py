"""Commands that are to run in a sandbox: whether policy lets one run at all, and the digest that names it.

What a command does is judged by its effects. What is asked of its line is only how it begins: with a program that
policy lists, or with a tool.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from treegate.model.actors import HTTP, QUEUE, WEB
from treegate.model.effects import Raw, tagged
from treegate.model.names import visible

TOOLS = "/tools"  # where a command sees them
PROGRAMS = ("/bin", "/usr/bin", "/usr/local/bin")  # folders of an image in which programs lie, and none of a case's
_SHOWN = 120  # characters of a command line in a title


class CommandState(StrEnum):
    """How far a command is."""

    WAITING = "waiting"  # for somebody to approve it
    APPROVED = "approved"  # or allowed without anybody: it may run, once
    REJECTED = "rejected"
    EXPIRED = "expired"  # its approval ran out before it ran
    WITHDRAWN = "withdrawn"  # its author took it back before it ran
    RUNNING = "running"
    ENDED = "ended"
    FAILED = "failed"  # it could not be run, or what it did not be captured
    LOST = "lost"  # the process that ran it died, and all that it did went with it


State = CommandState  # among commands

OVER = frozenset(State) - {State.WAITING, State.APPROVED, State.RUNNING}
"""States after which nothing more comes of a command."""

SERVED = frozenset({HTTP, WEB})
"""Channels by which commands are asked for that a service begins."""

BEGIN_BY_THEMSELVES = SERVED | {QUEUE}
"""Those that a service or a worker begins; others are begun by whoever asked."""

CUT_SHORT: Mapping[str, str] = {
    "time": "its time ran out",
    "output": "it wrote more than it may",
    "memory": "it needed more memory than it may have",
    "cancelled": "it was cancelled",
}
"""Why a command was ended before it was done, by what its runner says of that."""


class Tool(msgspec.Struct, frozen=True):
    """A file of the tools folder, by its path there, and what it holds."""

    path: str
    sha256: str


class Refusal(NamedTuple):
    """Why policy does not let a command run."""

    code: str
    sentence: str
    hint: str


def line_of(command: Sequence[str]) -> str:
    """A command as one would type it; nothing in it acts on a terminal."""
    return visible(shlex.join(command))


def title_of(command: Sequence[str]) -> str:
    """What the plan is called that comes of a command."""
    line = line_of(command)
    return f"What `{line if len(line) <= _SHOWN else line[:_SHOWN] + '…'}` did"


def digest_of(
    command: Sequence[str],
    cases: Sequence[str],
    tools: Sequence[Tool],
    *,
    engine: str,
    image: str,
    limits: Mapping[str, object],
    direct: bool,
    reads: bool,
    script: bytes | None,
) -> str:
    """What an approval of a command is of: SHA-256 (hex) of the canonical JSON of all that says what would run."""
    sealed = {
        "schema": 1,
        "command": [_plain(word) for word in command],
        "cases": [_plain(case) for case in cases],
        "tools": [[_plain(tool.path), tool.sha256] for tool in tools],
        "engine": engine,
        "image": image,
        "limits": {name: repr(value) if isinstance(value, float) else value for name, value in limits.items()},
        "direct": direct,
        "reads": reads,
        "script": None if script is None else hashlib.sha256(script).hexdigest(),
    }
    return hashlib.sha256(msgspec.json.encode(sealed, order="sorted")).hexdigest()


def _plain(text: str) -> str | dict[str, str]:
    found = tagged(text)
    return {"raw": found.raw} if isinstance(found, Raw) else found


def refusal(
    command: Sequence[str], tools: Sequence[Tool], interpreters: Collection[str], listed: Collection[str]
) -> Refusal | None:
    """Why policy does not let a command run; None where it does. `listed` are the hashes of tools, if it lists any.

    A command begins with one of the `interpreters`: by its bare name, or as a program in one of the image's own
    folders; what merely carries that name elsewhere, in a case say, is none. A tool may itself be run if its name is
    one of them, or its hash is listed. Where hashes are listed, an interpreter is given a listed tool to begin with,
    and nothing else: no text of a program, no file of a case.
    """
    if not command or not command[0]:
        return Refusal("command-missing", "no command is named", "write it behind --: -- python /tools/sort.py")
    if any("\0" in word for word in command):
        return Refusal("command-invalid", "the command holds a NUL", "leave it out")
    first = command[0]
    by_place = {f"{TOOLS}/{tool.path}": tool for tool in tools}
    if first.startswith(f"{TOOLS}/"):
        return _run_itself(first, by_place, interpreters, listed)
    folder, slash, name = first.rpartition("/")
    if slash and folder not in PROGRAMS:
        return _not_listed(first, f"'{visible(first)}' lies in no folder of programs", interpreters)
    if name not in interpreters:
        return _not_listed(first, f"policy does not list the program '{visible(name)}'", interpreters)
    if listed and (len(command) < 2 or command[1] not in by_place):
        given = f"'{visible(command[1])}'" if len(command) > 1 else "nothing"
        return Refusal(
            "tool-not-listed",
            f"policy lists tools by hash, and '{visible(name)}' is given {given} to run",
            f"name a listed tool right behind it: {visible(name)} {_example(by_place)}",
        )
    return None


def _run_itself(
    place: str, by_place: Mapping[str, Tool], interpreters: Collection[str], listed: Collection[str]
) -> Refusal | None:
    """Of a command that is itself a tool."""
    tool = by_place.get(place)
    if tool is None:
        hint = f"there is {_example(by_place)}" if by_place else "there are no tools that it may see"
        return Refusal("no-such-tool", f"there is no tool '{visible(place)}' that it may see", hint)
    if tool.sha256 in listed or place.rpartition("/")[2] in interpreters:
        return None
    return _not_listed(place, f"policy does not list the tool '{visible(place)}'", interpreters)


def _not_listed(first: str, sentence: str, interpreters: Collection[str]) -> Refusal:
    known = ", ".join(sorted(interpreters)) or "nothing"
    hint = f"begin it with one of {known}; or ask an admin about sandbox.interpreters and sandbox.tools"
    return Refusal("interpreter-not-allowed", sentence, hint)


def _example(by_place: Mapping[str, Tool]) -> str:
    return visible(min(by_place, default=f"{TOOLS}/…"))
