"""Filters of system calls, put together: small programs that the kernel asks of every call (seccomp(2)).

Instructions are those of classic BPF (linux/bpf_common.h) over struct seccomp_data (linux/seccomp.h). Jumps go
forward by a number of instructions, 0 being the next one.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _FILTER = 22, 38, 2

Instruction: TypeAlias = tuple[int, int, int, int]  # operation, jump if true, jump if false, constant

NUMBER_AT, _MACHINE_AT, _ARGUMENTS_AT = 0, 4, 16
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06

ALLOW, KILL = 0x7FFF0000, 0x80000000  # the second ends the whole process (SIGSYS)


class Machine(NamedTuple):
    """A machine that numbers of system calls are known of: its column in tables, and its AUDIT_ARCH."""

    column: int
    arch: int


MACHINES = {"x86_64": Machine(0, 0xC000003E), "aarch64": Machine(1, 0xC00000B7)}


def machine() -> Machine | None:
    """This machine, if it is one of those."""
    return MACHINES.get(platform.machine())


def refuse(number: int = errno.EPERM) -> int:
    """What a filter answers for a call to fail with an error."""
    return 0x00050000 | number


def load(at: int) -> Instruction:
    """Takes a word of what is asked about."""
    return (_LOAD, 0, 0, at)


def argument(index: int) -> Instruction:
    """Takes the lower half of an argument; both machines store it first. The kernel looks at no more of an int."""
    return load(_ARGUMENTS_AT + 8 * index)


def masked(mask: int) -> Instruction:
    """Keeps some bits of the word."""
    return (_AND, 0, 0, mask)


def equal(value: int, then: int, otherwise: int) -> Instruction:
    """Jumps by whether the word is a value."""
    return (_EQUAL, then, otherwise, value)


def at_least(value: int, then: int, otherwise: int) -> Instruction:
    """Jumps by whether the word is a value or more."""
    return (_AT_LEAST, then, otherwise, value)


def answer(what: int) -> Instruction:
    """Ends with an answer: ALLOW, KILL, or a refusal."""
    return (_RETURN, 0, 0, what)


def only(arch: int) -> list[Instruction]:
    """How a filter begins: whoever calls as on another machine is killed, for its numbers mean other calls."""
    return [load(_MACHINE_AT), equal(arch, 1, 0), answer(KILL), load(NUMBER_AT)]


def assembled(instructions: Sequence[Instruction]) -> bytes:
    """The program as the kernel takes it."""
    return b"".join(struct.pack("=HBBI", *one) for one in instructions)


def install(program: bytes) -> bool:
    """Puts this process under a filter for good, with all that it starts; False where the kernel has none."""
    held = ctypes.create_string_buffer(program, len(program))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    return _prctl(_PR_SET_SECCOMP, _FILTER, struct.pack("@HP", len(program) // 8, ctypes.addressof(held)))


def _prctl(what: int, *values: int | bytes) -> bool:
    words = [ctypes.c_char_p(one) if isinstance(one, bytes) else ctypes.c_ulong(one) for one in values]
    words += [ctypes.c_ulong(0)] * (4 - len(words))
    return not ctypes.CDLL(None).prctl(what, *words)
