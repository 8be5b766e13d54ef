"""Uploading: contents that are sent before the plan that names them, whoever may propose."""

from __future__ import annotations

import re

from treegate.engine.blobs import Incoming
from treegate.errors import NotFound, NotVerified, UsageError
from treegate.gate.core import Core
from treegate.model.actors import Action

MOST = 5 << 30  # bytes of one blob
_NAME = re.compile("[0-9a-f]{64}")


class TooLarge(UsageError):
    """More than one blob may hold."""

    code, http_status = "blob-too-large", 413


class Mismatch(NotVerified):
    """What came is not what its name says."""

    code, http_status = "blob-mismatch", 422


class Upload:
    """One blob on its way in; a context, at whose end what was not kept is gone."""

    def __init__(self, core: Core, sha256: str) -> None:
        core.actor.require(Action.PROPOSE)
        _check(sha256)
        self._core = core
        self._incoming: Incoming = core.blobs.receive(sha256)

    @property
    def size(self) -> int:
        """The bytes that came so far."""
        return self._incoming.size

    def write(self, data: bytes) -> None:
        """Takes the next bytes; raises TooLarge, UsageError "disk-full"."""
        if self._incoming.size + len(data) > MOST:
            raise TooLarge(f"the blob has more than {MOST:,} bytes, which is the most that one may have")
        self._incoming.write(data)

    def keep(self) -> bool:
        """Keeps what came, durably; whether it was not there before. Raises Mismatch.

        Under the shared lock of the workspace, so that nobody clears the blob of before at this moment; from now on
        it is kept for `leftovers.FRESH`, and then as long as a live plan names it.
        """
        with self._core.locked((), shared=True):
            try:
                return self._incoming.keep()
            except NotVerified as error:
                raise Mismatch(error.message, hint=error.hint) from None

    def close(self) -> None:
        """Lets go of it."""
        self._incoming.close()


def size(core: Core, sha256: str) -> int:
    """The size of a blob in bytes; raises NotFound "blob-missing"."""
    core.actor.require(Action.PROPOSE)
    _check(sha256)
    found = core.blobs.size(sha256)
    if found is None:
        raise NotFound(f"there is no blob {sha256[:12]}…", code="blob-missing", hint="upload it first")
    return found


def _check(sha256: str) -> None:
    if not _NAME.fullmatch(sha256):
        text = f"{sha256[:80]!r} is no SHA-256 in lower-case hexadecimal digits"
        raise UsageError(text, code="blob-name-invalid", hint="sha256sum FILE says it")
