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
        self._tops = {f"{case.name}/{name}" for case in cases for name in case.hidden if name != paths.RESERVED}

    def why(self, difference: Entry | Gone | Still) -> Finding | None:
        """Why one is; None for what a plan may do."""
        if own := self.own(difference.path):
            return findings.reserved(own)
        if not isinstance(difference, Entry):
            return None
        if difference.home != difference.path and (own := self.own(difference.home) or self.own(difference.copied)):
            return findings.reserved(own)
        if difference.kind is Kind.LINK and difference.target and paths.leads_out(difference.path, difference.target):
            return findings.outside(difference.path)
        return None

    def own(self, path: str) -> str:
        """The name of treegate's own that a path leads into; "" for none."""
        if self._tops and (top := "/".join(path.split("/", 2)[:2])) in self._tops:
            return top
        if paths.RESERVED not in path:  # as nearly all
            return ""
        at = f"{path}/".find(_RESERVED)
        return path[: at + len(_RESERVED) - 1] if at >= 0 else ""
