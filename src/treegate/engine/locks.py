"""Who may work where: one writer per case across processes, any number of previews beside each other.

The locks are flock(2) locks on files in the state directory, or bytes of one file. The kernel lets go
of them when a process dies, and a forked child gives up its copies at once. The
writer's process id stands in the file, for whoever waits to name.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from treegate.errors import Busy
from treegate.model.effects import tagged

_SHORTEST, _LONGEST = 0.001, 0.05  # seconds between two tries
_LOCK = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
_NOTE = 20  # characters of a note; one that is shorter is filled up
_QUEUE_GRACE = 0.2  # seconds: even who will not wait gives others the time to step through


@contextmanager
def case_locks(locks_dir: Path, cases: Iterable[str], *, shared: bool, wait: float) -> Iterator[None]:
    """Hold the lock of each case, as a preview (`shared`) or as the one writer; `wait` is in seconds, for all.

    Raises Busy "case-locked" naming the case and who has it, or "workspace-locked" while someone holds the
    workspace's. Locks are taken in sorted order, so that two runs over several cases cannot block each other.
    """
    deadline = time.monotonic() + wait
    with ExitStack() as held:
        held.enter_context(_locked(_workspace_file(locks_dir), True, deadline, _workspace_busy))
        for case in sorted(set(cases)):
            held.enter_context(_locked(_case_file(locks_dir, case), shared, deadline, _case_busy(case)))
        yield


@contextmanager
def workspace_lock(locks_dir: Path, *, shared: bool, wait: float) -> Iterator[None]:
    """Hold the whole workspace, instead of the cases' own locks: nobody works on any case meanwhile.

    Raises Busy "workspace-locked", also where the caller itself holds locks of cases.
    """
    with _locked(_workspace_file(locks_dir), shared, time.monotonic() + wait, _workspace_busy):
        yield


@contextmanager
def file_lock(path: Path, *, wait: float) -> Iterator[None]:
    """Hold one file's lock alone, for what is neither a case nor the workspace; raises Busy "locked"."""
    with _locked(path, False, time.monotonic() + wait, lambda holder: Busy(f"{path.name} is in use by {holder}")):
        yield


@contextmanager
def passing_lock(locks_dir: Path, name: str) -> Iterator[None]:
    """Hold what is done once and never again, without waiting; raises Busy "locked".

    One byte of one file stands for each name, so that nothing stays behind and no file is made for a moment: on a
    filesystem without a journal each of those makes the next ones slower (ext4 spares inodes that were just freed).
    """
    with _opened(locks_dir / "passing") as held:
        if not held.take_byte(_place(name)):
            raise Busy(f"{name} is in use by another process")
        yield


def _place(name: str) -> int:
    """The byte that stands for a name: of 2^60, so that two names do not meet."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 4


@contextmanager
def presence(path: Path) -> Iterator[None]:
    """Be seen by whoever asks `anybody`, until the block or the process ends; any number may be there at a time."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # a backup has no locks
    with _opened(path) as held:
        held.take(True, time.monotonic() + 1)  # somebody may just be asking
        yield


def anybody(path: Path) -> bool:
    """Whether some process is in a `presence` of this path now."""
    if not path.exists():
        return False
    with _opened(path) as held:
        return not held.take(False, time.monotonic())


class _Held:
    """One open lock file; in a forked child it holds nothing any more."""

    def __init__(self, path: Path) -> None:
        self._byte: int | None = None
        try:
            self.fd = os.open(path, _LOCK, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.fd = os.open(path, _LOCK, 0o600)
        _open.add(self)

    def take(self, shared: bool, deadline: float) -> bool:
        """Try until `deadline`, at least once; whether it was got."""
        flags = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
        pause = _SHORTEST
        while True:
            try:
                fcntl.flock(self.fd, flags)
                return True
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST)

    def take_byte(self, place: int) -> bool:
        """Try to have one byte alone, whoever has others (fcntl_locking(2), open file description locks)."""
        try:
            self._change(fcntl.F_WRLCK, place)
        except (BlockingIOError, PermissionError):
            return False
        self._byte = place
        return True

    def _change(self, kind: int, place: int) -> None:
        fcntl.fcntl(self.fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi", kind, os.SEEK_SET, place, 1, 0))

    def note(self, text: str) -> None:
        """Leave word in the file; it serves the message of whoever waits, and nothing else."""
        if self.noted() != text:
            os.pwrite(self.fd, text.ljust(_NOTE).encode(), 0)

    def noted(self) -> str:
        return os.pread(self.fd, 100, 0).decode("ascii", "replace").strip()

    def release(self) -> None:
        if self.fd < 0:
            return
        # said aloud: closing alone would wait for a child's copy
        if self._byte is None:
            fcntl.flock(self.fd, fcntl.LOCK_UN)
        else:
            self._change(fcntl.F_UNLCK, self._byte)
        self.forget()

    def forget(self) -> None:
        """Close without unlocking, as a forked child must: the lock is its parent's."""
        _open.discard(self)
        os.close(self.fd)
        self.fd = -1


_open: set[_Held] = set()


def _forget_all() -> None:
    for held in list(_open):
        held.forget()


os.register_at_fork(after_in_child=_forget_all)


@contextmanager
def _locked(path: Path, shared: bool, deadline: float, busy: Callable[[str], Busy]) -> Iterator[None]:
    """Stand in line at the door, then take the lock: who came first is not overtaken, reader or writer."""
    with _opened(path) as held:
        with _opened(_line_of(path)) as queue:
            in_line = queue.take(False, max(deadline, time.monotonic() + _QUEUE_GRACE))
            if not in_line or not held.take(shared, deadline):
                raise busy(_holder(held.noted()))
        held.note("" if shared else str(os.getpid()))
        yield


def _line_of(path: Path) -> Path:
    """The file whose lock is the place at the door."""
    return path.with_name(path.name + ".queue")


@contextmanager
def _opened(path: Path) -> Iterator[_Held]:
    held = _Held(path)
    try:
        yield held
    finally:
        held.release()


def _holder(noted: str) -> str:
    return f"process {noted}" if noted else "another process that only reads"


def _workspace_file(locks_dir: Path) -> Path:
    return locks_dir / "workspace.lock"


def _case_file(locks_dir: Path, case: str) -> Path:
    return locks_dir / f"{hashlib.sha256(os.fsencode(case)).hexdigest()}.lock"


def _workspace_busy(holder: str) -> Busy:
    return Busy(
        f"the workspace is locked by {holder}",
        code="workspace-locked",
        hint="wait for it to end, or look at what it does",
        next="treegate list",
    )


def _case_busy(case: str) -> Callable[[str], Busy]:
    name = tagged(case)
    shown = name if isinstance(name, str) else name.raw

    def busy(holder: str) -> Busy:
        return Busy(
            f"case {shown!r} is locked by {holder}",
            code="case-locked",
            hint="wait for it to end, or look at what it does",
            next="treegate list",
            path=shown,
        )

    return busy


class Holding(NamedTuple):
    """Somebody at work: on a case ("" is the whole workspace), which process, and whether as the one writer."""

    case: str
    process: int
    writes: bool


def holders(locks_dir: Path, cases: Iterable[str]) -> list[Holding]:
    """Who holds what just now, as the kernel tells it (proc(5), /proc/locks); nobody is held up by the question.

    Empty where the kernel does not tell, as of processes outside a container.
    """
    files = {"": _workspace_file(locks_dir), **{case: _case_file(locks_dir, case) for case in cases}}
    by_inode = {}
    for case, path in files.items():
        with suppress(FileNotFoundError):
            by_inode[path.stat().st_ino] = case
    try:
        told = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    found = [_holding(line.split(), by_inode) for line in told]
    return sorted(one for one in found if one is not None and (one.case or one.writes))


def _holding(words: list[str], by_inode: Mapping[int, str]) -> Holding | None:
    """One line of /proc/locks: `3: FLOCK  ADVISORY  WRITE 812 08:01:1310728 0 EOF`."""
    if len(words) < 6 or words[1] != "FLOCK":
        return None
    case = by_inode.get(int(words[5].rpartition(":")[2]))
    return None if case is None else Holding(case, int(words[4]), words[3] == "WRITE")
