"""What a systemd unit takes away, taken without systemd: `python unit.py UNIT COMMAND…` becomes the command.

System calls by seccomp(2), through libseccomp, which systemd uses itself.
"""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from pathlib import Path

ALLOW, REFUSE, MASKED_EQUAL = 0x7FFF0000, 0x00050000 | errno.EPERM, 7
WRITE, EXECUTE = 2, 4


class Comparison(ctypes.Structure):
    """struct scmp_arg_cmp of libseccomp."""

    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("mask", ctypes.c_uint64), ("value", ctypes.c_uint64)]


# Memory is never both written and run, and nothing that was written is run later: what else these may be asked for.
BOUNDED = {
    "mmap": [Comparison(2, MASKED_EQUAL, WRITE, 0), Comparison(2, MASKED_EQUAL, EXECUTE, 0)],
    "mprotect": [Comparison(2, MASKED_EQUAL, EXECUTE, 0)],
    "pkey_mprotect": [Comparison(2, MASKED_EQUAL, EXECUTE, 0)],
}


def settings(unit: Path) -> dict[str, list[str]]:
    """What a unit says, by key."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith(("#", "[")):
            found.setdefault(key, []).append(value)
    return found


def calls(group: str) -> set[str]:
    """The system calls of `@group`, as systemd lists them, whatever groups it is made of."""
    if not group.startswith("@"):
        return {group}
    told = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", group], capture_output=True, text=True)
    rows = [line.strip() for line in told.stdout.splitlines()[1:]]
    return set().union(*(calls(row) for row in rows if row and not row.startswith("#")))


def allowed(filters: list[str]) -> set[str]:
    """What `SystemCallFilter=` lines leave, in their order."""
    left: set[str] = calls("@default")
    for line in filters:
        named = set().union(*(calls(group) for group in line.removeprefix("~").split()))
        left = left - named if line.startswith("~") else left | named
    return left


def confine(unit: Path) -> None:
    """SystemCallFilter=, MemoryDenyWriteExecute= and NoNewPrivileges= of a unit, as systemd makes them."""
    said = settings(unit)
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(REFUSE)))
    bounds = BOUNDED if said["MemoryDenyWriteExecute"] == ["yes"] else {}
    for name in allowed(said["SystemCallFilter"]):
        number = library.seccomp_syscall_resolve_name(name.encode())
        for bound in bounds.get(name, [None]) if number >= 0 else []:
            comparisons = (Comparison * 1)(*([bound] if bound else []))
            count = ctypes.c_uint(1 if bound else 0)
            assert library.seccomp_rule_add_array(context, ctypes.c_uint32(ALLOW), number, count, comparisons) == 0
    assert library.seccomp_load(context) == 0  # sets no_new_privs


if __name__ == "__main__":
    confine(Path(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
