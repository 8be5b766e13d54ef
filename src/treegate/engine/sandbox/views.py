"""Views: the two ways in which a command sees its cases and may change what it sees, and how each is captured."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Protocol

from treegate.engine.sandbox import mounting, view
from treegate.engine.sandbox.copy import PrivateCopy
from treegate.engine.sandbox.difference import Difference, Keeper
from treegate.engine.sandbox.order import SANDBOX_USER, Case, Limits, ViewName
from treegate.engine.sandbox.overlay import OverlayCapture
from treegate.engine.sandbox.recognition import CopyCapture
from treegate.engine.sandbox.view import Owner, Unfit


class View(Protocol):
    """The cases as a command sees them, to be changed at will."""

    name: ViewName
    user: Owner  # who the command has to be to change them as their owner could
    warnings: tuple[str, ...]  # what is to be known of them before the command begins

    def folder(self, case: Case) -> str:
        """Where a case is seen, here."""
        ...

    def capture(self, keeper: Keeper, since: int) -> Iterator[Difference]:
        """What became of the cases; `since` is when the command began, on the clock that dates changes of files."""
        ...

    def close(self) -> None:
        """Lets it go."""
        ...


class OverlayView:
    """Copy-on-write: nothing is copied before it is changed. Root's only."""

    name: ViewName = "overlay"

    def __init__(self, cases: Sequence[Case], area: str, below: str) -> None:
        """`area` is an own folder, `below` one on a filesystem that can hold what is changed; raises Unfit."""
        self.warnings: tuple[str, ...] = ()
        self._layers, self.user = view.overlays(cases, area, below)

    def folder(self, case: Case) -> str:
        """Where a case is seen, here."""
        return next(layer.seen for layer in self._layers if layer.case == case)

    def capture(self, keeper: Keeper, since: int) -> Iterator[Difference]:
        """What became of the cases."""
        for layer in self._layers:
            with contextlib.closing(OverlayCapture(layer, keeper, since)) as found:
                yield from found

    def close(self) -> None:
        """Unmounts all."""
        for layer in self._layers:
            for place in (layer.seen, layer.lower):
                mounting.unmount(place, lazily=True)


class CopyView:
    """A private copy: at most so large, and made before the command begins."""

    name: ViewName = "copy"

    def __init__(self, cases: Sequence[Case], area: str, limits: Limits) -> None:
        """`area` is an own folder with room; raises UsageError, Denied."""
        into = os.path.join(area, "copies")
        os.makedirs(into, mode=0o755, exist_ok=True)
        root = os.geteuid() == 0
        self.user = Owner(SANDBOX_USER, SANDBOX_USER) if root else Owner(os.geteuid(), os.getegid())
        self._copy = PrivateCopy(cases, into, limits.copied, owner=self.user if root else None)
        self.warnings = tuple(f"{one.path}: {one.text}" for one in self._copy.findings)

    def folder(self, case: Case) -> str:
        """Where a case is seen, here."""
        return self._copy.folder(case)

    def capture(self, keeper: Keeper, since: int) -> Iterator[Difference]:
        """What became of the cases."""
        yield from CopyCapture(self._copy, keeper)

    def close(self) -> None:
        """Gives the handles back."""
        self._copy.close()


def best(cases: Sequence[Case], wanted: str, area: str, below: str, limits: Limits) -> View:
    """The view that is wanted, or the best that can be had; raises Unfit, UsageError, Denied."""
    if wanted == "copy" or os.geteuid() != 0:
        return CopyView(cases, below, limits)
    try:
        return OverlayView(cases, area, below)
    except Unfit as error:
        if wanted == "overlay":
            raise
        found = CopyView(cases, below, limits)
        found.warnings = (f"this works on a private copy: {error}", *found.warnings)
        return found
