"""Contents that plans bring, kept in the state directory under their SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from treegate.engine import handles, posix
from treegate.errors import FULL, NotFound, NotVerified, UsageError

CHUNK = 1 << 20


class Blobs:
    """A folder of blobs, `ab/abcdef…`; writing the same content again changes nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._top = str(folder)
        self._unsettled = False

    def path(self, sha256: str) -> Path:
        """Where a blob is, or would be."""
        return self._folder / sha256[:2] / sha256

    def _place(self, sha256: str) -> str:
        """The same as a string, which is had in a fraction of the time: a command may make a million files."""
        return f"{self._top}/{sha256[:2]}/{sha256}"

    def size(self, sha256: str) -> int | None:
        """The size of a blob in bytes, or None where there is none."""
        try:
            return self.path(sha256).stat().st_size
        except FileNotFoundError:
            return None

    def sound(self, sha256: str) -> bool:
        """Whether a blob's content is what its name says; raises FileNotFoundError."""
        with self.path(sha256).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256

    def open(self, sha256: str) -> BinaryIO:
        """A blob's content; raises NotFound."""
        try:
            return open(self.path(sha256), "rb")
        except FileNotFoundError:
            raise NotFound(f"there is no blob {sha256[:12]}…", code="blob-missing") from None

    def kept(self) -> Iterator[Path]:
        """Every file there is, also what a crash left half written."""
        return (path for path in self._folder.glob("*/*") if path.is_file())

    def receive(self, sha256: str) -> Incoming:
        """A blob that comes in bit by bit."""
        return Incoming(self.path(sha256), sha256)

    def put_all(self, contents: Iterable[tuple[str, bytes]]) -> None:
        """Keeps contents given with their SHA-256, durably once this returns."""
        made = False
        for sha256, data in contents:
            if self.size(sha256) is None:
                assert hashlib.sha256(data).hexdigest() == sha256
                self._write(sha256, data)
                made = True
        if made:
            self._sync()

    def keep(self, fd: int) -> tuple[str, int]:
        """Keeps all that a handle for reading holds, from its start; its SHA-256 and size. Durable after `settle`."""
        self._unsettled = True
        data = os.pread(fd, CHUNK, 0)
        if len(data) < CHUNK:
            sha256 = hashlib.sha256(data).hexdigest()
            if not self._renewed(sha256):
                self._write(sha256, data)
            return sha256, len(data)
        with open(os.dup(fd), "rb") as file:
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if not self._renewed(sha256):
            with contextlib.closing(self.receive(sha256)) as incoming:
                place = 0
                while data := os.pread(fd, CHUNK, place):
                    incoming.write(data)
                    place += len(data)
                incoming.keep()
        return sha256, os.fstat(fd).st_size

    def _renewed(self, sha256: str) -> bool:
        """Whether a blob is there already; then it is as young as a new one, and nobody clears it before its use."""
        try:
            os.utime(self._place(sha256))
        except FileNotFoundError:
            return False
        return True

    def settle(self) -> None:
        """Makes durable what `keep` kept, if anything: a sync of a whole filesystem waits for what others write."""
        if self._unsettled:
            self._sync()
            self._unsettled = False

    def _write(self, sha256: str, data: bytes) -> None:
        path = self._place(sha256)
        aside, fd = _beside(path)
        try:
            posix.write(fd, data)
        finally:
            handles.close(fd)
        os.replace(aside, path)

    def _sync(self) -> None:
        """One sync of the filesystem for many small files."""
        fd = handles.open_root(str(self._folder))
        try:
            posix.syncfs(fd)
        finally:
            handles.close(fd)


class Incoming:
    """A blob on its way in: a file beside its place, which it takes once its content is what its name says."""

    def __init__(self, path: Path, sha256: str) -> None:
        self.size = 0
        self._path, self._sha256 = path, sha256
        self._hasher = hashlib.sha256()
        aside, self._fd = _beside(str(path))
        self._aside = Path(aside)

    def write(self, data: bytes) -> None:
        """Takes the next bytes; raises UsageError "disk-full"."""
        try:
            posix.write(self._fd, data)
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise UsageError("there is no room for this blob", code="disk-full", hint="ask an operator") from None
        self._hasher.update(data)
        self.size += len(data)

    def keep(self) -> bool:
        """Puts it in its place, durably, anew even where it was before; whether it was not. Raises NotVerified."""
        if self._hasher.hexdigest() != self._sha256:
            text = f"what came has the SHA-256 {self._hasher.hexdigest()}, not {self._sha256}"
            raise NotVerified(text, code="blob-mismatch", hint="send it again; nothing of it was kept")
        posix.fsync(self._fd)
        new = not self._path.exists()
        os.replace(self._aside, self._path)
        with handles.closing(handles.open_root(str(self._path.parent))) as folder:
            posix.fsync(folder)
        return new

    def close(self) -> None:
        """Lets go of it; what was not kept is gone."""
        handles.close(self._fd)
        self._aside.unlink(missing_ok=True)


def _beside(place: str) -> tuple[str, int]:
    """A new file beside the place of a blob, and a handle of it."""
    aside = f"{place}.{secrets.token_hex(4)}.new"
    try:
        return aside, _new(aside)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        return aside, _new(aside)


def _new(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
