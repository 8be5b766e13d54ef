"""Browsing over the wire: the cases, and what their folders hold."""

from __future__ import annotations

from treegate.client.base import Far
from treegate.client.wire import segment
from treegate.gate.files import Case, Files


class Browsing(Far):
    """Browsing over the wire: the cases, and what their folders hold."""

    def cases(self) -> list[Case]:
        """The cases that the actor sees, with what waits there."""
        return self._wire.get("/cases", list[Case], member="cases")

    def files(self, case: str, prefix: str = "", *, cursor: str = "", limit: int = 100, raw: bool = False) -> Files:
        """What a folder of a case holds, in byte order, paged; with `raw`, paths are percent-encoded bytes."""
        query = {"prefix": prefix, "cursor": cursor, "limit": limit, "raw": str(raw).lower()}
        return self._wire.get(f"/cases/{segment(case)}/files", Files, query=query)
