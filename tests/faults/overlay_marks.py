"""The marks of an overlay's upper layer as a decoder: attributes by which a capture may not be led astray."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from fuzzing import Differs, Opened

from treegate.engine.sandbox.order import Case
from treegate.engine.sandbox.overlay import OverlayCapture
from treegate.engine.sandbox.view import Layer

_REDIRECT, _OPAQUE = "trusted.overlay.redirect", "trusted.overlay.opaque"
_ORIGIN, _METACOPY = "trusted.overlay.origin", "trusted.overlay.metacopy"
_LONGEST = 60_000  # bytes of a mark


class _Nothing:
    """A keeper of contents that keeps none."""

    def keep(self, fd: int) -> tuple[str, int]:
        return "0" * 64, os.fstat(fd).st_size


def may_be_set(folder: Path) -> bool:
    """Whether such marks can be made here: that takes root, and a filesystem that has them."""
    try:
        os.setxattr(folder, _OPAQUE, b"x")
    except OSError:
        return False
    os.removexattr(folder, _OPAQUE)
    return True


def opened(folder: Path) -> Opened:
    """A case and its upper layer, in which every mark is set to what is fed; nothing outside the case is told of."""
    lower, upper = folder / "lower", folder / "upper"
    (lower / "old/deep").mkdir(parents=True)
    (lower / "old/deep/file").write_text("content\n")
    (lower / "file").write_text("content\n")
    (folder / "secret").write_text("nobody may see this\n")
    (upper / "moved/inner").mkdir(parents=True)
    for name in ("meta", "copied"):
        (upper / name).write_text("content\n")
    os.setxattr(upper / "meta", _METACOPY, b"")
    layer = Layer(Case(name="Smith", folder=str(lower)), str(lower), str(upper), str(upper))

    def feed(data: bytes) -> str:
        mark = data[:_LONGEST]
        for name, at in ((_REDIRECT, "moved"), (_REDIRECT, "meta"), (_ORIGIN, "copied"), (_OPAQUE, "moved/inner")):
            os.setxattr(upper / at, name, mark)
        with contextlib.closing(OverlayCapture(layer, _Nothing(), 0)) as capture:
            found = list(capture)
        if any(".." in str(part).split("/") for one in found for part in one if isinstance(part, str)):
            raise Differs("something outside the case is told of")
        return "told"

    return Opened([b"/old/deep", b"file", b"y", b"/file", b"old"], feed)
