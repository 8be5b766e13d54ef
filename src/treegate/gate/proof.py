"""Proof by content: every touched file hashed before and after, and the two accounts held against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from treegate.engine import receipts
from treegate.engine.world import DiskWorld
from treegate.errors import NotVerified
from treegate.gate import plans, runs
from treegate.gate.core import Core
from treegate.gate.runs import Applied
from treegate.model.effects import Effect, untagged
from treegate.model.paths import joined
from treegate.model.tree import Kind

Account = Counter[str]  # SHA-256 (hex) of a content -> how many files hold it


def apply_verified(core: Core, prefix: str) -> Applied:
    """Applies a plan and proves by content that before + what the plan brought = after + vault.

    Raises NotVerified where it does not; the run stands, and its vault is whole.
    """
    plan = core.store.find_plan(prefix)
    effects = list(plans.effects_of(core, plan))
    before = _before(core, effects)
    applied = runs.apply(core, plan.id)
    if applied.receipt is None:
        return applied
    after = _after(core, effects, applied.run)
    lost, more = before - after, after - before
    if lost or more:
        text = f"run {applied.run}: {sum(lost.values())} contents are missing and {sum(more.values())} are unexpected"
        raise NotVerified(text, code="contents-differ", hint="look at `treegate fsck`", next="treegate fsck")
    count = sum(before.values())
    found = f"{count:,} contents: before and brought = after and vault"
    return msgspec.structs.replace(applied, receipt=_resigned(core, applied.receipt, found))


def _resigned(core: Core, receipt: receipts.Receipt, found: str) -> receipts.Receipt:
    """The answer's receipt with what verification found; the stored one stays as it was signed."""
    return msgspec.structs.replace(receipt, verified=found)


def _before(core: Core, effects: list[Effect]) -> Account:
    """The contents that the run finds, and those that it brings."""
    account: Account = Counter()
    found: set[str] = set()
    with core.world() as world:
        for effect in effects:
            source = None if effect.source is None else untagged(effect.source)
            if effect.sha256:
                account[effect.sha256] += 1
            elif effect.effect == "copied" and source is not None:
                account.update(world.tree.sha256(path) for path in _files(world, source, effect.kind))
            if effect.effect in ("moved", "deleted", "set") or (effect.effect == "replaced" and not effect.sha256):
                found.update(_files(world, source or untagged(effect.path), effect.kind))
            if effect.effect == "replaced":
                found.add(untagged(effect.replaces if effect.replaces is not None else effect.path))
            elif effect.effect == "restored" and source is not None:
                run, _, entry = source.removeprefix("vault:").partition("/")
                found.update(_files(world, _in_vault(core, effect, run, entry), effect.kind))
        account.update(map(world.tree.sha256, found))
    return account


def _after(core: Core, effects: list[Effect], run: str) -> Account:
    """The contents that the run leaves, in the tree and in its vault; each place counts once."""
    left: set[str] = set()
    with core.world() as world:
        for effect in effects:
            if effect.effect != "deleted":
                left.update(_files(world, untagged(effect.path), effect.kind))
            if effect.vault is not None:
                left.update(_files(world, _in_vault(core, effect, run, str(effect.vault)), effect.kind))
        return Counter(map(world.tree.sha256, left))


def _in_vault(core: Core, effect: Effect, run: str, entry: str) -> str:
    case = untagged(effect.path).partition("/")[0]
    return f"/vault:{core.workspace.volume(case)}:{run}/{entry}"


def _files(world: DiskWorld, path: str, kind: str) -> Iterator[str]:
    """The file at a path, or every file under the folder there."""
    if kind == "file":
        yield path
    elif kind == "dir":
        for below, kind_below in world.tree.walk(path):
            if kind_below is Kind.FILE:
                yield joined(path, below)
