"""The crews: who does which work, so that what people wait for never waits behind what takes long.

Previews have workers of their own, looks have, and so has what changes files: the hands. Commands in sandboxes, which
may take minutes, have theirs; each of these keeps a runner ready for the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from treegate.interfaces.crew.crew import Crew, changes
from treegate.model.actors import Actor

# What simulates a plan or scans a whole case; all else is a look at what is stored or at a few files.
LONG = frozenset(
    {
        *("check", "submit", "revise", "refresh", "reduce", "reduction", "explain", "explain_document"),
        *("undo", "restore", "worksheet", "write_moves", "since_approved", "diff"),
        *("list_outcome", "find_in_outcome", "outcome_info", "read_outcome", "seek_in_outcome"),
        *("doctor", "fsck", "prune", "verify_audit", "look_out"),
    }
)


class Crews:
    """All workers but the scribe, and the door to them: a call goes to those whose work it is."""

    def __init__(self, root: Path, environ: Mapping[str, str], patience: float, commands: int) -> None:
        """`commands` is how many of them run at a time."""
        self._previews = Crew(root, environ, patience=patience, each=1)
        self._looks = Crew(root, environ, patience=patience)
        self.hands = Crew(root, environ)
        self.sandboxes = Crew(root, environ, commands, first="keep_ready")

    def by_name(self) -> dict[str, Crew]:
        """Each crew, by what it does."""
        return {"previews": self._previews, "looks": self._looks, "runs": self.hands, "sandboxes": self.sandboxes}

    async def call(self, actor: Actor, method: str, *args: Any, **named: Any) -> Any:
        """What `Gate.method` answers; its errors are raised here as they were there."""
        return await self._whose(method, named).call(actor, method, *args, **named)

    def _whose(self, method: str, named: Mapping[str, Any]) -> Crew:
        if changes(method, named):
            return self.hands
        return self._previews if method in LONG else self._looks

    def warm(self) -> None:
        """Starts the workers that somebody will wait for."""
        for crew in (self._previews, self._looks):
            crew.warm()

    def end(self) -> None:
        """Told to end now: runs are taken back; previews and looks, of which nothing is lost, are dropped."""
        self.hands.cancel()
        self.sandboxes.cancel()
        for crew in (self._previews, self._looks):
            crew.dismiss()

    def close(self) -> None:
        """Lets the workers end what they do, then lets them go."""
        for crew in self.by_name().values():
            crew.close()
