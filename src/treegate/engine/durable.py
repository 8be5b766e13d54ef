"""Making things durable, where a failure is final: the kernel forgets what it could not write.

A failed sync is never tried again. The run halts and leaves a note; until the filesystem was mounted anew (or the
machine started again) what is read from it may be the page cache's and not the disk's, so recovery waits.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from treegate.engine import handles, posix
from treegate.errors import NeedsRecovery
from treegate.model.document import UNREADABLE


class SyncFailed(Exception):
    """A sync failed, for which `cause` is the system's reason; `mount` is the mount id of what was synced."""

    def __init__(self, cause: OSError, mount: int) -> None:
        super().__init__(f"a sync to disk failed: {cause}")
        self.cause, self.mount = cause, mount


@contextlib.contextmanager
def before_any_run() -> Iterator[None]:
    """Raises the OSError of a sync that fails: nothing of the tree depends on what was to be synced."""
    try:
        yield
    except SyncFailed as failed:
        raise failed.cause from failed


def sync_file(fd: int) -> None:
    """Make a file durable with its metadata; raises SyncFailed."""
    _sync(posix.fsync, fd)


def sync_data(fd: int) -> None:
    """Make a file's content durable; raises SyncFailed."""
    _sync(posix.fdatasync, fd)


def sync_folder(fd: int) -> None:
    """Make a folder's entries durable; raises SyncFailed."""
    _sync(posix.fsync, fd)


def sync_volume(fd: int) -> None:
    """Make everything durable on the filesystem that `fd` lies on; raises SyncFailed."""
    _sync(posix.syncfs, fd)


def _sync(call: Callable[[int], None], fd: int) -> None:
    mount = posix.mount_id(fd)  # asked first: a filesystem that shuts itself down over the failure answers nothing
    try:
        call(fd)
    except OSError as error:
        raise SyncFailed(error, mount) from error


class Halt(msgspec.Struct):
    """The note a halted run leaves beside its journal."""

    reason: str
    boot: str
    mount: int


def note(directory: Path, failed: SyncFailed) -> None:
    """Leave word that a sync failed, as well as can be: it matters only while this mount and boot last.

    Not synced, and not in the journal, for both may be what is failing.
    """
    halt = Halt(str(failed), posix.boot_id(), failed.mount)
    try:
        with handles.closing(handles.open_root(str(directory))) as folder:
            number = sum(1 for name in os.listdir(folder) if name.startswith("halted."))
            fd = posix.make_file(folder, f"halted.{number + 1}", 0o600)
            with handles.closing(fd):
                posix.write(fd, msgspec.json.encode(halt))
    except OSError:
        return  # then the journal alone must do: it is read with the same suspicion after a restart


def must_be_mounted_anew(directory: Path, mounts: Iterable[int]) -> None:
    """Raise NeedsRecovery "remount-needed" while a mount on which a sync failed is still in use.

    OSError if `mounts` raises it and no sync failed; if one did, that is the filesystem that cannot be read.
    """
    halts = [halt for halt in _notes(directory) if halt.boot == posix.boot_id()]
    try:
        current = set(mounts)
    except OSError:
        if not halts:
            raise
        current = {halt.mount for halt in halts}
    for halt in halts:
        if halt.mount in current:
            raise NeedsRecovery(
                f"{halt.reason}; what is read from that filesystem now may not be what is on its disk",
                code="remount-needed",
                hint="check the disk, unmount and mount the filesystem again (or restart the machine), then recover",
                next="treegate recover",
            )


def _notes(directory: Path) -> Iterator[Halt]:
    for path in sorted(directory.glob("halted.*")):
        with contextlib.suppress(*UNREADABLE):  # torn by the power cut that ended the boot it was about
            yield msgspec.json.decode(path.read_bytes(), type=Halt)
