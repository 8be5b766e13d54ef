"""The preview: the sealed thing that a reviewer sees and approves.

One model, many faces (render). The full list of effects is kept
beside it, in chunks of `CHUNK` in display order; the digest covers all of it.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

from treegate.model.approvals import Approvals
from treegate.model.daily import Share
from treegate.model.effects import Effect, EffectKind, Text
from treegate.model.problems import Problem

SCHEMA = 1
CHUNK = 100  # effects in one stored chunk
SHOWN = 50  # effects of one section that the model itself carries; the others are paged


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many effects of each kind, and what they come to, net; `files` counts what folders hold."""

    made: int = 0
    moved: int = 0
    copied: int = 0
    created: int = 0
    replaced: int = 0
    deleted: int = 0
    restored: int = 0
    linked: int = 0
    set: int = 0
    effects: int = 0
    files: int = 0  # files and links that move, go or come, with what folders hold
    moved_files: int = 0
    deleted_files: int = 0
    moved_bytes: int = 0
    deleted_bytes: int = 0
    new_bytes: int = 0  # what has to be written before anything moves
    bytes: int = 0  # what those files hold
    crossing: int = 0  # moves that leave their case


class Oddity(msgspec.Struct, frozen=True, kw_only=True):
    """One effect worth a look of its own, and why: a warning's code, or `pattern-broken`."""

    code: str
    note: str
    effect: Effect


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Effects of one grave class: `deletions`, `replacements`, `crossings`; the first few of `count`."""

    kind: str
    count: int
    effects: list[Effect]


class Pattern(msgspec.Struct, frozen=True, kw_only=True, rename={"source": "from"}):
    """Many effects of one shape: `1,200 x Scans/*.pdf -> Correspondence/`."""

    id: str  # "p3"
    effect: EffectKind
    source: Text | None  # "Scans/*.pdf"; None for what is made from nothing
    to: Text  # "Correspondence/"
    count: int
    files: int
    size: int
    first: int  # position of its first effect in the full list; they stand together
    examples: list[Effect]


class Weakness(msgspec.Struct, frozen=True):
    """A promise that is weaker on a mount that the plan touches."""

    code: str
    cases: list[str]
    message: str


class Backup(msgspec.Struct, frozen=True, kw_only=True, rename={"size": "bytes"}):
    """The copies of files that are made before anything moves; contract section 9."""

    mode: str  # "reflink" or "copy"
    files: int
    size: int  # what the files hold; a reflink shares it
    free: int  # bytes, on the filesystem that has least


class Other(msgspec.Struct, frozen=True, kw_only=True):
    """Another plan that may be carried out before, and touches the same; `effect` is what it does there at first."""

    plan: str
    title: str
    state: str
    effect: EffectKind | Literal[""] = ""  # "" where it is so large that only its folders are known to be the same
    path: Text = ""
    count: int = 0  # of its effects that touch the same


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """The command that a plan came of: it did, to a view of the cases, what the plan does to them."""

    sandbox: str  # its id
    command: str  # as one would type it
    status: int | None
    why: str  # it ended: "itself", or what ended it
    log: list[Text] = []  # where its output is, from the workspace
    direct: bool = False


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan would do to the tree as it is now; contract section 3."""

    schema: int = SCHEMA
    workspace: str
    plan: str  # plan id, "" for one that is not stored
    revision: int
    plan_digest: str
    title: str
    reason: str
    requested_by: str
    thread_url: str
    author: str
    cases: list[str]
    on_stale: str
    summary: str  # one sentence, for people; not covered by the digest
    operations: int
    counts: Counts
    sections: list[Section]
    oddities: list[Oddity]
    oddity_count: int
    patterns: list[Pattern]  # rarest first
    pattern_count: int
    implied: list[Text]  # folders made because something is put into them; the first SHOWN
    implied_count: int
    by_case: list[Share] = []  # what goes away, by case; cases that lose nothing are left out
    problems: list[Problem]
    errors: int
    warnings: int
    approvals: Approvals
    weak: list[Weakness]
    notes: list[str] = []
    effects_digest: str  # over every effect and the facts of what it touches
    policy_digest: str
    undo_of: str = ""
    backup: Backup | None = None  # None: policy asks for none
    waiting_for: str = ""  # filled in when shown: it changes with each decision
    others: list[Other] = []  # likewise, with each plan that comes or goes; the oldest few
    origin: Origin | None = None  # filled in when shown
    digest: str = ""

    @property
    def valid(self) -> bool:
        """Whether it can be approved at all."""
        return self.errors == 0


def sealed_part(preview: Preview) -> dict[str, Any]:
    """What the digest covers: effects with contents and facts, policy, who must approve, problem codes, plan."""
    codes = sorted({(p.code, p.severity, p.operation or 0) for p in preview.problems})
    return {
        "schema": preview.schema,
        "workspace": preview.workspace,
        "plan": preview.plan_digest,
        "cases": preview.cases,
        "on_stale": preview.on_stale,
        "effects": preview.effects_digest,
        "count": preview.counts.effects,
        "policy": preview.policy_digest,
        "problems": [list(code) for code in codes],
        "weak": sorted({weakness.code for weakness in preview.weak}),
        "undo_of": preview.undo_of,
        "approvals": [[rule.rule, rule.required, rule.people] for rule in preview.approvals.rules],
    }


def digest_of(preview: Preview) -> str:
    """The digest that an approval names: SHA-256 (hex) of the canonical JSON (RFC 8785) of the sealed part."""
    return hashlib.sha256(msgspec.json.encode(sealed_part(preview), order="sorted")).hexdigest()


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a preview document."""
    made = msgspec.json.schema(Preview)
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "Treegate preview"
    return made
