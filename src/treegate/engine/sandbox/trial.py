"""A trial of what a view is made of: `python -m treegate.engine.sandbox.trial AREA CASE`, a process of its own.

It makes, in a mount namespace that ends with it, what a runner would make for a command on this case, and says of
each part why it cannot be had, or nothing. The case is only looked at.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress

import msgspec

from treegate.engine import handles, mounts, posix
from treegate.engine.sandbox import idmap, mounting, scratch, view
from treegate.engine.sandbox.opened import Opened
from treegate.engine.sandbox.order import SANDBOX_USER, Case, Limits
from treegate.engine.sandbox.view import Unfit

_LIMITS = Limits(written=8 << 20, entries=1000)
_OPTIONS = frozenset(("redirect_dir=on", "metacopy=on"))
_LOOKED_AT = 200  # entries of the case, among which a file is looked for


class Found(msgspec.Struct, kw_only=True):
    """Why something cannot be had here, in words; "" where it can."""

    namespace: str = ""  # mounts of its own
    scratch: str = ""  # a filesystem of limited size for what a command writes
    overlay: str = ""  # an overlay that tells of renames
    owners: str = ""  # the case with another owner
    case: str = ""  # an overlay on the case
    opened: str = ""  # being told of what is opened


def find(area: str, case: str) -> Found:
    """Tries one part after the other, as far as it goes."""
    found = Found()
    found.namespace = _why(_leave)
    if found.namespace:
        return found
    below = os.path.join(area, "fs")
    os.mkdir(below, 0o700)
    found.scratch = _why(lambda: scratch.make(below, _LIMITS))
    if found.scratch:
        return found
    found.overlay = _why(lambda: view.rehearse(below))
    if found.overlay:
        return found
    found.owners = _why(lambda: _swap_owners(case, os.path.join(area, "owned")))
    seen: list[view.Layer] = []
    found.case = _why(lambda: seen.extend(_look_through(case, area, below)))
    if seen:
        found.opened = _why(lambda: Opened(seen[0].seen, "/case").close())
    return found


def _why(trial: Callable[[], None]) -> str:
    try:
        trial()
    except Unfit as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _leave() -> None:
    mounting.unshare(mounting.NEW_MOUNTS)
    mounting.make_private()


def _swap_owners(case: str, target: str) -> None:
    os.mkdir(target)
    idmap.mount_swapped(case, target, (SANDBOX_USER, SANDBOX_USER))
    mounting.unmount(target)


def _look_through(case: str, area: str, below: str) -> list[view.Layer]:
    layers, _ = view.overlays([Case(name="case", folder=case)], area, below)
    kept = next((mount.options for mount in mounts.mounted() if mount.point == layers[0].seen), frozenset())
    if dropped := sorted(_OPTIONS - kept):
        raise Unfit(f"the kernel has dropped options of the overlay: {', '.join(dropped)}")
    _read(layers[0].seen)
    return layers


def _read(folder: str) -> None:
    """Opens a file, for some filesystems can be mounted and listed and then refuse that; raises OSError."""
    with handles.closing(handles.open_root(folder)) as top:
        for name, _ in zip(posix.names(top), range(_LOOKED_AT), strict=False):
            with suppress(FileNotFoundError):
                if stat.S_ISREG(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
                    with handles.closing(handles.open_file(top, name)) as file:
                        os.read(file, 1)
                    return


if __name__ == "__main__":
    print(msgspec.json.encode(find(*sys.argv[1:])).decode())
