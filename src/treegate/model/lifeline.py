"""The life of a file: followed through every run that moved it, or a folder above it, from where it came to now.

Vaults are places too: what a run keeps lies at `/{run}/{entry}`, which no path in a tree can be. So each effect is
at most two arrows: the entry that came to a path, from wherever it was (or from nowhere: it was made), and the entry
that had to leave for the vault. To follow a path through a run is to follow the innermost arrow at it or above it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from treegate.model.effects import Effect, untagged
from treegate.model.paths import split


class Arrow(NamedTuple):
    """One entry's way in one run; `source` None: it was made there."""

    source: str | None
    to: str


class Touch(NamedTuple):
    """An effect and when it was: `order` grows from run to run; `back`: it was taken back outside of any run."""

    order: int
    run: str
    effect: Effect
    back: bool = False


class Step(NamedTuple):
    """What one touch did to one file; `before` None: it came to be."""

    touch: Touch
    before: str | None
    after: str
    above: str  # the folder that took it along; "" where the touch was of the file itself


class Life(NamedTuple):
    """One file's steps in order, from `began` (where it was first known to be) to `now`.

    `lost`: what came to its place, though no run had taken it away: somebody else had, before that.
    """

    began: str
    steps: tuple[Step, ...]
    now: str
    lost: Touch | None = None

    @property
    def certain(self) -> bool:
        """Whether a run touched the file itself, and not only folders above it: then it was there."""
        return any(not step.above for step in self.steps)


Find = Callable[[str], Sequence[Touch]]
"""Every touch with an arrow from or to exactly this path, or that set something there; in order."""

_PLACED = {"made", "created", "copied", "linked"}


def arrows(touch: Touch) -> list[Arrow]:
    """The ways that a touch tells of."""
    effect, path = touch.effect, untagged(touch.effect.path)
    found = []
    if effect.vault is not None:
        old = path if effect.replaces is None else untagged(effect.replaces)
        found.append(Arrow(_place(old), f"/{touch.run}/{effect.vault}"))
    if effect.effect not in ("deleted", "set") or (effect.effect == "set" and effect.source is not None):
        found.append(Arrow(_source(effect), path))
    if touch.back:
        return [Arrow(arrow.to, arrow.source or f"/{touch.run}/undone/{effect.id}") for arrow in found]
    return found


def _source(effect: Effect) -> str | None:
    """Where the entry of an effect came from; a copy is a new one."""
    if effect.source is None or effect.effect in _PLACED or effect.by == "copy":
        return None
    return _place(untagged(effect.source))


def _place(text: str) -> str:
    """A source as a place: one in a vault stands as `vault:run_x/12`, or as `/vault:volume:run_x/12`."""
    if text.startswith(("vault:", "/vault:")):
        return "/" + text.rpartition(":")[2]
    return text


def places(touch: Touch) -> set[str]:
    """Every path under which a touch is to be found."""
    found = {untagged(touch.effect.path)}
    for arrow in arrows(touch):
        found |= {arrow.to} if arrow.source is None else {arrow.to, arrow.source}
    return found


def lives(path: str, find: Find) -> list[Life]:
    """The lives of all files that were ever at a path, in the order in which they were; those they replaced first."""
    found: dict[object, Life] = {}
    orders = sorted({touch.order for place in _upwards(path) for touch in find(place)})
    for order in [-1, *orders]:
        _add(found, path, order, find)
    return list(found.values())


def _add(found: dict[object, Life], path: str, order: int, find: Find) -> None:
    """Adds the life of what was at a path after the touches of an order.

    Where it took another's place by bringing new content, that one's life comes before it.
    """
    origin = _origin(path, order, find)
    if origin is None:
        return
    began, born = origin
    key = (began, None if born is None else born.touch.order)
    if key in found:
        return
    if born is not None and born.touch.effect.by == "replace" and not born.touch.back:
        _add(found, began, born.touch.order - 1, find)
    life = _life(began, born, find)
    if life.certain or life.lost is None:  # else it was never there
        found[key] = life


def _life(began: str, born: Step | None, find: Find) -> Life:
    """All that is known of what was at a place, from there on. In a run, entries move first, then looks are set."""
    steps = [] if born is None else [born]
    path, moment = began, -1 if born is None else 2 * born.touch.order
    while (hit := _next(path, moment, find)) is not None:
        moment, step = hit
        if isinstance(step, Touch):
            return Life(began, tuple(steps), path, step)
        steps.append(step)
        path = step.after
    return Life(began, tuple(steps), path)


def _origin(path: str, order: int, find: Find) -> tuple[str, Step | None] | None:
    """Where what is at a path after an order was first known to be, and the step by which it came to be there.

    None where nothing is: the last that is known of the path, or of a folder above it, is that it went away.
    """
    while (known := _newest(path, order, find)) is not None:
        came = next((hit for hit in known if hit.arrow.to == hit.place), None)
        if came is None or (came.touch.effect.effect == "made" and came.place != path and came.arrow.source is None):
            return None  # a folder that was just made is empty
        if came.arrow.source is None:
            return path, Step(came.touch, None, path, came.place if came.place != path else "")
        was, order = came.arrow.source + path[len(came.place) :], came.touch.order - 1
        hit = _next(was, 2 * order + 1, find)
        if hit is None or isinstance(hit[1], Touch) or hit[1].after != path:
            return None  # it left its folder by the run that took the folder here
        path = was
    return path, None


class _Hit(NamedTuple):
    touch: Touch
    arrow: Arrow
    place: str  # the path, or a folder above it


def _hits(path: str, find: Find) -> Iterator[_Hit]:
    """Every arrow from or to a path or a folder above it, the innermost first."""
    for place in _upwards(path):
        for touch in find(place):
            for arrow in arrows(touch):
                if place in arrow:
                    yield _Hit(touch, arrow, place)


def _newest(path: str, order: int, find: Find) -> list[_Hit] | None:
    """Those of the newest run up to an order."""
    hits = [hit for hit in _hits(path, find) if hit.touch.order <= order]
    newest = max((hit.touch.order for hit in hits), default=None)
    return None if newest is None else [hit for hit in hits if hit.touch.order == newest]


def _next(path: str, moment: int, find: Find) -> tuple[int, Step | Touch] | None:
    """The oldest touch after a moment that takes along what is at a path, or sets its looks.

    A bare touch is one that puts something else in its place.
    """
    found: list[tuple[int, int, Step | Touch]] = []
    for touch, arrow, place in _hits(path, find):
        if 2 * touch.order <= moment:
            continue
        if arrow.source == place:
            above = "" if place == path else place
            found.append((2 * touch.order, 0, Step(touch, path, arrow.to + path[len(place) :], above)))
        else:
            found.append((2 * touch.order, 1, touch))
    for touch in find(path):
        if 2 * touch.order + 1 > moment and not arrows(touch):
            found.append((2 * touch.order + 1, 0, Step(touch, path, path, "")))
    best = min(found, key=lambda one: one[:2], default=None)  # of equals the first, which is the innermost
    return None if best is None else (best[0], best[2])


def _upwards(path: str) -> Iterator[str]:
    """A path, and each folder above it."""
    while path and path != "/":
        yield path
        path = split(path)[0]
