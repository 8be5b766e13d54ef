"""Bounds of each process (setrlimit(2)): those that no control group knows, and what stands in for one."""

from __future__ import annotations

import shutil

from treegate.engine.sandbox.cgroups import Group
from treegate.engine.sandbox.order import Limits

_TO_START_WITH = 2  # processes of its namespace before the command starts any: the first one, and the command
_WITHOUT = {
    "memory": "the memory of each process is limited, not that of all together",
    "pids": "nothing limits the number of processes",
    "cpu": "nothing limits the share of the processors",
}


def everywhere(limits: Limits) -> dict[str, int]:
    """What each process of a command is bound to on either engine, by the names of Docker's `ulimit`."""
    return {
        "nofile": limits.open_files,
        "fsize": limits.written,
        "core": 0,
        "msgqueue": 0,  # such queues are memory of nobody
    }


def of_each(limits: Limits, group: Group) -> dict[str, int]:
    """The same by the names that `resource` has for it.

    Where no group counts the memory of all together, each has at most as much address space.
    """
    bounds = {f"RLIMIT_{name.upper()}": most for name, most in everywhere(limits).items()}
    if not group.keeps("memory"):
        bounds["RLIMIT_AS"] = limits.memory
    return bounds


def on_starting(limits: Limits, group: Group) -> tuple[str, ...]:
    """What goes before a command, inside, so that its user has so many processes there, where no group counts them.

    The kernel counts a user's processes by namespace: set outside, the bound would be on all that the user runs.
    """
    tool = shutil.which("prlimit", path="/usr/bin:/bin")
    if group.keeps("pids") or tool is None:
        return ()
    return (tool, f"--nproc={limits.processes + _TO_START_WITH}", "--")


def weaker(limits: Limits, group: Group) -> tuple[str, ...]:
    """What is not kept to the full here, in words."""
    counted = bool(on_starting(limits, group))
    lacking = ((one, why) for one, why in group.lacking.items() if not (one == "pids" and counted))
    return tuple(f"{_WITHOUT[one]} (no control group: {why})" for one, why in lacking)
