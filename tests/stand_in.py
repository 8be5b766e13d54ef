"""Python that stands in for the native part: for tests that put something between its calls."""

from __future__ import annotations

from collections.abc import Callable

from treegate.engine import native, posix

PARTS = ("rename_each", "look_each", "recognise_each", "packed")


def in_python(put: Callable[[object, str, object], None] = setattr) -> None:
    """Leaves the native part aside; `put` is monkeypatch's `setattr` where it is to come back."""
    for name in PARTS:
        put(native, name, None)
    put(posix, "_packed", posix._looked)
