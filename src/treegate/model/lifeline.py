"""A file's life: the runs that moved, made or took it away, followed through every folder that carried it.

Net effects name an entry by where it was before the run and where it is after it; what lies in a folder that moved
is carried without an effect of its own. So one step of a life is settled by the entry's own effect, or else by that
of the innermost folder above it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from treegate.model import inverse, paths
from treegate.model.effects import Effect, untagged

Done = tuple[int, Effect]  # an effect, with the number of its run


class Archive(Protocol):
    """What runs did, as receipts have it."""

    def find(self, path: str) -> list[Done]:
        """The effects that speak of a path."""

    def kept(self, run: str, entry: int) -> Done | None:
        """The effect that put an entry into a run's vault."""

    def taken(self, run: int, entry: int) -> list[Done]:
        """The effects that took an entry out of a run's vault, oldest first."""


END = 1 << 62  # later than any run
_ARRIVES = frozenset({"moved", "copied", "restored", "replaced", "made", "created", "linked"})
_BORN = frozenset({"copied", "made", "created", "linked"})


class Event(NamedTuple):
    """What one run did to an entry; `before` or `after` is "" where it was not, or is no more, in the tree."""

    run: int
    effect: Effect  # its own, or that of a folder above it
    before: str
    after: str


class Life(NamedTuple):
    """The events of one entry, oldest first; `path` is where it is now, "" if it is in the tree no more."""

    events: tuple[Event, ...]
    path: str


def is_own(event: Event) -> bool:
    """Whether the effect is of the entry itself, and not of a folder above it."""
    effect = event.effect
    if event.after:
        return untagged(effect.path) == event.after
    return _kept_from(effect) == event.before


def lives(path: str, archive: Archive) -> Iterator[Life]:
    """The life of everything that was at a path, the latest occupant first."""
    told: set[tuple[int, str, str]] = set()
    for run in sorted({END, *_leavings(path, archive)}, reverse=True):
        behind = list(_backward(path, run, archive))
        ahead = list(_forward(path, run, archive)) if run != END else []
        events = (*reversed(behind), *ahead)
        marks = {(event.run, event.before, event.after) for event in events}
        if events and not marks & told:
            told |= marks
            yield Life(events, events[-1].after)


def _leavings(path: str, archive: Archive) -> set[int]:
    """The runs by which something left a path, or was replaced at it."""
    found = set()
    for run, effect in _concerning(path, archive):
        if _leaves(effect, path) is not None:
            found.add(run)
    return found


def _concerning(path: str, archive: Archive) -> Iterator[tuple[int, Effect]]:
    """The effects of a path and of all folders above it."""
    yield from archive.find(path)
    for above in _above(path):
        yield from ((run, effect) for run, effect in archive.find(above) if effect.kind == "dir")


def _leaves(effect: Effect, path: str) -> str | None:
    """Where what was at a path is after an effect, "" for the vault; None if the effect does not take it away."""
    for home in inverse.homes(effect):
        if home == path or path.startswith(home + "/"):
            if effect.vault is not None and home == _kept_from(effect):
                return ""
            return untagged(effect.path) + path[len(home) :]
    return None


def _comes(effect: Effect, path: str) -> str | None:
    """Where what is at a path after an effect was before it, "" if nowhere; None if it did not come by that."""
    to = untagged(effect.path)
    if effect.effect not in _ARRIVES or not (to == path or path.startswith(to + "/")):
        return None
    if to != path and effect.effect not in ("moved", "copied", "restored"):
        return None  # it was put into a folder that the run made by something else than the run
    if effect.effect in _BORN or inverse.kept_source(effect) is not None:
        return ""
    if effect.source is None:
        return to  # replaced where it was
    return untagged(effect.source) + path[len(to) :]


def _backward(path: str, until: int, archive: Archive) -> Iterator[Event]:
    """The events that brought an entry to where it was just before a run, newest first; also through a vault."""
    while path:
        found = _last(path, until, archive)
        if found is None:
            return
        run, effect, before = found
        yield Event(run, effect, before, path)
        source = inverse.kept_source(effect)
        kept = archive.kept(*source) if source is not None else None
        if kept is not None:
            run, before = kept[0], _kept_from(kept[1]) + path[len(untagged(effect.path)) :]
            yield Event(run, kept[1], before, "")
        path, until = before, run


def _last(path: str, until: int, archive: Archive) -> tuple[int, Effect, str] | None:
    """The newest run before another by which something came to a path and stayed: what left it since did not."""
    best: tuple[int, int, Effect, str] | None = None
    left = 0
    for run, effect in _concerning(path, archive):
        before = _comes(effect, path) if run < until else None
        if run < until and _leaves(effect, path) is not None:
            left = max(left, run)
        depth = len(untagged(effect.path))
        if before is not None and (best is None or (run, depth) > best[:2]):
            best = (run, depth, effect, before)
    return None if best is None or left > best[0] else (best[0], best[2], best[3])


def _forward(path: str, since: int, archive: Archive) -> Iterator[Event]:
    """The events from a run on that took an entry on from where it was before it, oldest first."""
    came = since
    while path:
        found = _next(path, since, archive)
        if found is None or _came_between(path, came, found[0], archive):
            return
        run, effect, after = found
        yield Event(run, effect, path, after)
        taken = archive.taken(run, effect.vault) if not after and effect.vault is not None else []
        if taken:
            inside = path[len(_kept_from(effect)) :]
            run, after = taken[0][0], untagged(taken[0][1].path) + inside
            yield Event(run, taken[0][1], "", after)
        path, since, came = after, run + 1, run


def _came_between(path: str, after: int, before: int, archive: Archive) -> bool:
    """Whether something else came to a path between two runs: then what was thought to be there never was."""
    last = _last(path, before, archive)
    return last is not None and last[0] > after


def _next(path: str, since: int, archive: Archive) -> tuple[int, Effect, str] | None:
    """The oldest run from another on by which what is at a path leaves it."""
    best: tuple[int, int, Effect, str] | None = None
    for run, effect in _concerning(path, archive):
        after = _leaves(effect, path) if run >= since else None
        depth = max((len(home) for home in inverse.homes(effect)), default=0)
        if after is not None and (best is None or (run, -depth) < (best[0], -best[1])):
            best = (run, depth, effect, after)
    return None if best is None else (best[0], best[2], best[3])


def _kept_from(effect: Effect) -> str:
    """Where what an effect put into the vault was."""
    return untagged(effect.replaces if effect.replaces is not None else effect.path)


def _above(path: str) -> Iterator[str]:
    while path := paths.split(path)[0]:
        yield path
