"""Proof by content: every touched file hashed before and after, and the two accounts held against each other."""

from __future__ import annotations

from collections import Counter

import msgspec

from treegate.engine import receipts
from treegate.engine.world import DiskWorld
from treegate.errors import NotVerified
from treegate.gate import plans, runs
from treegate.gate.core import Core
from treegate.gate.runs import Applied
from treegate.model.effects import Effect, untagged
from treegate.model.paths import joined

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
    account: Account = Counter()
    with core.world() as world:
        for effect in effects:
            if effect.effect in ("created", "replaced") and effect.sha256:
                account[effect.sha256] += 1
            elif effect.effect == "copied" and effect.source is not None:
                _count(world, untagged(effect.source), effect.kind, account)
            if effect.effect in ("moved", "deleted", "set"):
                source = effect.source if effect.source is not None else effect.path
                _count(world, untagged(source), effect.kind, account)
            elif effect.effect == "replaced":
                _count_replaced(world, effect, account)
            elif effect.effect == "restored" and effect.source is not None:
                run, _, entry = untagged(effect.source).removeprefix("vault:").partition("/")
                _count(world, _in_vault(core, effect, run, entry), effect.kind, account)
    return account


def _count_replaced(world: DiskWorld, effect: Effect, account: Account) -> None:
    _count(world, untagged(effect.path), "file", account)
    if effect.source is not None and not effect.sha256:
        _count(world, untagged(effect.source), "file", account)


def _after(core: Core, effects: list[Effect], run: str) -> Account:
    account: Account = Counter()
    with core.world() as world:
        for effect in effects:
            if effect.effect != "deleted":
                _count(world, untagged(effect.path), effect.kind, account)
            if effect.vault is not None:
                _count(world, _in_vault(core, effect, run, str(effect.vault)), effect.kind, account)
    return account


def _in_vault(core: Core, effect: Effect, run: str, entry: str) -> str:
    case = untagged(effect.path).partition("/")[0]
    return f"/vault:{core.workspace.volume(case)}:{run}/{entry}"


def _count(world: DiskWorld, path: str, kind: str, account: Account) -> None:
    """Adds a file's content, or that of every file under a folder, to an account."""
    if kind == "file":
        account[world.tree.sha256(path)] += 1
    elif kind == "dir":
        for below, kind_below, _ in world.tree.walk(path):
            if kind_below.value == "file":
                account[world.tree.sha256(joined(path, below))] += 1
