"""Reviewing over the wire: what a preview itself does not carry, and whoever decides on it wants to see."""

from __future__ import annotations

from treegate.client.base import Far
from treegate.client.wire import segment
from treegate.gate.comparing import Comparison, MovedOn
from treegate.gate.overlapping import Overlap
from treegate.gate.surveying import Destination, FolderSurvey
from treegate.gate.survivors import Survivors
from treegate.gate.terms import Terms
from treegate.model.effects import Effect


class Reviewing(Far):
    """Reviewing over the wire: what a preview itself does not carry, and whoever decides on it wants to see."""

    def folders(self, plan: str) -> FolderSurvey:
        """The folders whose entries a plan changes, with how many each holds before and after."""
        return self._wire.get(f"/plans/{segment(plan)}/folders", FolderSurvey)

    def destination(self, plan: str, path: str) -> Destination:
        """What becomes of the entry that is at a path now."""
        return self._wire.get(f"/plans/{segment(plan)}/destination", Destination, query={"path": path})

    def sample(self, plan: str) -> list[Effect]:
        """Effects drawn by chance, always the same for one reviewer and digest."""
        return self._wire.get(f"/plans/{segment(plan)}/sample", list[Effect], member="effects")

    def overlaps(self, plan: str) -> list[Overlap]:
        """The other plans that wait and touch what this one touches."""
        return self._wire.get(f"/plans/{segment(plan)}/overlaps", list[Overlap], member="overlaps")

    def survivors(self, plan: str) -> Survivors:
        """Whether what a plan deletes is still there afterwards, as an identical copy."""
        return self._wire.get(f"/plans/{segment(plan)}/survivors", Survivors)

    def moved_on(self, plan: str) -> list[MovedOn]:
        """What of a preview's fingerprints does not hold in the tree as it is now."""
        return self._wire.get(f"/plans/{segment(plan)}/moved-on", list[MovedOn], member="moved_on")

    def since_seen(self, plan: str) -> Comparison | None:
        """How the newest preview differs from the one that the actor saw last."""
        return self._wire.get(f"/plans/{segment(plan)}/since-seen", Comparison | None, member="comparison")

    def note_seen(self, plan: str, digest: str) -> None:
        """Notes that the actor has seen what a digest names."""
        self._wire.post(f"/plans/{segment(plan)}/seen", dict[str, str], {"digest": digest})

    def terms(self) -> Terms:
        """What holds for everybody here: how it is decided, and how long things are kept."""
        return self._wire.get("/policy", Terms)

    def asks_to_type(self, deleted_files: int) -> bool:
        """Whether an approval on the pages has to bring the number of files that go away."""
        return deleted_files > self.terms().typed_deletes

    def undoable_until(self) -> int | None:
        """Until when what is carried out now can be undone; None is without end."""
        terms = self.terms()
        return None if terms.keep is None else terms.now + terms.keep
