"""Reviewing: what a preview itself does not carry, and whoever decides on it wants to see."""

from __future__ import annotations

from collections.abc import Iterable

from treegate.engine.store.records import StoredPlan
from treegate.gate import comparing, deciding, looking, overlapping, seeing, surveying, survivors
from treegate.gate.comparing import Comparison, MovedOn
from treegate.gate.face.base import Face
from treegate.gate.overlapping import Overlap
from treegate.gate.surveying import Destination, FolderSurvey
from treegate.gate.survivors import Survivors
from treegate.model.effects import Effect


class Reviewing(Face):
    """Reviewing: what a preview itself does not carry, and whoever decides on it wants to see."""

    def folders(self, plan: str) -> FolderSurvey:
        """The folders whose entries a plan changes, with how many each holds before and after."""
        return surveying.folders(self._core, plan)

    def destination(self, plan: str, path: str) -> Destination:
        """What becomes of the entry that is at a path now."""
        return surveying.destination(self._core, plan, path)

    def sample(self, plan: str) -> list[Effect]:
        """Effects drawn by chance, always the same for one reviewer and digest."""
        return surveying.sample(self._core, plan)

    def excerpts(self, plan: str, effects: Iterable[str]) -> dict[str, str]:
        """The first lines of those files of some effects that are texts."""
        return looking.excerpts(self._core, plan, effects)

    def overlaps(self, plan: str) -> list[Overlap]:
        """The other plans that wait and touch what this one touches."""
        return overlapping.overlaps(self._core, plan)

    def survivors(self, plan: str) -> Survivors:
        """Whether what a plan deletes is still there afterwards, as an identical copy."""
        return survivors.survivors(self._core, plan)

    def moved_on(self, plan: str) -> list[MovedOn]:
        """What of a preview's fingerprints does not hold in the tree as it is now."""
        return comparing.moved_on(self._core, plan)

    def since_seen(self, plan: str) -> Comparison | None:
        """How the newest preview differs from the one that the actor saw last."""
        return seeing.since_seen(self._core, plan)

    def note_seen(self, plan: str, digest: str) -> None:
        """Notes that the actor has seen what a digest names."""
        seeing.note_seen(self._core, plan, digest)

    def asks_to_type(self, deleted_files: int) -> bool:
        """Whether an approval on the pages has to bring the number of files that go away."""
        return deciding.asks_to_type(self._core, deleted_files)

    def is_own(self, plan: StoredPlan) -> bool:
        """Whether it is the actor's own plan, which somebody else has to approve."""
        return deciding.is_own(self._core, plan)

    def undoable_until(self) -> int | None:
        """Until when what is carried out now can be undone; None is without end."""
        keep = self._core.config.vault.keep
        return None if keep is None else self._core.clock() + keep
