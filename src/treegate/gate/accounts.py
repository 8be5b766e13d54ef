"""The account of a run: what it did, what it kept and what it took out of vaults, and the receipt that says so."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from itertools import chain

import msgspec

from treegate.engine import receipts
from treegate.engine.aide import Aide
from treegate.engine.context import Result
from treegate.engine.store.records import Kept, Run, StoredPlan, standing
from treegate.engine.tablefile import Table
from treegate.engine.wire import MakeLines
from treegate.gate import intact, latecomers, plans, skipping
from treegate.gate.core import Core
from treegate.model import inverse
from treegate.model.daily import Share
from treegate.model.effects import Effect, untagged
from treegate.model.lifecycle import State
from treegate.model.paths import split
from treegate.model.preview import Counts
from treegate.model.retention import BACKUP
from treegate.model.table import ROOT, Place
from treegate.model.tree import Kind, unpack

LINES = "lines"  # what an aide is asked for by
_some_effects = msgspec.json.Decoder(list[Effect]).decode


class Account:
    """What one run of a plan did, told for its receipt, its vault and the store."""

    def __init__(self, core: Core, plan: StoredPlan, run: Run, table: Table) -> None:
        self._core = core
        self._table = table
        self._plan = plan
        self._run = run
        self._preview = plans.model_of(core, plan)
        self._rest = skipping.rest_of(core, run)
        self._of_folders: list[bytes] = []  # the chunks of effects that speak of folders, found as lines are made

    @property
    def counts(self) -> Counts:
        """What the run did, in numbers: all that the plan's preview says, or what remains of it."""
        return self._preview.counts if self._rest is None else self._rest.counts

    def effects(self) -> Iterator[Effect]:
        """What the run did, in display order."""
        return plans.effects_of(self._core, self._plan) if self._rest is None else iter(self._rest.effects)

    def _among_folders(self) -> Iterator[Effect]:
        """The effects that are of folders, and some others: what plainly speaks of none is not decoded."""
        if self._rest is not None:
            return iter(self._rest.effects)
        return (effect for chunk in self._of_folders for effect in _some_effects(chunk))

    @cached_property
    def kept(self) -> list[Kept]:
        """What the run put into the vault: deleted entries, files that were replaced, backups."""
        now, keep = self._core.clock(), self._core.config.vault.keep
        until = None if keep is None else now + keep
        going = list(self._going())
        replaced = any(effect.effect == "replaced" for effect, _ in going)
        facts = intact.facts_after(self._table, {}) if replaced else {}
        gone = [_kept(self._run, effect, number, now, until, facts.get(number)) for effect, number in going]
        return [*gone, *self._backups(now, until)]

    def _backups(self, now: int, until: int | None) -> Iterator[Kept]:
        """The copies that the run made of what it moved, each under the path that the file had."""
        places = {place.number: place for place in self._table.places}
        for row in self._table.backups():
            assert row.source is not None
            path = os.fsdecode(_path_before(places, row.source))
            yield Kept(
                run=self._run.id,
                entry=row.number,
                case=path.partition("/")[0],
                path=path,
                kind=BACKUP,
                files=1,
                size=unpack(row.source_facts).size,
                kept_at=now,
                until=until,
            )

    def taken(self) -> list[Share]:
        """What the run took away, by case: it counts for its author's day. Undoing is limited by nothing."""
        found: dict[str, Share] = {}
        for effect, _ in self._going() if self._run.undo_of is None else ():
            case = untagged(effect.path).partition("/")[0]
            was, gone = found.get(case) or Share(case=case), effect.effect == "deleted"
            found[case] = Share(
                case=case,
                deletes=was.deletes + (effect.files if gone else 0),
                delete_bytes=was.delete_bytes + (effect.size if gone else 0),
                replacements=was.replacements + (not gone),
            )
        return list(found.values())

    def _going(self) -> Iterator[tuple[Effect, int]]:
        """The effects that put something into the vault, with its number there."""
        for effect in self._foremost():
            if effect.vault is not None:
                yield effect, effect.vault

    def _foremost(self) -> Iterable[Effect]:
        """Those effects among which all deletions and replacements are: they come first in a preview."""
        if self._rest is not None:
            return self._rest.effects
        count = self.counts.deleted + self.counts.replaced
        return plans.effects_of(self._core, self._plan, 0, count) if count else ()

    def restored(self) -> dict[str, list[int]]:
        """What the run took out of vaults, by the run that had put it there."""
        found: dict[str, list[int]] = {}
        counts = self._preview.counts
        if counts.restored or counts.replaced:  # what comes out of a vault may also take another's place
            for effect in self.effects():
                source = inverse.kept_source(effect)
                if source is not None:
                    found.setdefault(source[0], []).append(source[1])
        return found

    def order_lines(self, aide: Aide) -> None:
        """Has an aide write the receipt's lines, where they follow from the preview alone."""
        counts = self.counts
        if self._rest is None and counts.effects == counts.moved:
            chunks = partial(plans.packed_chunks_of, self._core, self._plan)
            aide.order(LINES, MakeLines(), [self._core.state / "receipts"], chunks)

    def write_lines(self, result: Result, aide: Aide) -> tuple[int, str]:
        """Writes the receipt's lines, durably, which comes before `receipt`: how many, and their digest."""
        path = self._core.state / "receipts" / f"{self._run.id}.lines"
        for made in aide.files(LINES):
            if made is not None:
                return receipts.write_lines(path, made)
        held = intact.held(self._core, self._run, self._table, self.kept)
        lines = self._lines(result, held)
        return receipts.write_lines(path, (line + b"\n" for line in chain(lines, skipping.left_lines(self._rest))))

    def _lines(self, result: Result, held: Mapping[int, str]) -> Iterator[bytes]:
        """The lines of what was done: as they were previewed, but for what only the run could tell of them."""
        hashes = {number: built.sha256 for number, built in result.built.items() if built.sha256}
        facts = intact.facts_of_built(self._table, result.built)
        if self._rest is not None:
            yield from receipts.lines(self._rest.effects, facts, hashes, held)
            return
        self._of_folders.clear()
        for chunk in plans.chunks_of(self._core, self._plan):
            if receipts.OF_FOLDERS in chunk:
                self._of_folders.append(chunk)
            moves = receipts.moves_as_lines(chunk)
            if moves is not None:
                yield moves
            else:
                yield from receipts.lines(_some_effects(chunk), facts, hashes, held)

    def receipt(self, seconds: float, lines: int, lines_digest: str, sums: dict[str, str]) -> receipts.Receipt:
        """The receipt, unsigned; `sums` are those of the rollback scripts (engine.vault.write)."""
        core, plan, run, preview = self._core, self._plan, self._run, self._preview
        approvals = standing(core.store.decisions_on(run.preview))
        return receipts.Receipt(
            workspace=core.workspace.id,
            run=run.id,
            plan=plan.id,
            revision=run.revision,
            plan_digest=preview.plan_digest,
            digest=run.digest,
            table_digest=run.table_digest,
            title=preview.title,
            reason=preview.reason,
            cases=preview.cases,
            author=plan.author,
            approved_by=[receipts.Approval(d.reviewer, d.at, d.channel, d.comment) for d in approvals],
            own_approval=core.config.policy.approval.own,
            by=run.actor,
            channel=core.actor.channel,
            started=run.started_at,
            ended=core.clock(),
            seconds=round(seconds, 6),
            outcome=State.APPLIED.value,
            counts=self.counts,
            steps=self._table.header.steps,
            touched=lines if self._rest is None else len(self._rest.effects),
            lines_digest=lines_digest,
            vault=self._vault(sums),
            undo_of=plan.undo_of or "",
            notes=[*skipping.notes(self._rest), *self._notes()],
        )

    def _vault(self, sums: dict[str, str]) -> receipts.Vault:
        workspace, kept = self._core.workspace, self.kept
        folders = [workspace.vault(volume, self._run.id) for volume in self._table.header.volumes]
        return receipts.Vault(
            entries=len(kept),
            files=sum(one.files for one in kept),
            size=sum(one.size for one in kept),
            until=kept[0].until if kept else None,
            places=[str(folder.relative_to(workspace.root)) for folder in folders if folder.exists()],
            sums=sums,
        )

    def _notes(self) -> Iterator[str]:
        """What a reader of the receipt should know besides: what came after the preview, left or carried along."""
        core, plan = self._core, self._plan
        yield from latecomers.notes(core, plan, lambda: _placed(plans.effects_of(core, plan)))
        expected = _held_by_moved(self._among_folders(), self.effects)
        with core.world() as world:
            for path, files in expected.items():
                with contextlib.suppress(OSError):
                    yield from _grown(path, files, world.tree.totals(path).files)
        if not self._preview.approvals.required:
            yield f"approved by policy, no person was asked: {'; '.join(self._preview.approvals.why)}"
        if core.config.policy.approval.own:
            yield "in this workspace authors may approve their own plans"
        yield from (f"weaker here: {weakness.message}" for weakness in self._preview.weak)


def _kept(run: Run, effect: Effect, number: int, now: int, until: int | None, facts: bytes | None) -> Kept:
    """What is kept for an effect; one that replaces tells of the new file, and `facts` of the old one."""
    kind, files, size = effect.kind, effect.files, effect.size
    if effect.effect == "replaced" and facts is not None:
        was = unpack(facts)
        kind, files, size = was.kind.value, 1, was.size if was.kind is Kind.FILE else 0
    path = untagged(effect.path)
    return Kept(
        run=run.id,
        entry=number,
        case=path.partition("/")[0],
        path=path,
        kind=kind,
        files=files,
        size=size,
        kept_at=now,
        until=until,
    )


def _path_before(places: Mapping[int, Place], slot: tuple[int, bytes]) -> bytes:
    """The path, from `projects/`, that a slot has before the run."""
    number, path = slot
    while (place := places[number]).parent != ROOT:
        number, path = place.parent, place.name + b"/" + path
    return place.name.removeprefix(b"case:") + b"/" + path


def _placed(effects: Iterable[Effect]) -> set[str]:
    """Every path that effects speak of: what is there is no surprise."""
    return {untagged(text) for effect in effects for text in (effect.path, effect.source) if text is not None}


def _held_by_moved(among: Iterable[Effect], effects: Callable[[], Iterator[Effect]]) -> dict[str, int]:
    """The files that each folder moved whole is expected to hold: its own, and what the plan put into it.

    `among` are effects that those of folders are among, `effects` all.
    """
    held = {untagged(e.path): e.files for e in among if e.effect == "moved" and e.kind == "dir"}
    for effect in effects() if held else ():
        above = split(untagged(effect.path))[0] if effect.effect != "deleted" else ""
        while above:
            if above in held:
                held[above] += effect.files
            above = split(above)[0]
    return held


def _grown(path: str, expected: int, files: int) -> Iterator[str]:
    if files > expected:
        yield f"{path!r} carried {files - expected:,} files along that were not there at the preview"
