"""The filter of system calls: what it refuses is refused to root itself, and what programs need is left."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from treegate.engine import bpf
from treegate.engine.sandbox import seccomp

HERE = bpf.machine()
filtered = pytest.mark.skipif(HERE is None, reason="no filter of system calls is written for this machine")

UNDER = """
import ctypes, mmap, os, socket, sys
from treegate.engine import bpf
from treegate.engine.sandbox import seccomp
"""
SEALED = UNDER + "assert bpf.install(seccomp.program())\n"
CALL = """
call = ctypes.CDLL(None, use_errno=True).syscall
def error(number, *words):
    return ctypes.get_errno() if call(ctypes.c_long(number), *map(ctypes.c_long, words)) < 0 else 0
"""


def ended(code: str, before: str = SEALED) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", before + code], capture_output=True, text=True, timeout=60)


def numbers(calls: dict[str, seccomp.Call]) -> dict[str, int]:
    assert HERE
    return {name: call[HERE.column] for name, call in calls.items() if call[HERE.column] >= 0}


@filtered
@pytest.mark.parametrize(("calls", "error"), [(seccomp.REFUSED, errno.EPERM), (seccomp.ABSENT, errno.ENOSYS)])
def test_every_call_of_the_table_is_refused(calls: dict[str, seccomp.Call], error: int):
    """Each with its own error; to root, too, whom nothing else here would refuse most of them."""
    told = ended(
        CALL + f"print([name for name, one in {numbers(calls)}.items() if error(one, *[-1] * 6) != {error}])"
    )
    assert (told.stdout, told.stderr) == ("[]\n", "")


HARMLESS = ("mount", "move_mount", "fsconfig", "setns", "unshare", "bpf", "keyctl", "kcmp", "init_module", "mbind")


@filtered
@pytest.mark.skipif(os.geteuid() != 0, reason="whoever is not root is refused most of them anyway")
def test_without_the_filter_they_fail_otherwise():
    """So the test before is one of the filter: to the same nonsense the kernel's own answer is never EPERM."""
    named = [numbers(seccomp.REFUSED)[name] for name in HARMLESS]
    told = ended(CALL + f"print([one for one in {named} if error(one, *[-1] * 6) in (0, {errno.EPERM})])", UNDER)
    assert told.stdout == "[]\n", told.stderr


ATTEMPTS = {
    "a namespace, by clone": ("error({clone}, 0x10000000 | 17, 0, 0, 0, 0)", errno.EPERM),
    "mounts of its own, by clone, with bits that no kernel looks at": (
        "error({clone}, 1 << 40 | 0x20000 | 17, 0, 0, 0, 0)",
        errno.EPERM,
    ),
    "typing into a terminal": ("error({ioctl}, 0, 0x5412, 0)", errno.EPERM),
    "typing into a terminal, with bits that no kernel looks at": (
        "error({ioctl}, 0, 7 << 32 | 0x5412, 0)",
        errno.EPERM,
    ),
    "the console": ("error({ioctl}, 0, 0x541C, 0)", errno.EPERM),
    "a device": ("error({mknodat}, -100, ctypes.addressof(name), 0o20666, 0x103)", errno.EPERM),
    "a disk": ("error({mknodat}, -100, ctypes.addressof(name), 0o60666, 0x700)", errno.EPERM),
    "what an overlay reads as deleted": ("error({mknodat}, -100, ctypes.addressof(name), 0o20000, 0)", errno.EPERM),
    "the internet": ("error({socket}, socket.AF_INET, socket.SOCK_STREAM, 0)", errno.EAFNOSUPPORT),
    "the internet, version 6": ("error({socket}, socket.AF_INET6, socket.SOCK_STREAM, 0)", errno.EAFNOSUPPORT),
    "the kernel by netlink": ("error({socket}, 16, socket.SOCK_RAW, 0)", errno.EAFNOSUPPORT),
    "bare frames": ("error({socket}, 17, socket.SOCK_RAW, 0)", errno.EAFNOSUPPORT),
    "ciphers of the kernel": ("error({socket}, 38, 5, 0)", errno.EAFNOSUPPORT),
    "the machine below": ("error({socket}, 40, socket.SOCK_STREAM, 0)", errno.EAFNOSUPPORT),
    "a call that is not written yet": ("error(600)", errno.ENOSYS),
}


@filtered
@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_argument_decides(attempt: str, tmp_path: Path):
    """What the same call may also be harmless for is refused by what is asked of it."""
    code, error = ATTEMPTS[attempt]
    named = numbers({name: one.call for name, one in seccomp.JUDGED.items()})
    path = str(tmp_path / "made").encode()
    told = ended(CALL + f"name = ctypes.create_string_buffer({path!r})\nprint({code.format(**named)})")
    assert told.stdout == f"{error}\n", told.stderr
    assert not (tmp_path / "made").exists()


LEFT = """
import asyncio, concurrent.futures, multiprocessing, sqlite3, subprocess, tempfile, threading, mmap, select, fcntl
os.chdir({where!r})
os.mkfifo("fifo")
os.mknod("plain", 0o100600)
socket.socket(socket.AF_UNIX).bind("socket")
one, two = socket.socketpair()
assert one.send(b"x") == 1
assert subprocess.run(["sh", "-c", "echo a | cat"], capture_output=True).stdout == b"a\\n"
assert list(concurrent.futures.ThreadPoolExecutor(4).map(abs, [-1, -2])) == [1, 2]
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(abs, [-1]) == [1]
async def main():
    process = await asyncio.create_subprocess_exec("true")
    assert await process.wait() == 0
asyncio.run(main())
base = sqlite3.connect("base"); base.execute("create table t (a)"); base.commit()
os.link("plain", "other"); os.symlink("a", "link"); os.rename("other", "third"); os.utime("plain", ns=(1, 2))
fcntl.flock(os.open("plain", os.O_RDWR), fcntl.LOCK_EX)
os.setpriority(os.PRIO_PROCESS, 0, 5)
os.memfd_create("x")
print("done")
"""


@filtered
def test_what_programs_do_is_left(tmp_path: Path):
    """Files, FIFOs, local sockets, threads, programs, pools of processes, databases, locks."""
    told = ended(LEFT.format(where=str(tmp_path)))
    assert told.stdout == "done\n", told.stderr


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86_64 has other ABIs than its own")
@pytest.mark.parametrize(
    "call",
    [
        "call(ctypes.c_long(0x40000000 + 39))",  # getpid, of x32
        # mov eax, 20 (getpid, of i386); int 0x80; ret
        "page = mmap.mmap(-1, 4096, prot=7); page.write(bytes.fromhex('b814000000cd80c3'))\n"
        "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()",
    ],
)
def test_another_abi_kills(call: str):
    """Its numbers mean other calls, so not even a harmless one goes through."""
    assert ended(CALL + call).returncode == -signal.SIGSYS
    assert ended(CALL + call, UNDER).returncode != -signal.SIGSYS


# -- the program itself, for either machine


def verdict(program: bytes, arch: int, number: int, *words: int) -> int:
    """What the kernel would answer: the few instructions there are, carried out."""
    data = struct.pack("=iIQ6Q", number, arch, 0, *words, *[0] * (6 - len(words)))
    rows, at, held = list(struct.iter_unpack("=HBBI", program)), 0, 0
    while True:
        operation, yes, no, value = rows[at]
        at += 1
        if operation == 0x06:
            return int(value)
        if operation == 0x20:
            held = struct.unpack_from("=I", data, value)[0]
        elif operation == 0x54:
            held &= value
        else:
            at += yes if (held == value if operation == 0x15 else held >= value) else no


@pytest.mark.parametrize("name", bpf.MACHINES)
def test_the_filter_of_either_machine_refuses_the_same(name: str):
    """Every number from 0 to 600: refused if it is in the table, or judged by its argument, or else let through."""
    machine = bpf.MACHINES[name]
    program = seccomp.program(name)
    refused = {call[machine.column] for call in seccomp.REFUSED.values()}
    absent = {call[machine.column] for call in seccomp.ABSENT.values()} | set(range(470, 600))
    judged = {one.call[machine.column] for one in seccomp.JUDGED.values()}
    for number in set(range(600)) - judged:
        expected = bpf.refuse() if number in refused else bpf.refuse(errno.ENOSYS) if number in absent else bpf.ALLOW
        assert verdict(program, machine.arch, number) == expected, number
    assert verdict(program, 0x40000003, 1) == bpf.KILL
    assert len(program) // 8 <= 4096  # BPF_MAXINSNS
    mknodat, clone = (seccomp.JUDGED[one].call[machine.column] for one in ("mknodat", "clone"))
    assert verdict(program, machine.arch, mknodat, 0, 0, 0o10600) == bpf.ALLOW
    assert verdict(program, machine.arch, mknodat, 0, 0, 0o20600) == bpf.refuse()
    assert verdict(program, machine.arch, clone, 0x01200011) == bpf.ALLOW  # fork, as the C library asks for it
    assert verdict(program, machine.arch, clone, 0x3D0F00) == bpf.ALLOW  # a thread


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("name", bpf.MACHINES)
def test_the_numbers_are_those_of_the_kernel(name: str):
    """As its headers have them, where they are installed; those say nothing of what came later."""
    if not HEADERS[name].exists():
        pytest.skip("the kernel's headers are not installed")
    said = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[name].read_text()))
    column = bpf.MACHINES[name].column
    table = seccomp.REFUSED | seccomp.ABSENT | {name: one.call for name, one in seccomp.JUDGED.items()}
    known = {name: str(call[column]) for name, call in table.items() if name in said}
    assert known == {name: said[name] for name in known}
    newer = {name for name, call in table.items() if call[column] > 450}
    assert set(table) - set(known) - newer == {name for name, call in table.items() if call[column] < 0}


def test_docker_is_given_the_same_table():
    """Every call of it is in the profile, and a machine that no filter is written for has none."""
    rules = json.loads(seccomp.docker_profile())["syscalls"]
    named = {name for rule in rules for name in rule["names"]}
    assert named == {*seccomp.REFUSED, *seccomp.ABSENT, *seccomp.JUDGED}
    assert all(rule["args"] for rule in rules if set(rule["names"]) & set(seccomp.JUDGED))
    assert seccomp.program("riscv64") == b""
