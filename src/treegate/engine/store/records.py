"""What the store gives back: one frozen value per row, and the ids by which people name plans and runs."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from treegate.model.lifecycle import State

CHUNK = 100  # effects in a chunk of a preview

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no letter that reads as a digit


def new_id(prefix: str, random: bytes) -> str:
    """An id such as `pl_7f3k…` made of `random`: ten bytes give sixteen characters."""
    bits, out = int.from_bytes(random, "big"), []
    for _ in range(-(-len(random) * 8 // 5)):
        bits, digit = divmod(bits, 32)
        out.append(_ALPHABET[digit])
    return f"{prefix}_{''.join(reversed(out))}"


class Verdict(StrEnum):
    """What a reviewer says of a digest; a revoke takes one's own approval back."""

    APPROVE = "approve"
    REJECT = "reject"
    REQUEST_CHANGES = "request-changes"
    REVOKE = "revoke"


class VaultState(StrEnum):
    """Whether a vault entry is still there, and if not, where it went."""

    KEPT = "kept"
    RESTORED = "restored"
    PRUNED = "pruned"


class By(NamedTuple):
    """Who does something, at which door and when: stands in every row that records an act."""

    actor: str
    channel: str
    at: int  # milliseconds since 1970, UTC
    role: str = ""


class Meta(msgspec.Struct, frozen=True):
    """Which workspace and state directory the database belongs to, how many runs it has begun, under which policy."""

    workspace: str
    state: str
    generation: int
    policy: str = ""  # the canonical policy that was noted last
    sandbox: str = ""  # what was noted last of what commands in sandboxes may do
    trusts: bool = False  # whether status files counted whoever could write them, when that was noted last


class StoredPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as it stands now; times in milliseconds since 1970, UTC."""

    seq: int
    id: str
    cases: tuple[str, ...]
    title: str
    author: str
    state: State
    revision: int
    preview: int | None
    digest: str | None
    undo_of: str | None
    expires_at: int | None
    created_at: int
    updated_at: int


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a plan's document; the document itself is read by `Reader.document`."""

    plan: str
    revision: int
    plan_digest: str
    author: str
    created_at: int


class StoredPreview(msgspec.Struct, frozen=True, kw_only=True):
    """A preview without its bulk: `Reader.model`, `Reader.chunk` and `Reader.effects_page` read that."""

    seq: int
    plan: str
    revision: int
    digest: str
    table_digest: str
    effects: int
    created_at: int


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What one reviewer said of one digest."""

    seq: int
    plan: str
    revision: int
    preview: int
    digest: str
    plan_digest: str
    reviewer: str
    role: str
    verdict: Verdict
    comment: str
    channel: str
    at: int
    consumed_by: str | None
    sample: int | None = None  # effects drawn by chance that were shown with their contents
    pins: str | None = None  # JSON: ids of the effects and patterns that the comment is about


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One application of an approved plan; its `state` is one of a plan's, from `applying` on."""

    seq: int
    id: str
    plan: str
    revision: int
    preview: int
    digest: str
    table_digest: str
    cases: tuple[str, ...]
    state: State
    actor: str
    started_at: int
    ended_at: int | None
    receipt_digest: str | None
    undo_of: str | None
    generation: int


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in a run's vault, under the `entry` number that preview and manifest use too."""

    run: str
    entry: int
    case: str
    path: str
    kind: str
    files: int
    size: int  # bytes
    kept_at: int
    until: int | None  # when retention lets it go
    state: VaultState = VaultState.KEPT
    by_run: str | None = None  # the run that took it out; also of one that `rollback.sh` put back since


def standing(decisions: list[Decision]) -> list[Decision]:
    """The approvals among the decisions on one preview that were not taken back."""
    revoked = {d.reviewer for d in decisions if d.verdict is Verdict.REVOKE}
    return [d for d in decisions if d.verdict is Verdict.APPROVE and d.reviewer not in revoked]
