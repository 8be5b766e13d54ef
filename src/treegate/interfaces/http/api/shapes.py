"""What goes in and out of the API beside the gate's own values: bodies of requests, pages of answers."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from treegate.engine.jobs import JobState
from treegate.engine.pauses import Pause
from treegate.engine.store.records import Revision, Run, StoredPlan
from treegate.engine.tokens import Token
from treegate.gate import Applied
from treegate.gate.files import Case
from treegate.gate.jobs import Progress
from treegate.model.actors import Role
from treegate.model.effects import Effect

Digest = Annotated[str, Meta(description="The digest of the preview that it is about, whole or from 12 characters.")]
Comment = Annotated[str, Meta(max_length=10_000)]
Short = Annotated[str, Meta(max_length=4096)]


class Taken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body that a request brings: unknown keys are refused."""


class Decided(Taken, frozen=True, kw_only=True):
    """A decision on exactly one digest."""

    digest: Digest
    comment: Comment = ""


class Approving(Decided, frozen=True, kw_only=True):
    """An approval; `sample` is how many effects a page has shown, `typed` the number of deletions that was typed."""

    sample: Annotated[int, Meta(ge=0, lt=1 << 31)] | None = None
    typed: Annotated[int, Meta(ge=0, lt=1 << 53)] | None = None


class SentBack(Decided, frozen=True, kw_only=True):
    """What is to be changed, and the effects and patterns that it is about."""

    pins: list[Short] = []


class Reduce(Taken, frozen=True, kw_only=True):
    """What to leave out of a plan: ids of effects (`e17`) and of patterns (`p3`)."""

    leave_out: list[Short]
    digest: Digest = ""


class Commented(Taken, frozen=True, kw_only=True):
    """A few words."""

    comment: Comment = ""


class UndoPart(Taken, frozen=True, kw_only=True):
    """What of a run to take back: what it did at these paths; without any, all of it."""

    paths: list[Short] = []


class Recover(Taken, frozen=True, kw_only=True):
    """Which way to bring a run to its end."""

    back: bool = False


class ToPause(Taken, frozen=True, kw_only=True):
    """What to pause, and why; without a case, everything."""

    case: Short | None = None
    comment: Comment = ""


class ToResume(Taken, frozen=True, kw_only=True):
    """What to resume; without a case, the pause of the whole workspace."""

    case: Short | None = None


class Plans(msgspec.Struct, frozen=True):
    """Some plans, newest first; `next` is the cursor of the page after this one."""

    plans: list[StoredPlan]
    next: int | None


class Revisions(msgspec.Struct, frozen=True):
    """The revisions of a plan, oldest first."""

    revisions: list[Revision]


class EffectsPage(msgspec.Struct, frozen=True):
    """Some effects in display order; `next` is where the next page begins, `total` all there are that fit."""

    effects: list[Effect]
    next: int | None
    total: int


class AskedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was asked for: its id to be, and how far it is."""

    id: str
    run: str
    state: JobState


class Runs(msgspec.Struct, frozen=True):
    """Some runs, newest first; `next` is the cursor of the page after this one."""

    runs: list[Run]
    next: int | None = None


class RunNow(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is, and what it did once it has ended well."""

    progress: Progress
    applied: Applied | UnsetType = UNSET


class Recovered(msgspec.Struct, frozen=True):
    """The runs that were brought to an end."""

    runs: list[Applied]


class Said(msgspec.Struct, frozen=True):
    """How it is, in a word."""

    status: str


class Myself(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a token names, and what they may do; without `cases`, on all of them."""

    name: str
    role: Role
    cases: tuple[str, ...] | None
    may: list[str]


class Paused(msgspec.Struct, frozen=True):
    """What is paused now."""

    paused: list[Pause]


class TokenList(msgspec.Struct, frozen=True):
    """Tokens, without their texts."""

    tokens: list[Token]


class Cases(msgspec.Struct, frozen=True):
    """The cases that the actor sees, by name."""

    cases: list[Case]


class Blob(msgspec.Struct, frozen=True):
    """A content that was sent: how a plan names it, and its size in bytes."""

    blob: str
    size: int


JsonSchema = dict[str, Any]
