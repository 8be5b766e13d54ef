"""The rules of one workspace: what plans may touch, how much of it, and who must say yes.

`Policy` mirrors the `[policy]` sections of treegate.toml, with a default for every key. Sections that are known
but not acted on yet stand in `NOT_YET` and are refused by whoever reads a configuration, never ignored: to act on
one, take it out there, give it a struct here and a row in engine.config.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Literal, NamedTuple

import msgspec

from treegate.model.approvals import Approval
from treegate.model.daily import PerDay
from treegate.model.globs import PathRule, PathRules
from treegate.model.measures import GIB, size_for_people
from treegate.model.names import visible

Role = Literal["author", "reviewer", "operator", "admin"]


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """Patterns of paths; they start at the case, or at `projects/` if they begin with `/`."""

    paths: tuple[str, ...]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one plan may do; counted over its net effects, with all that the folders it touches hold."""

    operations: int = 100_000
    files: int = 100_000
    deletes: int = 100
    delete_share: float = 0.25  # of a case's files; 1 is no limit
    delete_share_from: int = 5  # deletions in a case from which the share is looked at: small cases stay usable
    delete_bytes: int = 5 * GIB
    replacements: int = 100
    open_plans: int = 1000  # of one author, that wait for somebody
    per_day: PerDay = PerDay()


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Which rules the names that a plan makes must obey: keys of model.names.RULES, or "auto" for the probe's."""

    rules: tuple[str, ...] | Literal["auto"] = "auto"


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """Copies made beforehand; the vault keeps what goes away in any case."""

    before_moves: Literal["off", "reflink", "copy"] = "off"


class Apply(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the last approval starts the run, and which roles may start one."""

    on_approval: bool = True
    by: tuple[Role, ...] = ("operator", "reviewer", "author")


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """All rules of a workspace, as they stood when a plan was previewed."""

    allow: Paths = Paths(paths=("**",))
    protect: Paths = Paths(paths=("**/Originals/**", "*.lock"))
    limits: Limits = Limits()
    names: Names = Names()
    backup: Backup = Backup()
    approval: Approval = Approval()
    apply: Apply = Apply()
    weak_mounts: Literal["refuse", "allow"] = "refuse"
    groups: Mapping[str, tuple[str, ...]] = {}  # [groups] of the file: who may approve what is policy too


NOT_YET: Mapping[str, str] = {
    "policy.approval.from": "groups for every plan at once (a rule without `when` asks for them)",
}


def canonical(policy: Policy) -> dict[str, object]:
    """The policy as plain objects for a digest: sections by name, and no floating-point number (RFC 8785)."""
    plain = msgspec.json.decode(msgspec.json.encode(policy), type=dict[str, object])
    limits = msgspec.to_builtins(policy.limits)
    return {**plain, "limits": {**limits, "delete_share": repr(float(policy.limits.delete_share))}}


def digest_of(policy: Policy) -> str:
    """SHA-256 (hex) of the canonical policy; a preview is sealed under it."""
    return hashlib.sha256(msgspec.json.encode(canonical(policy), order="sorted")).hexdigest()


# --- paths -----------------------------------------------------------------------------------------------------


class Refusal(NamedTuple):
    """A path that policy keeps a plan from touching."""

    code: str
    path: str
    sentence: str
    hint: str


class Gatekeeper:
    """Says of any path whether a plan may touch it; made once for a policy, asked very often.

    Whoever moves or deletes a folder for which `concerns` is true (at its old or its new place) must ask about
    everything in it too. Raises PatternError for a pattern that cannot be read.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._protect = PathRules(PathRule.parse(pattern, itself=True) for pattern in policy.protect.paths)
        self._allow_all = "**" in policy.allow.paths or "/**" in policy.allow.paths
        self._allow = PathRules(PathRule.parse(pattern, itself=False) for pattern in policy.allow.paths)

    def allowed(self, path: str) -> bool:
        """Whether `path` (from `projects/`) lies within `allow.paths`."""
        return self._allow_all or self._allow.covering(path) is not None

    def protected(self, path: str) -> str | None:
        """The pattern of `protect.paths` that covers `path` (from `projects/`), or None."""
        return self._protect.covering(path)

    def refused_in(self, folder: str, names: Set[str]) -> set[str]:
        """Those of the names directly in a folder that `refusal` refuses; much quicker than asking for each."""
        protected = set(self._protect.covered_in(folder, names))
        if self._allow_all:
            return protected
        return protected | (names - set(self._allow.covered_in(folder, names)))

    def concerns(self, folder: str) -> bool:
        """Whether something under `folder` may be protected, or not allowed, though the folder itself is free."""
        return self._protect.may_cover_below(folder) or not self.allowed(folder)

    def refusal(self, path: str, *, implied: bool = False) -> Refusal | None:
        """Why `path` may not be touched, or None. A folder that is only implied needs no leave of its own."""
        pattern = self.protected(path)
        if pattern is None and (implied or self.allowed(path)):
            return None
        shown = visible(path)
        if pattern is not None:
            hint = f"leave it where it is and as it is; policy.protect.paths holds '{pattern}'"
            return Refusal("path-protected", path, f"'{shown}' is protected by '{pattern}'", hint)
        hint = f"plans may touch only what policy.allow.paths names: {_listed(self._policy.allow.paths)}"
        return Refusal("path-not-allowed", path, f"'{shown}' lies outside the allowed paths", hint)


def _listed(patterns: tuple[str, ...]) -> str:
    return ", ".join(f"'{pattern}'" for pattern in patterns) or "nothing"


# --- limits ----------------------------------------------------------------------------------------------------


class Counts(NamedTuple):
    """What a plan does in all, net, with what folders hold; `case_files` is None while nobody has counted."""

    operations: int = 0
    files: int = 0
    deletes: int = 0
    delete_bytes: int = 0
    replacements: int = 0
    case_deletes: Mapping[str, int] = {}  # case -> files deleted from it
    case_files: Mapping[str, int] | None = None  # case -> files it has before the run


class Passed(NamedTuple):
    """A limit that a plan passes."""

    code: str
    sentence: str
    hint: str


def needs_case_files(policy: Policy, counts: Counts) -> bool:
    """Whether the files of the cases must be counted before `over_limits` can judge; counting may take long."""
    limits = policy.limits
    return counts.deletes >= max(limits.delete_share_from, 1) and limits.delete_share < 1


def over_limits(policy: Policy, counts: Counts, *, undoing: bool = False) -> list[Passed]:
    """The limits that a plan passes.

    `undoing` is for a plan that the gate itself made to take a run back: that run was within the limits of its
    day, and taking it back is limited by nothing. Never set it for a plan that came from outside.
    """
    if undoing:
        return []
    limits = policy.limits
    return [
        *_over("operations", counts.operations, limits.operations, "the plan has {} operations"),
        *_over("files", counts.files, limits.files, "the plan touches {} files"),
        *_over("deletes", counts.deletes, limits.deletes, "the plan deletes {} files"),
        *_shares(policy, counts),
        *_over(
            "delete_bytes", counts.delete_bytes, limits.delete_bytes, "the plan deletes {}", shown=size_for_people
        ),
        *_over("replacements", counts.replacements, limits.replacements, "the plan replaces {} files"),
    ]


def _over(
    key: str, found: int, most: int, sentence: str, shown: Callable[[int], str] = "{:,}".format
) -> list[Passed]:
    if found <= most:
        return []
    return [_passed(key, f"{sentence.format(shown(found))}; policy allows {shown(most)}")]


def _shares(policy: Policy, counts: Counts) -> Iterator[Passed]:
    if not needs_case_files(policy, counts):
        return
    if counts.case_files is None:
        raise ValueError("the files of the cases must be counted before the share of deletes can be judged")
    share = policy.limits.delete_share
    for case, deletes in sorted(counts.case_deletes.items()):
        held = counts.case_files[case]
        if deletes >= policy.limits.delete_share_from and deletes > share * held:
            found = f"the plan deletes {deletes:,} of the {held:,} files of '{visible(case)}'"
            yield _passed("delete_share", f"{found}; policy allows {100 * share:.4g} % of them")


def _passed(key: str, sentence: str) -> Passed:
    hint = f"change less in this plan, or ask whoever keeps the policy about policy.limits.{key}"
    return Passed(f"limit-{key.replace('_', '-')}", sentence, hint)
