"""What a reviewer has seen of a plan: the preview that they looked at last, so that they are told what is new."""

from __future__ import annotations

from treegate.engine import looks
from treegate.gate import comparing, plans
from treegate.gate.comparing import Comparison
from treegate.gate.core import Core
from treegate.gate.surveying import seen


def since_seen(core: Core, prefix: str) -> Comparison | None:
    """How the newest preview differs from the one that the actor saw last; None where they saw none, or that one.

    The first look is noted by itself; later ones by `note_seen`, so that what is new stays told until it is read.
    """
    plan, stored = seen(core, prefix)
    before = looks.last(core.store, core.actor.name, plan.id)
    if before is None:
        note_seen(core, prefix, stored.digest)
    old = None if before in (None, stored.seq) else core.store.preview_of(before)
    return None if old is None else comparing.stored(core, plan, old, stored)


def note_seen(core: Core, prefix: str, digest: str) -> None:
    """Notes that the actor has seen the newest preview, if that is the one that the digest names."""
    plan, stored = seen(core, prefix)
    plans.full_digest(plan, digest)
    with core.store.write() as transaction:
        looks.note(transaction, core.actor.name, plan.id, stored.seq, core.clock())
