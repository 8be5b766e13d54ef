"""What every door says of a command: what it was to run, where it stands, what came of it."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from treegate.engine.sandbox.order import Limits
from treegate.engine.sandboxes import Sandbox
from treegate.gate import origins
from treegate.gate.core import Core
from treegate.model.actors import Action
from treegate.model.commands import State, Tool, line_of
from treegate.model.effects import Text, tagged


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was asked for; times in milliseconds since 1970, UTC."""

    id: str
    seq: int
    state: State
    author: str
    channel: str
    cases: list[Text]
    line: str  # as one would type it
    words: list[Text]
    tools: list[Tool]
    script: str | None  # of one that was dropped: its text
    engine: str
    image: str
    limits: Limits
    direct: bool
    reads: bool
    digest: str
    waiting_for: str = ""
    mine: bool = False  # whether it waits for the one who asks
    decided_by: str | None = None
    decided_at: int | None = None
    comment: str | None = None
    expires_at: int | None = None
    created_at: int
    started_at: int | None = None
    ended_at: int | None = None
    status: int | None = None
    why: str | None = None
    error: dict[str, Any] | None = None
    plan: str | None = None
    logs: list[Text] = []


def told(core: Core, found: Sandbox) -> Command:
    """A command as it is told."""
    return Command(
        id=found.id,
        seq=found.seq,
        state=found.state,
        author=found.author,
        channel=found.channel,
        cases=[tagged(case) for case in found.cases],
        line=line_of(found.command),
        words=[tagged(word) for word in found.command],
        tools=found.seen_tools,
        script=None if found.script is None else found.script.decode("utf-8", "replace"),
        engine=found.engine,
        image=found.image,
        limits=found.may_use,
        direct=found.direct,
        reads=found.reads,
        digest=found.digest,
        waiting_for=_waiting_for(core, found),
        mine=_mine(core, found),
        decided_by=found.decided_by,
        decided_at=found.decided_at,
        comment=found.comment,
        expires_at=found.expires_at,
        created_at=found.created_at,
        started_at=found.started_at,
        ended_at=found.ended_at,
        status=found.status,
        why=found.why,
        error=None if found.error is None else json.loads(found.error),
        plan=found.plan,
        logs=[tagged("/".join(place)) for place in origins.places(core, found)],
    )


def _waiting_for(core: Core, found: Sandbox) -> str:
    if found.state is not State.WAITING:
        return ""
    return "a reviewer" if core.config.policy.approval.own else f"a reviewer other than {found.author}"


def _mine(core: Core, found: Sandbox) -> bool:
    """Whether whoever asks may decide on a command that waits."""
    own = found.author == core.actor.name and not core.config.policy.approval.own
    return found.state is State.WAITING and not own and core.actor.may(Action.DECIDE, found.cases)
