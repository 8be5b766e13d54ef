"""The native part, where it is installed: what a run does for each of very many files, done for many in one call.

`treegate_native` (the folder `native/`) is optional, and without it the same is done in Python: `many.rename_each`,
`many.look_each`, `many.recognise_each` and `posix.packed` say what. TREEGATE_NATIVE=0 leaves it aside.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from types import ModuleType

Move = tuple[int, bytes, int, bytes, int]  # from folder and name, to folder and name; the inode that is to arrive
Look = tuple[int, bytes, bytes]  # folder, name and the packed facts that are to hold


def _found() -> ModuleType | None:
    if os.environ.get("TREEGATE_NATIVE") != "0":
        with contextlib.suppress(ImportError):
            import treegate_native

            module: ModuleType = treegate_native
            return module
    return None


_module = _found()
rename_each: Callable[[Sequence[Move]], tuple[int, int]] | None = getattr(_module, "rename_each", None)
look_each: Callable[[Sequence[Look]], list[int]] | None = getattr(_module, "look_each", None)
recognise_each: Callable[[Sequence[Look]], list[int]] | None = getattr(_module, "recognise_each", None)
packed: Callable[[int, bytes], bytes] | None = getattr(_module, "packed", None)
