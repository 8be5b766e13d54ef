"""Confinement: what a process gives up, for good, before it touches what may be hostile.

Nothing here needs privileges: the limits are setrlimit(2), the filter is seccomp(2) under `no_new_privs`. What a
process keeps after `seal` is reading and writing what it holds already, memory, and its own end.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import resource
import signal
import struct

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 1, 22, 38, 2

# The system calls that are left: (x86_64, aarch64). Anything else says EPERM.
_KEPT = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "newfstatat": (262, 79),
    "lseek": (8, 62), "pread64": (17, 67), "dup": (32, 23), "fcntl": (72, 25), "mmap": (9, 222),
    "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216), "madvise": (28, 233), "brk": (12, 214),
    "futex": (202, 98), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "getpid": (39, 172), "clock_gettime": (228, 113), "gettimeofday": (96, 169), "getrandom": (318, 278),
    "sysinfo": (99, 179), "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above; AUDIT_ARCH of linux/audit.h

# Instructions of the filter (linux/bpf_common.h, linux/seccomp.h): load a word, jump if equal, return.
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _MACHINE_AT = 0, 4  # in struct seccomp_data
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000


def limit(*, memory: int, processor: int, seconds: int) -> None:
    """Bounds on memory (bytes of address space), seconds of processor time and of time; nothing is written to a disk.

    Over one of the last two the process is killed: SIGXCPU, SIGALRM.
    """
    bounds = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: processor,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: 32,
    }
    for what, most in bounds.items():
        resource.setrlimit(what, (most, most + 1 if what == resource.RLIMIT_CPU else most))
    signal.alarm(seconds)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def seal() -> bool:
    """Gives up every system call but `_KEPT`: no file is opened, nobody spoken to, nothing started from here on.

    False where the kernel or the machine has no such filter; the limits hold all the same.
    """
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    column, machine = _MACHINES.get(platform.machine(), (0, 0))
    if not machine:
        return False
    made = _filter(machine, [numbers[column] for numbers in _KEPT.values()])
    held = ctypes.create_string_buffer(made, len(made))
    program = struct.pack("@HP", len(made) // 8, ctypes.addressof(held))  # struct sock_fprog
    return _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program)


def _filter(machine: int, numbers: list[int]) -> bytes:
    """Another machine's calls kill; those of `numbers` go through; the rest is refused."""
    rest = len(numbers)
    rows = [(_LOAD, 0, 0, _MACHINE_AT), (_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER_AT)]
    rows += [(_EQUAL, rest - place, 0, number) for place, number in enumerate(numbers)]
    rows += [(_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *row) for row in rows)


def _prctl(what: int, *values: int | bytes) -> bool:
    words = [ctypes.c_char_p(one) if isinstance(one, bytes) else ctypes.c_ulong(one) for one in values]
    words += [ctypes.c_ulong(0)] * (4 - len(words))
    return not ctypes.CDLL(None).prctl(what, *words)
