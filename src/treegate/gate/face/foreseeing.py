"""Foreseeing: the tree of a case as it is, or as a plan would leave it."""

from __future__ import annotations

from typing import Any

from treegate.gate import outcomes
from treegate.gate.face.base import Face, as_plan
from treegate.gate.outcomes import Entries, Hits, Info, Piece
from treegate.model.plan import Plan

Given = Plan | bytes | str | None


class Foreseeing(Face):
    """Foreseeing: the tree of a case as it is, or as a plan would leave it; nothing is stored."""

    def list_outcome(
        self, case: str, folder: str = "", plan: Given = None, *, cursor: str = "", limit: int = 100
    ) -> Entries:
        """What a folder would hold, in byte order, paged."""
        return outcomes.listed(self._core, case, folder, _plan(plan), cursor=cursor, limit=limit)

    def find_in_outcome(
        self, case: str, match: str = "**", plan: Given = None, *, cursor: str = "", limit: int = 100
    ) -> Entries:
        """What a glob (as in the `match` of a plan) would mean, paged."""
        return outcomes.found(self._core, case, match, _plan(plan), cursor=cursor, limit=limit)

    def outcome_info(self, case: str, path: str, plan: Given = None) -> Info:
        """All about one entry as it would be."""
        return outcomes.info(self._core, case, path, _plan(plan))

    def read_outcome(
        self, case: str, path: str, plan: Given = None, *, offset: int = 0, length: int = 1 << 16
    ) -> Piece:
        """A piece of what a file would hold, in bytes; see `outcomes.MOST_READ`."""
        return outcomes.read(self._core, case, path, _plan(plan), offset=offset, length=length)

    def seek_in_outcome(
        self, case: str, text: str, match: str = "**", plan: Given = None, *, limit: int = 100
    ) -> Hits:
        """The lines of text files that would hold a text, literally."""
        return outcomes.sought(self._core, case, text, match, _plan(plan), limit=limit)


def _plan(given: Any) -> Plan | None:
    return None if given is None else as_plan(given)
