"""Browsing: the cases, their files, and contents that are sent before a plan names them."""

from __future__ import annotations

from treegate.gate import files, uploading
from treegate.gate.face.base import Face
from treegate.gate.files import Case, Files, Opened
from treegate.gate.uploading import Upload


class Browsing(Face):
    """Browsing: the cases, their files, and contents that are sent before a plan names them."""

    def cases(self) -> list[Case]:
        """The cases that the actor sees, with what waits there."""
        return files.cases(self._core)

    def files(self, case: str, prefix: str = "", *, cursor: str = "", limit: int = 100, raw: bool = False) -> Files:
        """What a folder of a case holds, in byte order, paged; with `raw`, paths are percent-encoded bytes."""
        return files.listing(self._core, case, prefix, cursor=cursor, limit=limit, raw=raw)

    def open_file(self, case: str, path: str, *, raw: bool = False) -> Opened:
        """A regular file of a case, opened for reading; it is closed by whoever asked."""
        return files.open_file(self._core, case, path, raw=raw)

    def upload(self, sha256: str) -> Upload:
        """Takes a content in, bit by bit, under its SHA-256."""
        return Upload(self._core, sha256)

    def blob_size(self, sha256: str) -> int:
        """The size of a content that was sent, in bytes."""
        return uploading.size(self._core, sha256)
