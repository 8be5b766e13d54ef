"""Python that stands in for the native part: for tests that put something between its calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from treegate.engine import native, posix

PARTS = ("rename_each", "look_each", "recognise_each", "packed")


def in_python(put: Callable[[object, str, object], None] = setattr) -> None:
    """Leaves the native part aside; `put` is monkeypatch's `setattr` where it is to come back."""
    for name in PARTS:
        put(native, name, None)
    put(posix, "_packed", posix._looked)
    put(posix, "rename_each", one_by_one)


def one_by_one(
    src_fd: int, names: Sequence[bytes], dst_fd: int, others: Sequence[bytes]
) -> tuple[int, OSError | None]:
    """`posix.rename_each` by `posix.rename`, as that is when it is called."""
    for made, (name, other) in enumerate(zip(names, others, strict=True)):
        try:
            posix.rename(src_fd, name, dst_fd, other)
        except OSError as error:
            return made, error
    return len(names), None
