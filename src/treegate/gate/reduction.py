"""Reduction: what remains of a previewed plan once some effects are left out, with all that depends on them.

Serves a run that leaves alone what is stale, and a reviewer who leaves out what was not to be. What remains becomes
a plan of its own, is simulated and sealed on the tree as it is, and holds only if each of its effects is one of those
previewed: nothing comes in by leaving something out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from treegate.engine.store.records import StoredPlan
from treegate.gate import origins, plans
from treegate.gate.core import Core
from treegate.model import inverse
from treegate.model.effects import Effect, untagged
from treegate.model.operations import Operation
from treegate.model.plan import Plan
from treegate.model.preview import Preview
from treegate.model.seal import About, Sealed
from treegate.model.table import Staged


class Unclear(Exception):
    """It cannot be told what depends on what is left out, or nothing remains."""


class Remains(NamedTuple):
    """What remains: as a plan, sealed, and its effects both as they were previewed and as they are now."""

    plan: Plan
    sealed: Sealed
    effects: list[tuple[Effect, Effect]]


def _as_written(operation: Operation, effect: Effect) -> Operation:
    return operation


class Reduction:
    """The work of one reduction; `left` says of each effect that is left out (by id) why."""

    def __init__(
        self,
        core: Core,
        plan: StoredPlan,
        staged: list[Staged],
        head: dict[str, Any],
        reword: Callable[[Operation, Effect], Operation] = _as_written,
    ) -> None:
        self.effects = list(plans.effects_of(core, plan))
        self.left: dict[str, str] = {}
        self.ground = inverse.Ground(self.effects)
        self._core = core
        self._plan = plan
        self._staged = staged
        self._head = head
        self._reword = reword
        self._by_id = {effect.id: effect for effect in self.effects}

    def remains(self) -> Remains:
        """What remains, once all that depends on what is left out is left out too; raises Unclear."""
        while True:
            self._drop_dependents()
            rest = [effect for effect in self.effects if effect.id not in self.left]
            if not rest:
                raise Unclear
            found = self._sealed(rest)
            if found is not None:
                return found

    def _drop_dependents(self) -> None:
        """What lies in a folder that does not come now, and folders that were only to hold what is left out."""
        stays = {
            untagged(effect.path)
            for effect in self.effects
            if effect.id in self.left and effect.kind == "dir" and effect.effect not in ("deleted", "set")
        }
        for effect in self.effects:
            under = next((above for above in _above(untagged(effect.path)) if above in stays), None)
            if under is not None and effect.effect != "deleted":
                self.left.setdefault(effect.id, f"the folder {under!r} is left as it is")
        for effect in self.effects:
            if effect.implied and self.ground.only_holds(effect, self.left.keys()):
                self.left.setdefault(effect.id, "nothing is put into it")

    def _sealed(self, rest: list[Effect]) -> Remains | None:
        """The rest sealed on the tree as it is; None if more has to be left out."""
        written = list(inverse.written(inverse.changes_of(rest)))
        plan = Plan.of([self._reworded(*pair) for pair in written], **self._head)
        lines: list[bytes] = []
        found = plans.previewed(self._core, plan, self._about(), lines.extend)
        blamed = self._blamed_for(found.preview, [change for _, change in written])
        effects = {inverse.likeness(one): one for one in (msgspec.json.decode(line, type=Effect) for line in lines)}
        if found.rows is not None:
            blamed = self._not_as_previewed(rest, effects, list(found.rows.staged))
        self.left = {**blamed, **self.left}
        if blamed:
            return None
        return Remains(plan, found, [(effect, effects[inverse.likeness(effect)]) for effect in rest])

    def _about(self) -> About:
        plan = self._plan
        return About(
            self._core.workspace.id,
            plan.id,
            plan.revision,
            plan.author,
            plan.undo_of or "",
            origins.found(self._core, plan.id),
        )

    def _reworded(self, operation: Operation, change: inverse.Change) -> Operation:
        return self._reword(operation, self._by_id[change.effect]) if change.effect in self._by_id else operation

    def _blamed_for(self, preview: Preview, changes: list[inverse.Change]) -> dict[str, str]:
        """The effects that an error keeps from being made alone."""
        blamed: dict[str, str] = {}
        for problem in preview.problems:
            if problem.severity == "error":
                if problem.operation is None:
                    raise Unclear
                blamed.setdefault(changes[problem.operation - 1].effect, problem.message)
        return blamed

    def _not_as_previewed(
        self, rest: list[Effect], effects: dict[Effect, Effect], staged: list[Staged]
    ) -> dict[str, str]:
        """The effects that would not be what was previewed, or that would take something else along."""
        why = "it depends on something that is left as it is"
        wanted = {inverse.likeness(effect): effect for effect in rest}
        blamed = {effect.id: why for said, effect in wanted.items() if said not in effects}
        for said in effects.keys() - wanted.keys():
            path = untagged(said.path)
            blamed |= {e.id: why for e in rest if untagged(e.path) == path or path in _above(untagged(e.path))}
            if not blamed:
                raise Unclear
        was, now = _Copies(self._staged), _Copies(staged)
        for said, effect in wanted.items():
            copied = effect.effect == "copied" and effect.kind == "dir" and said in effects
            if copied and was.inside(effect.entry) != now.inside(effects[said].entry):
                blamed[effect.id] = why
        return blamed


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


class _Copies:
    """What is in new folders, as it will be built."""

    def __init__(self, staged: list[Staged]) -> None:
        self._inside: dict[int, list[Staged]] = {}
        for row in staged:
            self._inside.setdefault(row.parent, []).append(row)

    def inside(self, number: int, path: bytes = b"") -> list[tuple[object, ...]]:
        """All that a new folder holds, at any depth."""
        found: list[tuple[object, ...]] = []
        for row in self._inside.get(number, ()):
            below = path + b"/" + row.name
            found.append((below, row.kind, row.blob, row.source_facts, row.target, row.mode, row.mtime))
            found += self.inside(row.number, below)
        return found
