"""Proof by content: every touched file hashed before and after, and the two accounts held against each other."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress

import msgspec

from treegate.engine import receipts, tablefile
from treegate.engine.tablefile import Table
from treegate.engine.world import DiskWorld
from treegate.errors import NotVerified
from treegate.gate import plans, runs, skipping
from treegate.gate.core import Core
from treegate.gate.ending import Applied
from treegate.model.effects import Effect, untagged
from treegate.model.paths import joined, split
from treegate.model.table import ROOT
from treegate.model.tree import Kind, unpack

Account = Counter[str]  # SHA-256 (hex) of a content -> how many files hold it


def apply_verified(core: Core, prefix: str) -> Applied:
    """Applies a plan and proves by content that before + what the plan brought = after + vault.

    Raises NotVerified where it does not; the run stands, and its vault is whole.
    """
    plan = core.find_plan(prefix)
    effects = list(plans.effects_of(core, plan))
    stored = core.store.preview(plan.id)
    found = _Found(core, effects)
    if stored is not None and core.table_path(stored.table_digest).exists():
        found.read_sources(tablefile.read(core.table_path(stored.table_digest), stored.table_digest))
    applied = runs.apply(core, plan.id)
    if applied.receipt is None:
        return applied
    run = core.store.run(applied.run)
    rest = skipping.rest_of(core, run)
    done = effects if rest is None else rest.effects
    table = tablefile.read(core.state / "receipts" / f"{run.id}.table", run.table_digest)
    before, after = found.account(done) + found.brought(table), _after(core, done, applied.run)
    lost, more = before - after, after - before
    if lost or more:
        text = f"run {applied.run}: {sum(lost.values())} contents are missing and {sum(more.values())} are unexpected"
        raise NotVerified(text, code="contents-differ", hint="look at `treegate fsck`", next="treegate fsck")
    verified = f"{sum(before.values()):,} contents: before and brought = after and vault"
    return msgspec.structs.replace(applied, receipt=_resigned(core, applied.receipt, verified))


def _resigned(core: Core, receipt: receipts.Receipt, found: str) -> receipts.Receipt:
    """The answer's receipt with what verification found; the stored one stays as it was signed."""
    return msgspec.structs.replace(receipt, verified=found)


class _Found:
    """The contents that a run finds and those that it copies, hashed before it.

    What is not there (any more) has no content; whether that matters is for the run to say.
    """

    def __init__(self, core: Core, effects: list[Effect]) -> None:
        self._core = core
        self._hashes: dict[str, str] = {}  # by path: a place counts once, whatever names it
        self._paths: dict[str, list[str]] = {}  # by effect: the places that it takes contents from
        with core.world() as world:
            for effect in effects:
                self._paths[effect.id] = [path for top in _taken(core, effect) for path in self._read(world, top)]

    def read_sources(self, table: Table) -> None:
        """Hashes what the run is to copy."""
        with self._core.world() as world:
            for source in _sources(table):
                list(self._read(world, source))

    def account(self, effects: Iterable[Effect]) -> Account:
        """What some of the effects find."""
        places = {path for effect in effects for path in self._paths[effect.id]}
        return Counter(self._hashes[path] for path in places)

    def brought(self, table: Table) -> Account:
        """What a run brings anew: the files that its table stages, from blobs and from copied files."""
        account = Counter(row.blob for row in table.staged if row.blob)
        account.update(self._hashes[source] for source in _sources(table) if source in self._hashes)
        return account

    def _read(self, world: DiskWorld, top: str) -> Iterator[str]:
        """The files at or under a path, hashed."""
        for path in _there(world, top):
            if path not in self._hashes:
                self._hashes[path] = world.tree.sha256(path)
            yield path


def _sources(table: Table) -> Iterator[str]:
    """The home path of each file that a table has copied into the tree."""
    aside = {row.number for row in table.backups()}
    paths: dict[int, str] = {}
    for place in table.places:
        name = os.fsdecode(place.name)
        if place.parent == ROOT:
            kind, _, rest = name.partition(":")
            paths[place.number] = rest if kind == "case" else f"/{name}"
        else:
            paths[place.number] = joined(paths[place.parent], name)
    for row in table.staged:
        if row.source is not None and row.number not in aside:
            yield joined(paths[row.source[0]], os.fsdecode(row.source[1]))


def _taken(core: Core, effect: Effect) -> Iterator[str]:
    """The places that an effect takes contents from."""
    source = None if effect.source is None else untagged(effect.source)
    if effect.effect in ("moved", "deleted", "set") or (effect.effect == "replaced" and effect.by == "move"):
        yield source or untagged(effect.path)
    if effect.effect == "replaced":
        yield untagged(effect.replaces if effect.replaces is not None else effect.path)
    elif effect.effect == "restored" and source is not None:
        run, _, entry = source.removeprefix("vault:").partition("/")
        yield _in_vault(core, effect, run, entry)


def _after(core: Core, effects: list[Effect], run: str) -> Account:
    """The contents that the run leaves, in the tree and in its vault; each place counts once."""
    left: set[str] = set()
    with core.world() as world:
        for effect in effects:
            if effect.effect != "deleted":
                left.update(_there(world, untagged(effect.path)))
            if effect.vault is not None:
                left.update(_there(world, _in_vault(core, effect, run, str(effect.vault))))
        return Counter(map(world.tree.sha256, left))


def _in_vault(core: Core, effect: Effect, run: str, entry: str) -> str:
    case = untagged(effect.path).partition("/")[0]
    return f"/vault:{core.workspace.volume(case)}:{run}/{entry}"


def _files(world: DiskWorld, path: str) -> Iterator[str]:
    """The file at a path, or every file under the folder there; raises FileNotFoundError, NotADirectoryError."""
    facts = world.tree.facts(*split(path))
    kind = None if facts is None else unpack(facts).kind
    if kind is Kind.FILE:
        yield path
    elif kind is Kind.DIR:
        for below, kind_below in world.tree.walk(path):
            if kind_below is Kind.FILE:
                yield joined(path, below)


def _there(world: DiskWorld, path: str) -> Iterator[str]:
    """The same; nothing where nothing is (any more)."""
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from _files(world, path)
