"""Where the files are of steps that go straight, looked at many at a time.

What stands in the folder that files go to says where to look first: a file whose name is there is looked at there,
any other where it came from. All that is not plainly so or so is left to a closer look (engine.locate).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from itertools import compress, groupby, islice

from treegate.engine import posix
from treegate.engine.aide import Aide
from treegate.model.table import Step, between

STRETCH = 1000  # files looked at in one call
PER_NAME = 256  # bytes of a folder that are read rather than a name in it is looked for by itself
_LISTED = 200_000  # names kept at once

Opened = Callable[[int], int | None]  # a place's number -> a handle, None where it cannot be opened


class Listings:
    """What is there of the names that are sought in each of many folders.

    A folder is listed where it is not much larger than what is sought in it; in another, name by name is looked for.
    """

    def __init__(self, sought: Counter[int]) -> None:
        self._sought = sought
        self._listed: dict[int, set[bytes]] = {}

    def there(self, place: int, handle: int, names: Iterable[bytes]) -> Set[bytes]:
        """Those of these names (and others) that are in a folder."""
        listed = self._listed.get(place)
        if listed is not None:
            return listed
        if os.fstat(handle).st_size > self._sought[place] * PER_NAME:
            return {name for name in names if posix.exists(handle, name)}
        listed = set(posix.names(handle))
        if sum(map(len, self._listed.values())) + len(listed) > _LISTED:
            self._listed.clear()
        self._listed[place] = listed
        return listed


def stretches(steps: Sequence[Step], numbers: Sequence[int]) -> Iterator[tuple[list[int], list[Step]]]:
    """These of the steps, by number, in lists of which each is of one folder and into one folder."""
    rest = iter(numbers)
    for _, same in groupby(map(steps.__getitem__, numbers), between):
        while some := list(islice(same, STRETCH)):
            yield list(islice(rest, len(some))), some


class Whereabouts:
    """`arrived`: the numbers of steps whose files are at their new places; `waiting`: of those whose files are
    untouched at their old ones, while the new ones are free; `unclear`: of all others.

    Whether the old place of a file that arrived is free, `taken_again` says.
    """

    def __init__(self, steps: Sequence[Step], numbers: Sequence[int], opened: Opened, aide: Aide) -> None:
        self.arrived: list[int] = []
        self.waiting: list[int] = []
        self.unclear: list[int] = []
        self._steps = steps
        self._opened = opened
        self._aide = aide
        listings = Listings(Counter([steps[number].dst for number in numbers]))
        for some, their in stretches(steps, numbers):
            self._look(some, their, listings)

    def _look(self, numbers: list[int], steps: list[Step], listings: Listings) -> None:
        src, dst = self._opened(steps[0].src), self._opened(steps[0].dst)
        if src is None or dst is None:
            self.unclear += numbers
            return
        there = listings.there(steps[0].dst, dst, (step.dst_name for step in steps))
        come = [step.dst_name in there for step in steps]
        gone = list(compress(steps, come))
        others = self._aide.recognise_each(dst, [step.dst_name for step in gone], [step.facts for step in gone])
        self._sort(list(compress(numbers, come)), others, self.arrived)
        rest = [not has for has in come]
        still = list(compress(steps, rest))
        others = self._aide.look_each(src, [step.src_name for step in still], [step.facts for step in still])
        self._sort(list(compress(numbers, rest)), others, self.waiting)

    def _sort(self, numbers: list[int], others: list[int], plain: list[int]) -> None:
        """Add these steps to the plain ones, but for some by their place in the list."""
        if others:
            odd = {numbers[place] for place in others}
            self.unclear += sorted(odd)
            numbers = [number for number in numbers if number not in odd]
        plain += numbers

    def taken_again(self) -> Iterator[int]:
        """The steps whose files arrived, and whose old places are not free."""
        listings = Listings(Counter([self._steps[number].src for number in self.arrived]))
        for numbers, steps in stretches(self._steps, self.arrived):
            src = self._opened(steps[0].src)
            if src is not None:
                there = listings.there(steps[0].src, src, (step.src_name for step in steps))
                yield from (n for n, step in zip(numbers, steps, strict=True) if step.src_name in there)
