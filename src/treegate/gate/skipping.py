"""What a plan with `on_stale: "skip"` leaves alone: settled by a first look, before the approvals are used up.

The effects whose entries changed are dropped, with all that depends on them. What remains becomes a plan of its own,
is simulated and sealed on the tree as it is, and is carried out only if each of its effects was approved. A second
look with the approved fingerprints comes after the seal, so that what changes in between is not taken for approved.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from treegate.engine import tablefile
from treegate.engine.prepass import Finding
from treegate.engine.receipts import Line
from treegate.engine.store.records import Run, StoredPlan
from treegate.engine.tablefile import Table
from treegate.engine.workspace import replace_file
from treegate.errors import NotVerified, TreegateError
from treegate.gate import freshness, plans
from treegate.gate.core import Core
from treegate.gate.reduction import Reduction, Remains, Unclear
from treegate.model import inverse
from treegate.model.document import UNREADABLE
from treegate.model.effects import Effect, untagged
from treegate.model.lifecycle import State
from treegate.model.preview import Counts
from treegate.model.table import Staged

NOTED = 20  # entries left alone that the receipt names


class Left(msgspec.Struct, frozen=True):
    """An approved effect that is left alone, and why."""

    effect: Effect
    why: str


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    """What a run does of its plan: the effects as its own table numbers them, and those that it leaves alone."""

    counts: Counts
    effects: list[Effect]
    left: list[Left]


def reduced(core: Core, plan: StoredPlan) -> str:
    """The digest of the step table that leaves alone what is stale; "" where the plan's own table is to be used.

    That is so where nothing is stale, and where too much is: the run's own look then says so.
    """
    stored = core.store.preview(plan.id)
    if plan.state is not State.APPROVED or stored is None or plans.model_of(core, plan).on_stale != "skip":
        return ""
    table = tablefile.read(core.table_path(stored.table_digest), stored.table_digest)
    try:
        return _Skipping(core, plan, table).digest()
    except (Unclear, OSError):
        return ""


def _path(core: Core, table_digest: str) -> Path:
    return core.state / "previews" / f"{table_digest}.rest"


_BACKUP = "put the file back from a backup of the state directory"


def rest_of(core: Core, run: Run) -> Rest | None:
    """What a run does of its plan, where it leaves something alone."""
    path = _path(core, run.table_digest)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Rest)
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        raise NotVerified(f"{path.name} is damaged: {error}", code="table-damaged", hint=_BACKUP) from None


def left_lines(rest: Rest | None) -> Iterator[bytes]:
    """The lines of a receipt for what was left alone."""
    for left in rest.left if rest is not None else ():
        yield msgspec.json.encode(Line(left.effect, result="left"), order="sorted")


def notes(rest: Rest | None) -> Iterator[str]:
    """What the receipt says of entries that were left alone."""
    left = rest.left if rest is not None else []
    for one in left[:NOTED]:
        own = untagged(one.effect.source if one.effect.source is not None else one.effect.path)
        yield f"left alone: {_named(one.effect)}: {one.why.removeprefix(own + ' ')}"
    if len(left) > NOTED:
        yield f"left alone: {len(left) - NOTED:,} more"


def _named(effect: Effect) -> str:
    """An effect that did not come to be, by where its entry still is."""
    path = untagged(effect.path)
    if effect.effect == "moved" and effect.source is not None:
        return f"{untagged(effect.source)!r} (not moved to {path!r})"
    return f"{path!r} (not {effect.effect})"


class _Skipping:
    """The work of one first look."""

    def __init__(self, core: Core, plan: StoredPlan, table: Table) -> None:
        self._core = core
        self._table = table
        self._reduction = Reduction(core, plan, table.staged, {"title": "What is not stale"})
        self._blame = _Blame(self._reduction.effects, self._reduction.ground, table)

    def digest(self) -> str:
        """Writes the table of what remains; its digest, or "" where nothing is stale."""
        if not self._look():
            return ""
        while True:
            found = self._reduction.remains()
            if not self._look():
                return self._keep(found)

    def _look(self) -> bool:
        """Looks at all fingerprints; whether something is stale that was not known to be."""
        left = self._reduction.left
        before = len(left)
        try:
            found = freshness.findings(self._core, self._table)
        except TreegateError:
            raise Unclear from None
        for finding in found:
            blamed = self._blame.of(finding)
            if not blamed:
                raise Unclear
            for id in blamed:
                left.setdefault(id, f"{finding.path} {finding.text}")
        return len(left) > before

    def _keep(self, found: Remains) -> str:
        """Keeps the table, and beside it what it does and does not do; durable before the run begins."""
        digest = plans.kept_table(self._core, found.sealed.rows)
        own = [
            msgspec.structs.replace(was, entry=new.entry, vault=new.vault, files=new.files, size=new.size)
            for was, new in found.effects
        ]
        why = self._reduction.left
        left = [Left(effect, why[effect.id]) for effect in self._reduction.effects if effect.id in why]
        kept = Rest(counts=found.sealed.preview.counts, effects=own, left=left)
        replace_file(_path(self._core, digest), msgspec.json.encode(kept))
        return digest


class _Blame:
    """Which effects a finding of the look concerns."""

    def __init__(self, effects: list[Effect], ground: inverse.Ground, table: Table) -> None:
        self._effects = effects
        self._tops = _tops(table.staged)
        self._by_number = {effect.entry: effect.id for effect in effects}
        self._by_number |= {effect.vault: effect.id for effect in effects if effect.vault is not None}
        self._ground = ground
        self._by_home: dict[str, list[str]] = {}
        for effect in effects:
            sources = [untagged(effect.source)] if effect.source is not None else []
            for home in {*inverse.homes(effect), *sources}:
                self._by_home.setdefault(home, []).append(effect.id)

    def of(self, finding: Finding) -> list[str]:
        """The ids of the effects; none if that cannot be told."""
        if not finding.name:
            return self._around(finding.path)
        number = self._tops.get(finding.entry, finding.entry)
        found = list(self._by_home.get(finding.path, ()))
        if number in self._by_number:
            found.append(self._by_number[number])
        return found

    def _around(self, folder: str) -> list[str]:
        """The effects that take something out of a folder or put something into it."""
        inside = folder + "/"
        now = self._ground.now(inside)
        return [
            effect.id
            for effect in self._effects
            if untagged(effect.path).startswith(now) or any(home.startswith(inside) for home in inverse.homes(effect))
        ]


def _tops(staged: list[Staged]) -> dict[int, int]:
    """For each entry that is built in a new folder, the outermost of these folders."""
    tops: dict[int, int] = {}
    for row in staged:
        tops[row.number] = tops.get(row.parent, row.number)
    return tops
