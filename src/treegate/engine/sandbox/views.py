"""Views: the two ways in which a command sees its cases and may change what it sees, and how each is captured."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Protocol

from treegate.engine import mounts
from treegate.engine.sandbox import mounting, multilinks, view
from treegate.engine.sandbox.copy import PrivateCopy, has_mount
from treegate.engine.sandbox.difference import Difference, Keeper
from treegate.engine.sandbox.opened import Opened
from treegate.engine.sandbox.order import SANDBOX_USER, Case, Limits, ViewName
from treegate.engine.sandbox.overlay import OverlayCapture
from treegate.engine.sandbox.pump import Watched
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

    def watched(self) -> Sequence[Watched]:
        """What is to be taken from while the command runs."""
        ...

    def capture(self, keeper: Keeper, since: int, *, reads: bool = False) -> Iterator[Difference]:
        """What became of the cases; `since` is when the command began, on the clock that dates changes of files.

        With `reads`, what others changed since of what the command only read is told, too.
        """
        ...

    def close(self) -> None:
        """Lets it go."""
        ...


class OverlayView:
    """Copy-on-write: nothing is copied before it is changed. Root's only."""

    name: ViewName = "overlay"

    def __init__(self, cases: Sequence[Case], area: str, below: str) -> None:
        """`area` is an own folder, `below` one on a filesystem that can hold what is changed; raises Unfit."""
        self._layers, self.user = view.overlays(cases, area, below)
        self.warnings = tuple(text for case in cases for text in multilinks.warnings(case))
        if (longest := view.longest_rename()) < view.LONG_ENOUGH:
            self.warnings += (f"what has a path of more than {longest} bytes cannot be renamed here, only copied",)
        self._opened = [_opened(layer.seen, inside(layer.case, cases)) for layer in self._layers]

    def watched(self) -> list[Opened]:
        """What is to be taken from while the command runs."""
        return [opened for opened in self._opened if opened is not None]

    def folder(self, case: Case) -> str:
        """Where a case is seen, here."""
        return next(layer.seen for layer in self._layers if layer.case == case)

    def capture(self, keeper: Keeper, since: int, *, reads: bool = False) -> Iterator[Difference]:
        """What became of the cases; raises Unfit where `reads` count and not all are known."""
        for layer, opened in zip(self._layers, self._opened, strict=True):
            if reads and (opened is None or not opened.complete):
                raise Unfit("the kernel has not told of all that the command opened, so what it read cannot be asked")
            paths = frozenset(opened.paths) if opened is not None else frozenset()
            with contextlib.closing(OverlayCapture(layer, keeper, since, paths, reads=reads)) as found:
                yield from found

    def close(self) -> None:
        """Unmounts all."""
        for opened in self.watched():
            opened.close()
        for layer in self._layers:
            for place in (layer.seen, layer.lower):
                mounting.unmount(place, lazily=True)


class CopyView:
    """A private copy: at most so large, and made before the command begins."""

    name: ViewName = "copy"

    def __init__(self, cases: Sequence[Case], area: str, limits: Limits, *, reads: bool = False) -> None:
        """`area` is an own folder with room; raises UsageError, Denied, and Unfit where `reads` cannot be told."""
        into = os.path.join(area, "copies")
        os.makedirs(into, mode=0o755, exist_ok=True)
        root = os.geteuid() == 0
        self.user = Owner(SANDBOX_USER, SANDBOX_USER) if root else Owner(os.geteuid(), os.getegid())
        self._copy = PrivateCopy(cases, into, limits.copied, owner=self.user if root else None)
        self.warnings = tuple(f"{one.path}: {one.text}" for one in self._copy.findings)
        if reads:
            self._refuse_reads()

    def folder(self, case: Case) -> str:
        """Where a case is seen, here."""
        return self._copy.folder(case)

    def watched(self) -> tuple[Opened, ...]:
        """Nothing."""
        return ()

    def capture(self, keeper: Keeper, since: int, *, reads: bool = False) -> Iterator[Difference]:
        """What became of the cases; raises Unfit where `reads` count and are not known."""
        if reads:
            self._refuse_reads()
        yield from CopyCapture(self._copy, keeper, reads=reads)

    def _refuse_reads(self) -> None:
        if not self._copy.tells_reads:
            raise Unfit("the filesystem of a private copy does not date what is read here, so reads cannot count")

    def close(self) -> None:
        """Gives the handles back."""
        self._copy.close()


def inside(case: Case, cases: Sequence[Case]) -> str:
    """Where a command sees one of its cases."""
    return "/case" if len(cases) == 1 else f"/cases/{case.name}"


def _opened(seen: str, inside: str) -> Opened | None:
    try:
        return Opened(seen, inside)
    except OSError:
        return None


def _refuse_mounts(case: Case) -> None:
    """Raises UsageError "case-has-mount" where something is mounted inside a case."""
    for point in mounts.inside(case.folder):
        raise has_mount(os.fsencode(f"{case.name}/{os.path.relpath(point, os.path.realpath(case.folder))}"))


def best(cases: Sequence[Case], wanted: str, area: str, below: str, limits: Limits, *, reads: bool) -> View:
    """The view that is wanted, or the best that can be had; raises Unfit, UsageError, Denied."""
    for case in cases:
        _refuse_mounts(case)
    if wanted == "copy" or os.geteuid() != 0:
        return CopyView(cases, below, limits, reads=reads)
    try:
        return OverlayView(cases, area, below)
    except Unfit as error:
        if wanted == "overlay":
            raise
        found = CopyView(cases, below, limits, reads=reads)
        found.warnings = (f"this works on a private copy: {error}", *found.warnings)
        return found
