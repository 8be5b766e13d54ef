"""Differences: what either way of capture says of a view, one by one as it finds them, and who keeps contents.

Paths begin with the case's name; names that are not UTF-8 are spelled with surrogates (`os.fsdecode`).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeAlias

from treegate.engine.sandbox.order import Finding
from treegate.model.capture import Entry, Gone, Still


class Changed(NamedTuple):
    """An entry of the cases that somebody else changed, or took away, since the command began; it matters here."""

    path: str


Difference: TypeAlias = Entry | Gone | Still | Finding | Changed


# Copies come first in a plan, so all of them are held until it is written; what there is of them beyond this is told
# with its content, which the blob store keeps once.
MOST_COPIES = 10_000


class Keeper(Protocol):
    """Where the contents of made and changed files go."""

    def keep(self, fd: int) -> tuple[str, int]:
        """Keep everything that a handle for reading holds, from its start: its SHA-256 (hex) and size in bytes."""
        ...
