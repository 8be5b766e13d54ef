"""Comparing: a plan's revisions with each other, and what was approved with what the tree would make of it now."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import msgspec

from treegate.engine import tablefile
from treegate.engine.store.records import StoredPlan, StoredPreview
from treegate.engine.unhurried import unhurried_gc
from treegate.errors import NotFound, TreegateError
from treegate.gate import freshness, origins, plans
from treegate.gate.core import Core
from treegate.gate.spool import Spool, spooled
from treegate.model.actors import Action
from treegate.model.difference import Difference, Effects, difference
from treegate.model.effects import Effect, Text, tagged
from treegate.model.lifecycle import AS_PREVIEWED, UNFINISHED
from treegate.model.plan import Plan
from treegate.model.preview import Preview
from treegate.model.problems import Problem
from treegate.model.seal import About

MOST_MOVED_ON = 200  # fingerprints that do not hold, of which a comparison tells


class MovedOn(msgspec.Struct, frozen=True):
    """An entry that is no longer as it was previewed, and what is different about it."""

    path: Text
    text: str


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two previews compared."""

    label: str  # "revision 1", "what was approved", "now"
    digest: str
    summary: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """How one preview of a plan differs from another; `same` says that their digest is one."""

    id: str
    before: Side
    after: Side
    same: bool
    effects: Difference
    problems: list[Problem]  # that were not there before
    mended: list[Problem]  # that are no longer there
    moved_on: list[MovedOn]  # entries of the tree that changed between the two
    moved_on_count: int


def revisions(core: Core, prefix: str, before: int, after: int | None = None) -> Comparison:
    """How a revision (else the newest) differs from an earlier one."""
    plan = core.find_plan(prefix)
    core.actor.require(Action.READ, plan.cases)
    newest = plan.revision if after is None else after
    return stored(core, plan, _previewed(core, plan, before), _previewed(core, plan, newest))


def since_approved(core: Core, prefix: str) -> Comparison:
    """How what was approved (else what is stored) differs from what the newest revision would do now."""
    plan = plans.settled(core, core.find_plan(prefix))
    core.actor.require(Action.READ, plan.cases)
    approved = core.store.approved_preview(plan.id)
    old = approved or _previewed(core, plan, plan.revision)
    label = f"revision {old.revision} as {'approved' if approved is not None else 'previewed'}"
    document = Plan.decode(core.store.document(plan.id, plan.revision))
    author = core.store.revisions(plan.id)[-1].author
    about = About(core.workspace.id, plan.id, plan.revision, author, plan.undo_of or "", origins.found(core, plan.id))
    with plans.looking(core, document), spooled(core) as spool, unhurried_gc():
        now = plans.previewed(core, document, about, spool.keep).preview
        return _comparison(
            plan,
            _side(core, label, old),
            ("now", now),
            partial(plans.effects_in, core, old),
            partial(_spooled, spool),
            _moved_on(core, old),
        )


def stored_since_approved(core: Core, prefix: str) -> Comparison | None:
    """How the newest stored preview differs from the one that was approved; None where none was, or it is that."""
    plan = core.find_plan(prefix)
    core.actor.require(Action.READ, plan.cases)
    approved, newest = core.store.approved_preview(plan.id), core.store.preview(plan.id)
    if approved is None or newest is None or approved.seq == newest.seq:
        return None
    return _comparison(
        plan,
        _side(core, f"revision {approved.revision} as approved", approved),
        _side(core, f"revision {newest.revision}", newest),
        partial(plans.effects_in, core, approved),
        partial(plans.effects_in, core, newest),
        _moved_on(core, approved),
    )


def stored(core: Core, plan: StoredPlan, old: StoredPreview, new: StoredPreview) -> Comparison:
    """How one stored preview of a plan differs from another."""
    return _comparison(
        plan,
        _side(core, f"revision {old.revision}", old),
        _side(core, f"revision {new.revision}", new),
        partial(plans.effects_in, core, old),
        partial(plans.effects_in, core, new),
        [],
    )


def moved_on(core: Core, prefix: str) -> list[MovedOn]:
    """What of the newest preview's fingerprints does not hold in the tree as it is now."""
    plan = core.find_plan(prefix)
    core.actor.require(Action.READ, plan.cases)
    newest = core.store.preview(plan.id)
    return [] if newest is None or plan.state not in AS_PREVIEWED - UNFINISHED else _moved_on(core, newest)


def _previewed(core: Core, plan: StoredPlan, revision: int) -> StoredPreview:
    found = core.store.preview(plan.id, revision)
    if found is None:
        raise NotFound(
            f"plan {plan.id} has no preview of a revision {revision}; its newest is {plan.revision}",
            code="revision-not-found",
            hint="name another revision",
            next=f"treegate show {plan.id}",
        )
    return found


def _side(core: Core, label: str, stored: StoredPreview) -> tuple[str, Preview]:
    return label, plans.model_in(core, stored)


def _comparison(
    plan: StoredPlan,
    before: tuple[str, Preview],
    after: tuple[str, Preview],
    was: Effects,
    now: Effects,
    moved_on: list[MovedOn],
) -> Comparison:
    (old_label, old), (new_label, new) = before, after
    told = {(found.code, found.message) for found in old.problems}
    tells = {(found.code, found.message) for found in new.problems}
    return Comparison(
        id=plan.id,
        before=Side(label=old_label, digest=old.digest, summary=old.summary),
        after=Side(label=new_label, digest=new.digest, summary=new.summary),
        same=old.digest == new.digest,
        effects=difference(was, now),
        problems=[found for found in new.problems if (found.code, found.message) not in told],
        mended=[found for found in old.problems if (found.code, found.message) not in tells],
        moved_on=moved_on[:MOST_MOVED_ON],
        moved_on_count=len(moved_on),
    )


def _spooled(spool: Spool) -> Iterator[Effect]:
    for chunk in spool.chunks():
        yield from msgspec.json.decode(chunk, type=list[Effect])


def _moved_on(core: Core, stored: StoredPreview) -> list[MovedOn]:
    """What of a preview's fingerprints does not hold; nothing is told where its step table is gone."""
    try:
        table = tablefile.read(core.table_path(stored.table_digest), stored.table_digest)
        return [MovedOn(tagged(found.path), found.text) for found in freshness.findings(core, table)]
    except (TreegateError, OSError):
        return []
