"""Notifying: what others are told, how far each has been told, and what is wrong."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager

from treegate.engine import outbox
from treegate.engine.alerts import Alert
from treegate.engine.locks import file_lock
from treegate.engine.outbox import Post
from treegate.gate import naming, replays
from treegate.gate.face.base import Face
from treegate.gate.notifying import lookout, notices
from treegate.gate.notifying.notices import Due
from treegate.model.actors import Actor
from treegate.model.notification import About


class Notifying(Face):
    """Notifying: what others are told, how far each has been told, and what is wrong."""

    def crier(self) -> AbstractContextManager[None]:
        """Held by the one process that tells others; raises Busy where there is one."""
        return file_lock(self._core.state / "locks" / "crier", wait=0)

    def next_for(self, sink: str, kinds: Collection[str]) -> Due | None:
        """What a sink is to be told next; None where it knows all."""
        return notices.next_for(self._core, sink, kinds)

    def trying(self, sink: str, seq: int) -> None:
        """Notes, before it is begun, that a sink is told something."""
        notices.trying(self._core, sink, seq)

    def told(self, sink: str, seq: int, post: Post | None = None) -> None:
        """Notes that a sink was told something, and the message that speaks of its plan from now on."""
        notices.told(self._core, sink, seq, post)

    def not_told(self, sink: str, error: str, *, known: bool) -> None:
        """Notes that a sink could not be told; `known` where nothing can have arrived."""
        notices.failed(self._core, sink, error, known=known)

    def post_of(self, sink: str, plan: str) -> Post | None:
        """The message of a sink that speaks of a plan."""
        return outbox.post(self._core.store, sink, plan)

    def about(self, plan: str) -> About:
        """What is told of a plan as it stands now."""
        return notices.about(self._core, self._core.find_plan(plan))

    def look_out(self, *, verify: bool | None = None) -> list[Alert]:
        """Raises and clears alerts as things are now; what is wrong. `verify`: the audit log, too; None: when due."""
        return lookout.look(self._core, verify=verify)

    def of_slack(self, user: str) -> Actor:
        """Who a user of Slack is here; raises Denied for somebody whom nobody has named."""
        return naming.of_slack(self._core, user)

    def first_time(self, signature: str, patience: float | None = None) -> bool:
        """Whether a signed request comes for the first time; `patience` in seconds, then Busy."""
        return replays.first(self._core, signature, patience)
