"""Confinement: what a process gives up, for good, before it touches what may be hostile.

Nothing here needs privileges: the limits are setrlimit(2), the filter is seccomp(2) under `no_new_privs`. What a
process keeps after `seal` is reading and writing what it holds already, memory, and its own end.
"""

from __future__ import annotations

import ctypes
import resource
import signal

from treegate.engine import bpf

_PR_SET_PDEATHSIG = 1

# The system calls that are left: (x86_64, aarch64). Anything else says EPERM.
_KEPT = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "newfstatat": (262, 79),
    "lseek": (8, 62), "pread64": (17, 67), "dup": (32, 23), "fcntl": (72, 25), "mmap": (9, 222),
    "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216), "madvise": (28, 233), "brk": (12, 214),
    "futex": (202, 98), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "getpid": (39, 172), "clock_gettime": (228, 113), "gettimeofday": (96, 169), "getrandom": (318, 278),
    "sysinfo": (99, 179), "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip


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
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))


def seal() -> bool:
    """Gives up every system call but `_KEPT`: no file is opened, nobody spoken to, nothing started from here on.

    False where the kernel or the machine has no such filter; the limits hold all the same.
    """
    machine = bpf.machine()
    if machine is None:
        return False
    return bpf.install(_filter(machine.arch, [numbers[machine.column] for numbers in _KEPT.values()]))


def _filter(arch: int, numbers: list[int]) -> bytes:
    """Another machine's calls kill; those of `numbers` go through; the rest is refused."""
    rest = len(numbers)
    made = bpf.only(arch) + [bpf.equal(number, rest - place, 0) for place, number in enumerate(numbers)]
    return bpf.assembled([*made, bpf.answer(bpf.refuse()), bpf.answer(bpf.ALLOW)])
