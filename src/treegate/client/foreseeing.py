"""Foreseeing over the wire: the tree of a case as it is, or as a plan would leave it."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from treegate.client.base import Far, as_document
from treegate.client.wire import segment
from treegate.gate.outcomes import Entries, Hits, Info, Piece
from treegate.model.effects import tagged
from treegate.model.plan import Plan

T = TypeVar("T")
Given = Plan | bytes | str | None


class Foreseeing(Far):
    """Foreseeing over the wire: the tree of a case as it is, or as a plan would leave it."""

    def list_outcome(
        self, case: str, folder: str = "", plan: Given = None, *, cursor: str = "", limit: int = 100
    ) -> Entries:
        """What a folder would hold, in byte order, paged."""
        return self._outcome(case, "list", Entries, plan, folder=tagged(folder), cursor=cursor, limit=limit)

    def find_in_outcome(
        self, case: str, match: str = "**", plan: Given = None, *, cursor: str = "", limit: int = 100
    ) -> Entries:
        """What a glob (as in the `match` of a plan) would mean, paged."""
        return self._outcome(case, "find", Entries, plan, match=match, cursor=cursor, limit=limit)

    def outcome_info(self, case: str, path: str, plan: Given = None) -> Info:
        """All about one entry as it would be."""
        return self._outcome(case, "info", Info, plan, path=tagged(path))

    def read_outcome(
        self, case: str, path: str, plan: Given = None, *, offset: int = 0, length: int = 1 << 16
    ) -> Piece:
        """A piece of what a file would hold, in bytes."""
        return self._outcome(case, "read", Piece, plan, path=tagged(path), offset=offset, length=length)

    def seek_in_outcome(
        self, case: str, text: str, match: str = "**", plan: Given = None, *, limit: int = 100
    ) -> Hits:
        """The lines of text files that would hold a text, literally."""
        return self._outcome(case, "seek", Hits, plan, text=text, match=match, limit=limit)

    def _outcome(self, case: str, what: str, kind: type[T], plan: Given, **asked: Any) -> T:
        body = msgspec.json.encode(asked)
        if plan is not None:
            body = body[:-1] + b',"plan":' + as_document(plan) + b"}"
        found: T = self._wire.post(f"/cases/{segment(case)}/outcome/{what}", kind, body, once=True)
        return found
