"""Decisions: what reviewers said of a plan, with what each word is about, for its author to go by."""

from __future__ import annotations

import msgspec

from treegate.engine.store.records import Verdict
from treegate.gate.core import Core
from treegate.gate.deciding import Pin, pins_of
from treegate.model.actors import Action


class DecisionMade(msgspec.Struct, frozen=True, kw_only=True):
    """One decision; `at` in milliseconds since 1970, UTC. It counts only for the `digest` that it names."""

    reviewer: str
    verdict: Verdict
    comment: str
    revision: int
    digest: str
    at: int
    pins: list[Pin] = []


def decisions(core: Core, prefix: str) -> list[DecisionMade]:
    """The decisions on all revisions of a plan, oldest first."""
    plan = core.find_plan(prefix)
    core.actor.require(Action.READ, plan.cases)
    return [
        DecisionMade(
            reviewer=one.reviewer,
            verdict=one.verdict,
            comment=one.comment,
            revision=one.revision,
            digest=one.digest,
            at=one.at,
            pins=pins_of(one),
        )
        for one in core.store.decisions(plan.id)
    ]
