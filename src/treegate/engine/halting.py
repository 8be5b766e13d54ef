"""The errors of a run that stops midway and is left to a recovery."""

from __future__ import annotations

from pathlib import Path

from treegate.engine import durable
from treegate.errors import NeedsRecovery


def stuck(error: Exception) -> NeedsRecovery:
    """The error of a run that could be taken back only in part."""
    return NeedsRecovery(
        f"the run could not be brought to an end: {error}",
        code="unfinished",
        hint="put right what the message names, then recover",
        next="treegate recover",
    )


def halted(directory: Path, failed: durable.SyncFailed) -> NeedsRecovery:
    """The error of a run that stops where it is, for what was written may not be on the disk."""
    durable.note(directory, failed)
    return NeedsRecovery(
        f"{failed}; the run stopped where it was",
        code="sync-failed",
        hint="check the disk, unmount and mount the filesystem again (or restart the machine), then recover",
        next="treegate recover",
    )
