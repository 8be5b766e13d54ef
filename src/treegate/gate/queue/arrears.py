"""Arrears: what there is to say of dropped plans, written a moment later, and once for all that happened by then.

A dropped plan that lies in `pending/` says by that itself that something may be owed: whoever works next looks at it.
So what is put off is never forgotten, whoever is killed. Of every other plan all is written at once, as ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from treegate.engine.dropbox import PENDING
from treegate.engine.store import Touched
from treegate.gate import projections
from treegate.gate.core import Core
from treegate.gate.queue.folder import dropbox


def put_off(core: Core) -> set[str]:
    """From now on, nothing is written here of a dropped plan that lies in `pending/`; the plans, as they come.

    Somebody has to call `write_up` for them.
    """
    every: set[str] = set()
    core.store.told = partial(_note, core, every)
    return every


def _note(core: Core, every: set[str], touched: Touched) -> None:
    box = dropbox(core)
    owed = {id for id in touched.plans | touched.beside if box.lies(PENDING, id)}
    every |= owed
    plans = touched.plans - owed
    runs = {id for id in touched.runs if (run := core.store.known_run(id)) is None or run.plan not in owed}
    projections.note(core, Touched(plans, runs, touched.left, touched.beside - owed))


def write_up(core: Core, ids: Iterable[str]) -> None:
    """Writes what is owed of some plans; nothing of those that are not in `pending/` any more."""
    box = dropbox(core)
    with core.store.at_hand():
        projections.bring_all(core, [id for id in ids if box.lies(PENDING, id)])
