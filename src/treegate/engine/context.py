"""What one run needs to know of its surroundings, and what it tells afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from treegate.engine import posix
from treegate.engine.aide import ALONE, Aide
from treegate.engine.contents import OpenBlob, sha256
from treegate.engine.journal import Entry
from treegate.engine.places import OpenRoot, Places, volume_of
from treegate.engine.tablefile import Table
from treegate.model.capabilities import Capabilities
from treegate.model.tree import Totals

APPLIED, ROLLED_BACK, NOTHING = "applied", "rolled-back", "nothing-happened"


def _never() -> bool:
    return False


def _silent(done: int, total: int) -> None:
    """Progress that nobody watches."""


def _at_once(steps: int, stop: Callable[[], None]) -> None:
    """Steps that nothing holds up."""


@dataclass(frozen=True)
class RunContext:
    """One run of one table; the caller holds the locks of its cases.

    `open_root` opens the folder that a root key of the table names, for this run; the run's areas (new, park,
    vault) exist durably by then. `totals` counts and digests what a folder's handle holds (engine.scan).
    `cancelled` is asked between batches; `progress` is told (steps made, steps there are); `pace` holds a batch up;
    `aide` does what it can beside it.
    """

    run: str
    directory: Path  # state/runs/{run}
    table: Table
    open_root: OpenRoot
    blob: OpenBlob
    totals: Callable[[int], Totals]
    volumes: Mapping[str, Capabilities] = field(default_factory=dict)
    batch: int = 5000
    cancelled: Callable[[], bool] = _never
    progress: Callable[[int, int], None] = _silent
    pace: Callable[[int, Callable[[], None]], None] = _at_once
    sha256: Callable[[int, bytes], str] = sha256
    aide: Aide = ALONE

    @property
    def lasting(self) -> bool:
        """Whether inode numbers last on every mount of the run, so that looking tells how far it came."""
        return all(caps.stable_inodes for caps in self.volumes.values())

    @property
    def stride(self) -> int:
        """Steps that are announced at once: one by one where looking alone does not tell how far a run came."""
        return self.batch if self.lasting else 1

    def caps(self, key: bytes) -> Capabilities:
        """What the mount under a root key promises."""
        return self.volumes.get(volume_of(key, self.table.header.volumes)) or Capabilities()

    @contextmanager
    def places(self) -> Iterator[Places]:
        """The table's places as before the run, handles given back at the end."""
        places = Places(self.table.places, self.open_root)
        for number, key in places.roots().items():
            caps = self.caps(key)
            if not caps.stable_inodes:
                places.unstable.add(number)
            if not (caps.stable_inodes or caps.directory_rename):
                places.piecemeal.add(number)
            if posix.renamer(caps) is posix.rename_linked:
                places.linked.add(number)
                places.doubling.add(number)
            if caps.folds_case or caps.folds_unicode:
                places.folding.add(number)
        try:
            yield places
        finally:
            places.close()


class Result(NamedTuple):
    """How a run ended: "applied", "rolled-back" or "nothing-happened"; what was built, by number; `seconds` from
    entry to durable end; `steps` made (of an applied run: all)."""

    outcome: str
    reason: Exception | None
    built: dict[int, Entry]
    seconds: float
    steps: int
