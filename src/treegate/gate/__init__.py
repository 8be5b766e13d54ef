"""The one application object: what every door does, it does through a `Gate`.

The rules are in the modules beside this one; `Gate` gives them one face.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from treegate.gate import opening
from treegate.gate.core import Core
from treegate.gate.ending import Applied
from treegate.gate.face.browsing import Browsing
from treegate.gate.face.deciding import Deciding
from treegate.gate.face.foreseeing import Foreseeing
from treegate.gate.face.keeping import Keeping
from treegate.gate.face.notifying import Notifying
from treegate.gate.face.proposing import Proposing
from treegate.gate.face.queueing import Queueing
from treegate.gate.face.reviewing import Reviewing
from treegate.gate.face.running import Running
from treegate.gate.face.sandboxing import Sandboxing
from treegate.gate.face.tending import Tending
from treegate.gate.plans import Shown, Submitted
from treegate.gate.undoing import Undo
from treegate.model.actors import Actor

__all__ = ["Applied", "Gate", "Shown", "Submitted", "Undo"]


class Gate(
    Browsing, Foreseeing, Proposing, Reviewing, Deciding, Running, Sandboxing, Queueing, Notifying, Keeping, Tending
):
    """An open workspace, as one actor. Times are in milliseconds since 1970, UTC; errors are of treegate.errors."""

    @classmethod
    def init(
        cls,
        root: Path | str,
        *,
        single: bool = False,
        solo: bool = False,
        agent_user: str = "",
        environ: Mapping[str, str] = os.environ,
    ) -> Gate:
        """Makes a folder a workspace; touches no file in it."""
        return cls(opening.init(Path(root), environ, single=single, solo=solo, agent_user=agent_user))

    @classmethod
    def open(cls, root: Path | str, environ: Mapping[str, str] = os.environ) -> Gate:
        """Opens a workspace, as whoever TREEGATE_TOKEN names or as the OS user."""
        return cls(opening.open_workspace(Path(root), environ))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the database."""
        self._core.store.close()

    @property
    def root(self) -> Path:
        """The workspace's folder."""
        return self._core.workspace.root

    @property
    def state(self) -> Path:
        """The state directory."""
        return self._core.state

    @property
    def actor(self) -> Actor:
        """Who acts through this gate."""
        return self._core.actor

    def acting_as(self, actor: Actor) -> Gate:
        """The same open workspace, as somebody else."""
        return Gate(self._core.acting_as(actor))

    @property
    def core(self) -> Core:
        """What the gate's own modules work on."""
        return self._core

    def watch(self, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> None:
        """Says who is told of a run's progress (steps made, steps there are), and who may ask it to stop."""
        self._core.progress, self._core.cancelled = progress, cancelled
