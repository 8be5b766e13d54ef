"""Confinement: what a process can still do once it has given up the rest."""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SEALED = """
import ctypes, os, signal, socket, sys
from treegate.engine import confine
held = os.open({held!r}, os.O_RDONLY)
assert confine.seal()
try:
    {act}
except PermissionError:
    os.write(1, b"refused")
else:
    os.write(1, b"done")
os._exit(0)
"""
filtered = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "aarch64"}, reason="no filter of system calls is written for this machine"
)


def ended(code: str, where: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, timeout=30, cwd=where)


@filtered
@pytest.mark.parametrize(
    "act",
    [
        "open('/etc/hostname')",
        "open('new', 'w')",
        "os.listdir('/')",
        "os.unlink('new')",
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "os.fork()",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 0)",
        "os.setuid(0)",
        "ctypes.CDLL(None, use_errno=True).unshare(0) and (_ for _ in ()).throw(PermissionError())",
    ],
)
def test_who_is_sealed_opens_starts_and_reaches_nothing(act: str, tmp_path: Path):
    """Files, folders, sockets, programs, other processes: EPERM, also for root."""
    done = ended(SEALED.format(act=act, held=__file__), tmp_path)
    assert (done.stdout, done.returncode) == (b"refused", 0), done.stderr


@filtered
def test_who_is_sealed_still_reads_what_it_holds(tmp_path: Path):
    """A file that was open before is read; memory is had."""
    done = ended(SEALED.format(act='assert os.read(held, 3) == b\'"""\' and bytes(1 << 24)', held=__file__), tmp_path)
    assert (done.stdout, done.returncode) == (b"done", 0), done.stderr


LIMITED = "from treegate.engine import confine\nconfine.limit(memory=256 << 20, processor={}, seconds={})\n"


@pytest.mark.parametrize(
    ("most", "code", "ends"),
    [
        ((1, 30), "while True: pass", -signal.SIGXCPU),
        ((9, 1), "import time; time.sleep(20)", -signal.SIGALRM),
        ((9, 9), "try: bytes(300 << 20)\nexcept MemoryError: raise SystemExit(7)", 7),
        ((9, 9), "try: open('new', 'wb', 0).write(b'x')\nexcept OSError: raise SystemExit(7)", 7),
    ],
)
def test_limits_hold(most: tuple[int, int], code: str, ends: int, tmp_path: Path):
    """Time, processor time, memory, writing to a disk."""
    assert ended(LIMITED.format(*most) + code, tmp_path).returncode == ends
