"""What a command may not ask the kernel for: one table, as a filter for bubblewrap and as a profile for Docker.

It refuses what makes a way out or reaches the machine rather than files: mounts, namespaces, other processes, keys,
clocks, modules, devices, the network. The rest of what programs do is left alone. A call that is newer than this
table does not exist in a sandbox.
"""

from __future__ import annotations

import errno
import json
import os
import platform
from collections.abc import Iterator
from typing import Any, NamedTuple

from treegate.engine import bpf
from treegate.engine.bpf import Instruction

_NEWEST = 469  # file_setattr, of Linux 6.17; both machines count alike from 424 on
_X32 = 0x40000000  # x86_64: the bit that says a call is of the x32 ABI, whose numbers mean others
_NONE = -1  # the machine has no such call
_WORD = 0xFFFFFFFF


class Call(NamedTuple):
    """A system call: its numbers on x86_64 and aarch64."""

    x86_64: int
    aarch64: int


class Pattern(NamedTuple):
    """An argument's value, in some of its bits."""

    mask: int
    value: int


class Judged(NamedTuple):
    """Calls that are refused by an argument: where it has one of the patterns; or, `unless`, where it has none."""

    call: Call
    argument: int
    patterns: tuple[Pattern, ...]
    unless: bool = False
    error: int = errno.EPERM


# Always refused: with EPERM, or ENOSYS where programs then do without.
REFUSED = {
    # mounts
    "mount": Call(165, 40), "umount2": Call(166, 39), "pivot_root": Call(155, 41), "chroot": Call(161, 51),
    "move_mount": Call(429, 429), "open_tree": Call(428, 428), "open_tree_attr": Call(467, 467),
    "fsopen": Call(430, 430), "fsconfig": Call(431, 431), "fsmount": Call(432, 432), "fspick": Call(433, 433),
    "mount_setattr": Call(442, 442), "swapon": Call(167, 224), "swapoff": Call(168, 225),
    "quotactl": Call(179, 60), "quotactl_fd": Call(443, 443), "acct": Call(163, 89),
    # files by a handle instead of a path, and watching whole filesystems
    "name_to_handle_at": Call(303, 264), "open_by_handle_at": Call(304, 265), "fanotify_init": Call(300, 262),
    # namespaces, and what else is the machine's
    "unshare": Call(272, 97), "setns": Call(308, 268), "sethostname": Call(170, 161),
    "setdomainname": Call(171, 162), "reboot": Call(169, 142), "vhangup": Call(153, 58), "syslog": Call(103, 116),
    # other processes
    "ptrace": Call(101, 117), "process_vm_readv": Call(310, 270), "process_vm_writev": Call(311, 271),
    "process_madvise": Call(440, 440), "kcmp": Call(312, 272), "pidfd_getfd": Call(438, 438),
    "move_pages": Call(279, 239), "migrate_pages": Call(256, 238), "mbind": Call(237, 235),
    "set_mempolicy": Call(238, 237), "get_mempolicy": Call(239, 236), "set_mempolicy_home_node": Call(450, 450),
    # keys
    "add_key": Call(248, 217), "request_key": Call(249, 218), "keyctl": Call(250, 219),
    # the kernel itself
    "bpf": Call(321, 280), "perf_event_open": Call(298, 241), "userfaultfd": Call(323, 282),
    "kexec_load": Call(246, 104), "kexec_file_load": Call(320, 294), "init_module": Call(175, 105),
    "finit_module": Call(313, 273), "delete_module": Call(176, 106), "lookup_dcookie": Call(212, 18),
    "nfsservctl": Call(180, 42), "_sysctl": Call(156, _NONE), "sysfs": Call(139, _NONE), "ustat": Call(136, _NONE),
    "uselib": Call(134, _NONE), "iopl": Call(172, _NONE), "ioperm": Call(173, _NONE),
    "modify_ldt": Call(154, _NONE), "personality": Call(135, 92),
    # clocks
    "settimeofday": Call(164, 170), "clock_settime": Call(227, 112), "clock_adjtime": Call(305, 266),
    "adjtimex": Call(159, 171),
}  # fmt: skip
ABSENT = {
    "clone3": Call(435, 435),  # its flags lie in memory, where no filter sees them: programs then take clone
    "io_uring_setup": Call(425, 425), "io_uring_enter": Call(426, 426), "io_uring_register": Call(427, 427),
}  # fmt: skip

# CLONE_NEW*: namespace of mounts, control groups, host name, IPC, users, processes, network.
_NAMESPACES = (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # typing into a terminal on somebody's behalf
_TYPE, _CHARACTER, _BLOCK = 0o170000, 0o020000, 0o060000
_AF_UNIX = 1
_DEVICES = (Pattern(_TYPE, _CHARACTER), Pattern(_TYPE, _BLOCK))

JUDGED = {
    "clone": Judged(Call(56, 220), 0, tuple(Pattern(bit, bit) for bit in _NAMESPACES)),
    "ioctl": Judged(Call(16, 29), 1, (Pattern(_WORD, _TIOCSTI), Pattern(_WORD, _TIOCLINUX))),
    "mknod": Judged(Call(133, _NONE), 1, _DEVICES),
    "mknodat": Judged(Call(259, 33), 2, _DEVICES),
    # There is no network; what is left are the processes of the command itself.
    "socket": Judged(Call(41, 198), 0, (Pattern(_WORD, _AF_UNIX),), unless=True, error=errno.EAFNOSUPPORT),
}


def program(name: str = "") -> bytes:
    """The filter for a machine, this one by default, as `bwrap --seccomp` reads it; empty where none is written."""
    machine = bpf.MACHINES.get(name or platform.machine())
    if machine is None:
        return b""
    made = bpf.only(machine.arch)
    if machine is bpf.MACHINES["x86_64"]:
        made += [bpf.at_least(_X32, 0, 1), bpf.answer(bpf.KILL)]
    made += [bpf.at_least(_NEWEST + 1, 0, 1), bpf.answer(bpf.refuse(errno.ENOSYS))]
    for calls, error in ((REFUSED, errno.EPERM), (ABSENT, errno.ENOSYS)):
        for call in calls.values():
            made += _on(call[machine.column], [bpf.answer(bpf.refuse(error))])
    for judged in JUDGED.values():
        made += _on(judged.call[machine.column], _judgement(judged))
    return bpf.assembled([*made, bpf.answer(bpf.ALLOW)])


def opened() -> int:
    """A handle from which bubblewrap reads this machine's filter, once; -1 where none is written for it."""
    made = program()
    if not made:
        return -1
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    os.write(fd, made)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _on(number: int, block: list[Instruction]) -> list[Instruction]:
    return [] if number == _NONE else [bpf.equal(number, 0, len(block)), *block]


def _judgement(judged: Judged) -> list[Instruction]:
    """Instructions that end with an answer, whatever the argument is."""
    refusal = bpf.refuse(judged.error)
    found, else_ = (bpf.ALLOW, refusal) if judged.unless else (refusal, bpf.ALLOW)
    made = []
    for mask, value in judged.patterns:
        made += [bpf.argument(judged.argument), bpf.masked(mask), bpf.equal(value, 0, 1), bpf.answer(found)]
    return [*made, bpf.answer(else_)]


def docker_profile() -> str:
    """The same as Docker takes it: `--security-opt seccomp=...`. What is newer than the table it leaves to Docker.

    Without a list of machines it is for the one that the engine runs on: calls as on another one kill.
    """
    rules = [_rule(list(REFUSED), errno.EPERM), _rule(list(ABSENT), errno.ENOSYS)]
    for name, judged in JUDGED.items():
        rules += [_rule([name], judged.error, test) for test in _tests(judged)]
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules})


def _rule(names: list[str], error: int, *tests: dict[str, Any]) -> dict[str, Any]:
    return {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": error, "args": list(tests)}


def _tests(judged: Judged) -> Iterator[dict[str, Any]]:
    """Any one of them is enough for a refusal: an `unless` with more patterns than one could not be said so."""
    if judged.unless:
        (pattern,) = judged.patterns
        yield {"index": judged.argument, "value": pattern.value, "op": "SCMP_CMP_NE"}
        return
    for mask, value in judged.patterns:
        yield {"index": judged.argument, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
