"""Notifications: what somebody elsewhere is told of, whatever the door at which it happened."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec


class Kind(StrEnum):
    """What a notification is about."""

    PLAN_WAITING = "plan.waiting"  # somebody has to decide
    PLAN_DECIDED = "plan.decided"  # somebody did
    PLAN_CHANGED = "plan.changed"  # it was revised, withdrawn, is stale or has expired
    COMMAND_WAITING = "command.waiting"  # somebody has to let it run
    RUN_ENDED = "run.ended"  # applied, rolled back, in need of recovery, undone, or not even begun
    ALERT_RAISED = "alert.raised"
    ALERT_CLEARED = "alert.cleared"
    GATE_PAUSED = "gate.paused"
    GATE_RESUMED = "gate.resumed"


KINDS: Mapping[str, Kind] = {
    "previewed": Kind.PLAN_WAITING,
    "approve": Kind.PLAN_DECIDED,
    "reject": Kind.PLAN_DECIDED,
    "request-changes": Kind.PLAN_DECIDED,
    "revoke": Kind.PLAN_DECIDED,
    "revised": Kind.PLAN_CHANGED,
    "reduced": Kind.PLAN_CHANGED,
    "withdraw": Kind.PLAN_CHANGED,
    "go-stale": Kind.PLAN_CHANGED,
    "expire": Kind.PLAN_CHANGED,
    "sandbox-asked": Kind.COMMAND_WAITING,
    "run-ended": Kind.RUN_ENDED,
    "run-failed": Kind.RUN_ENDED,
    "undone": Kind.RUN_ENDED,
    "alert-raised": Kind.ALERT_RAISED,
    "alert-cleared": Kind.ALERT_CLEARED,
    "paused": Kind.GATE_PAUSED,
    "resumed": Kind.GATE_RESUMED,
}
"""The events of the audit log that are told, and as what."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """The plan that a notification is about, as it stands when it is sent; what is older has been told before."""

    id: str
    title: str
    cases: tuple[str, ...]
    author: str
    state: str
    revision: int
    digest: str | None
    preview: int  # 0 for none
    summary: str
    by_page: bool  # it is approved on its page alone, where the number of files that go away is typed
    standing: str  # what became of it, and whose turn it is, in a sentence


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened; `at` in milliseconds since 1970, UTC. `seq` is its row in the audit log."""

    seq: int
    at: int
    kind: Kind
    event: str
    actor: str
    channel: str
    workspace: str
    text: str  # all of it in a sentence, without markup
    grave: bool  # somebody has to see to it
    plan: About | None = None
    run: str = ""
    data: dict[str, Any] = {}  # what the audit log says of it
    link: str = ""  # where to look, below the service's address

    @property
    def key(self) -> str:
        """What makes it this one, among all that were ever sent."""
        return f"{self.workspace}-{self.seq}"
