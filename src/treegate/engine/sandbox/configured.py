"""The settings of sandboxes: which commands may run, on what, and how much each may use."""

from __future__ import annotations

import os
import re
from typing import Literal

import msgspec

from treegate.engine.netvalues import text
from treegate.engine.sandbox.order import Limits as OrderLimits
from treegate.engine.values import Kind, choice, count, flag, list_of, measure, number
from treegate.model.measures import MIB, MINUTE, parse_duration, parse_size, write_duration, write_size
from treegate.model.names import visible

_FOR_ORDERS = OrderLimits()


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one command may use at most; sizes in bytes, `time` in ms."""

    time: int = 10 * MINUTE
    memory: int = _FOR_ORDERS.memory
    processors: float = _FOR_ORDERS.processors
    processes: int = _FOR_ORDERS.processes
    open_files: int = _FOR_ORDERS.open_files
    output: int = _FOR_ORDERS.output
    written: int = _FOR_ORDERS.written
    entries: int = _FOR_ORDERS.entries
    temporary: int = _FOR_ORDERS.temporary
    copied: int = _FOR_ORDERS.copied

    def of_order(self, seconds: float | None = None) -> OrderLimits:
        """The same for a runner; `seconds` shortens the time and never makes it longer."""
        most = self.time / 1000
        given = {name: getattr(self, name) for name in self.__struct_fields__ if name != "time"}
        return OrderLimits(seconds=most if seconds is None else min(seconds, most), **given)


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """Which commands may run in a sandbox, on what, and what may come of it without anybody."""

    engine: Literal["auto", "bwrap", "docker"] = "auto"
    image: str = "treegate-mutator"
    interpreters: tuple[str, ...] = ("python", "python3", "sh", "bash")
    tools: tuple[str, ...] = ()  # SHA-256; none: any tool
    approve_command: bool = False
    direct: bool = False
    reads: bool = False
    at_once: int = 4
    host_workspace: str = ""
    helper: str = ""
    limits: Limits = Limits()

    def known_to_docker(self, workspace: str) -> tuple[str, str]:
        """A workspace, and what the Docker daemon knows it as where it makes the views; two empty words elsewhere.

        It makes them where it would not see ours: treegate is in a container, or not root, which alone mounts views
        for all of a machine.
        """
        if self.host_workspace:
            return workspace, self.host_workspace
        return ("", "") if os.geteuid() == 0 else (workspace, workspace)


def _program(item: str) -> None:
    """A check for `list_of`: each item is the name of a program."""
    if not item or "/" in item or not item.isprintable() or item.isspace():
        raise ValueError(f"holds '{visible(item)}', which is no program's name: leave out the folder")


def _sha256(item: str) -> None:
    """A check for `list_of`: each item is a SHA-256."""
    if not re.fullmatch("[0-9a-f]{64}", item):
        raise ValueError(f"holds '{visible(item)}', which is no SHA-256: 64 characters of 0-9 and a-f")


_DURATION = measure('a duration such as "10m"', parse_duration, write_duration)
_SIZE = measure('a size such as "1 GiB"', parse_size, write_size)
_LEAST = 16  # processes, or open files, without which no interpreter begins


def _at_least(kind: Kind, least: int) -> Kind:
    """A size of so many bytes or more."""

    def read(value: object) -> object:
        found = kind.read(value)
        if isinstance(found, int) and found < least:
            raise ValueError(f'must be "{write_size(least)}" or more')
        return found

    return kind._replace(read=read)


ROWS: tuple[tuple[str, Kind, str], ...] = (
    (
        "sandbox.engine",
        choice("auto", "bwrap", "docker"),
        "What confines commands: bubblewrap, Docker, or the better one of those that work here.",
    ),
    ("sandbox.image", text(), "The Docker image that commands run in."),
    (
        "sandbox.interpreters",
        list_of("a list of programs", _program),
        "The programs that a command may begin with, by name; see sandbox.md for tools that are run themselves.",
    ),
    (
        "sandbox.tools",
        list_of("a list of SHA-256", _sha256),
        "The only tools that commands see, by their SHA-256; then each command must run one. None listed: any tool.",
    ),
    (
        "sandbox.approve_command",
        flag(),
        "Whether a person has to approve each command before it runs, besides what becomes of it.",
    ),
    (
        "sandbox.direct",
        flag(),
        "Whether what a command did may be applied at once (`--direct`), with nobody looking.",
    ),
    (
        "sandbox.reads",
        flag(),
        "Whether a plan is stale, too, where others changed what its command only read.",
    ),
    ("sandbox.at_once", count(1), "Commands that run at a time, of everybody together."),
    (
        "sandbox.host_workspace",
        text(),
        'Where the Docker daemon finds the workspace, if treegate itself runs in a container; "" is the same place.',
    ),
    ("sandbox.helper", text(), 'The socket of the process that speaks to Docker for a service; "" is none.'),
    ("sandbox.limits.time", _DURATION, "How long a command may take; `--timeout` can only shorten it."),
    ("sandbox.limits.memory", _at_least(_SIZE, 16 * MIB), "Memory of all its processes together."),
    ("sandbox.limits.processors", number(), "Processors that it keeps busy; parts of one, too."),
    ("sandbox.limits.processes", count(_LEAST), "Processes and threads at a time."),
    ("sandbox.limits.open_files", count(_LEAST), "Open files of one process."),
    ("sandbox.limits.output", _SIZE, "What it may write to stdout and stderr together; beyond it, it is ended."),
    ("sandbox.limits.written", _at_least(_SIZE, 16 * MIB), "What it may write to its view of the cases."),
    ("sandbox.limits.entries", count(1000), "Files, folders and links that it may make or touch there."),
    ("sandbox.limits.temporary", _at_least(_SIZE, MIB), "What it may write to /tmp."),
    ("sandbox.limits.copied", _SIZE, "What the cases may hold where they have to be copied for a command."),
)
