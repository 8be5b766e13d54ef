"""Left out: what a command made that no plan may make, so that the rest of what it did can be decided on."""

from __future__ import annotations

from collections.abc import Sequence

from treegate.engine.sandbox import findings
from treegate.engine.sandbox.order import Case, Finding
from treegate.model import paths
from treegate.model.capture import Entry, Gone, Still
from treegate.model.tree import Kind

_RESERVED = f"/{paths.RESERVED}/"


class LeftOut:
    """Which differences are left out, for some cases."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._own = {f"{case.name}/{name}" for case in cases for name in case.hidden}

    def why(self, difference: Entry | Gone | Still) -> Finding | None:
        """Why one is; None for what a plan may do."""
        own = self.own(difference.path)
        if own:
            return findings.reserved(own)
        if isinstance(difference, Entry):
            taken = next(filter(None, map(self.own, (difference.home, difference.copied))), "")
            if taken:
                return findings.taken(taken)
        link = isinstance(difference, Entry) and difference.kind is Kind.LINK and difference.target
        return findings.outside(difference.path) if link and paths.leads_out(difference.path, link) else None

    def own(self, path: str) -> str:
        """The name of treegate's own that a path leads into; "" for none."""
        top = "/".join(path.split("/", 2)[:2])
        if top in self._own:
            return top
        at = f"{path}/".find(_RESERVED)
        return path[: at + len(_RESERVED) - 1] if at >= 0 else ""
