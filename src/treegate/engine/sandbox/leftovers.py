"""What a sandbox leaves behind whose runner was killed, and how that goes: mounts, containers, volumes, files.

Each runner holds a lock on its area, its own folder, while it lives; whoever gets that lock may clear it away. Areas
lie two levels below the folder of all sandboxes. Containers are noted there before they are made, so that nobody has
to ask Docker where there is nothing to ask for. Nothing is removed through a mount: behind it may be a case.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from treegate.engine import handles, mounts
from treegate.engine.clearing import clear_tree
from treegate.engine.sandbox import cgroups, mounting
from treegate.engine.sandbox.docker import SANDBOX_LABEL, STATE_LABEL
from treegate.errors import TreegateError

_MOMENT, _PAUSE = 3.0, 0.01  # seconds
HELPED = "helped"  # in the state directory: the folder of all that a helper had run
LOCK, NOTES = "lock", "docker"  # in an area; in the folder of all: a file for each sandbox that has containers


@contextlib.contextmanager
def held(area: str) -> Iterator[None]:
    """Shows that an area is in use, until the block or the process ends; raises BlockingIOError if it is already."""
    fd = os.open(os.path.join(area, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with handles.closing(fd):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def note(area: str, sandbox: str) -> str:
    """Notes that containers of a sandbox are about to be made; the note goes once they certainly are gone."""
    notes = os.path.join(above(area), NOTES)
    os.makedirs(notes, mode=0o700, exist_ok=True)
    path = os.path.join(notes, sandbox)
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(os.path.realpath(area))
    return path


def above(area: str) -> str:
    """The folder of all sandboxes, by one of its areas."""
    return os.path.dirname(os.path.dirname(os.path.realpath(area)))


def sweep(folder: str) -> list[str]:
    """Clears away what dead runners left below the folder of all sandboxes; what it removed, in words.

    May be called at any time, by any number of processes: what a living runner holds is left alone. Raises OSError.
    """
    if not os.path.isdir(folder):
        return []
    noted, mounted = _notes(folder), _mounted_below(folder)  # looked at before the locks: nothing newer is touched
    done = [f"control group {name}" for name in cgroups.sweep()]
    alive = set()
    for area in _areas(folder):
        try:
            with held(area):
                done += _cleared(area)
        except BlockingIOError:
            alive.add(area)
    done += _unmounted(point for point in mounted if not _within(point, alive))
    return done + _contained(folder, [sandbox for sandbox, area in noted if area not in alive])


def clear(area: str) -> None:
    """Clears one area away whose runner has ended; fine if there is none, or one that lives on. Raises OSError.

    What a runner has forked outlives it by a moment, and holds what it held.
    """
    until = time.monotonic() + _MOMENT
    while os.path.isdir(area):
        try:
            with held(area):
                _cleared(area)
        except BlockingIOError:
            if time.monotonic() > until:
                return
            time.sleep(_PAUSE)


def _cleared(area: str) -> list[str]:
    """Unmounts all in an area, and removes it."""
    done = _unmounted(_mounted_below(area))
    above, name = os.path.split(area)
    with handles.closing(handles.open_root(above)) as folder:
        clear_tree(folder, os.fsencode(name))
    return [*done, f"folder {area}"]


def _mounted_below(folder: str) -> list[str]:
    """Mount points below a folder, the last one first."""
    return mounts.inside(folder)[::-1]


def _unmounted(points: Iterator[str] | list[str]) -> list[str]:
    done = []
    for point in points:
        with contextlib.suppress(OSError):  # somebody else was there first; what stays is found next time
            mounting.unmount(point, lazily=True)
            done.append(f"mount {point}")
    return done


def _contained(folder: str, sandboxes: list[str]) -> list[str]:
    """Removes containers and volumes of sandboxes; where no daemon answers, the next sweep tries again."""
    if not sandboxes:
        return []
    from treegate.engine.sandbox import daemon

    done = []
    with contextlib.suppress(TreegateError), daemon.connect() as docker:
        for sandbox in sandboxes:
            done += docker.clear({SANDBOX_LABEL: sandbox, STATE_LABEL: os.path.realpath(folder)})
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, NOTES, sandbox))
    return done


def _notes(folder: str) -> list[tuple[str, str]]:
    """Sandboxes that have or had containers, and the area of each."""
    found = []
    for path in _entries(os.path.join(folder, NOTES)):
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8", errors="surrogateescape") as file:
            found.append((os.path.basename(path), file.read()))
    return found


def _areas(folder: str) -> Iterator[str]:
    """The areas that some runner has, or had."""
    top = os.path.realpath(folder)
    for one in _folders(top):
        for area in _folders(one):
            if os.path.exists(os.path.join(area, LOCK)):
                yield area


def _folders(folder: str) -> list[str]:
    return [path for path in _entries(folder) if os.path.isdir(path) and not os.path.islink(path)]


def _entries(folder: str) -> list[str]:
    with contextlib.suppress(FileNotFoundError, PermissionError):
        return sorted(os.path.join(folder, name) for name in os.listdir(folder))
    return []


def _within(path: str, areas: set[str]) -> bool:
    return any(path.startswith(f"{area}/") for area in areas)
