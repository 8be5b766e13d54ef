"""The rules of one workspace: what plans may touch, how much of it, and who must say yes.

`Policy` mirrors the `[policy]` sections of treegate.toml, with a default for every key. Sections that are known
but not acted on yet stand in `NOT_YET` and are refused by whoever reads a configuration, never ignored: to act on
one, take it out there, give it a struct here and a row in engine.config.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Literal, NamedTuple

import msgspec

from treegate.model.globs import PathRule, PathRules
from treegate.model.names import visible

Role = Literal["author", "reviewer", "operator", "admin"]

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000  # milliseconds
MOST = 2**53 - 1  # the largest whole number of a sealed document


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


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Which rules the names that a plan makes must obey: keys of model.names.RULES, or "auto" for the probe's."""

    rules: tuple[str, ...] | Literal["auto"] = "auto"


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """Copies made beforehand; the vault keeps what goes away in any case."""

    before_moves: Literal["off"] = "off"


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """How many people must say yes, whether an author may be one of them, and for how long (ms) it holds."""

    required: int = 1
    own: bool = False
    expires: int = 72 * HOUR


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


NOT_YET: Mapping[str, str] = {
    "policy.limits.per_day": "limits over a day",
    "policy.approval.rule": "rules of approval by condition",
    "policy.approval.from": "approval by groups",
}


def canonical(policy: Policy) -> dict[str, object]:
    """The policy as plain objects for a digest: sections by name, and no floating-point number (RFC 8785)."""
    plain = msgspec.json.decode(msgspec.json.encode(policy), type=dict[str, object])
    limits = {**msgspec.structs.asdict(policy.limits), "delete_share": repr(float(policy.limits.delete_share))}
    return {**plain, "limits": limits}


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
            "delete_bytes", counts.delete_bytes, limits.delete_bytes, "the plan deletes {}", shown=_size_for_people
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


def _size_for_people(size: int) -> str:
    for unit, factor in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit} ({size:,} bytes)"
    return f"{size:,} bytes"


# --- who must say yes ------------------------------------------------------------------------------------------


def approvals(policy: Policy) -> Approval:
    """What a plan under this policy must have before it is applied; where rules by condition will be weighed."""
    return policy.approval


# --- sizes and durations ---------------------------------------------------------------------------------------

_SIZES = {
    "TiB": 1 << 40,
    "GiB": GIB,
    "MiB": MIB,
    "KiB": KIB,
    "TB": 10**12,
    "GB": 10**9,
    "MB": 10**6,
    "kB": 1000,
    "B": 1,
}
_DURATIONS = {"w": 7 * DAY, "d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": 1}


def parse_size(text: str) -> int:
    """Bytes from "5 GiB", "500 MB" or "0 B"; raises ValueError with a sentence."""
    return _amount(text, _SIZES, "a size", "5 GiB")


def write_size(size: int) -> str:
    """The reverse of `parse_size`, exactly, in the largest unit that divides it."""
    unit = next(unit for unit, factor in _SIZES.items() if size % factor == 0 and (size or factor == 1))
    return f"{size // _SIZES[unit]} {unit}"


def parse_duration(text: str) -> int:
    """Milliseconds from "72h", "10s", "90d" or "250ms"; raises ValueError with a sentence."""
    return _amount(text, _DURATIONS, "a duration", "72h")


def write_duration(milliseconds: int) -> str:
    """The reverse of `parse_duration`, exactly; in hours below a week, as people say 72h."""
    units = [unit for unit in _DURATIONS if unit != "w" and (unit != "d" or milliseconds >= 7 * DAY)]
    unit = next(unit for unit in units if milliseconds % _DURATIONS[unit] == 0 and (milliseconds or unit == "s"))
    return f"{milliseconds // _DURATIONS[unit]}{unit}"


def _amount(text: str, units: Mapping[str, int], what: str, example: str) -> int:
    """A whole number and a unit; RFC 8259 documents carry the result, so it stays below 2^53."""
    read = re.fullmatch(r"([0-9]{1,16}) ?([A-Za-z]*)", text.strip())
    if not read:
        raise ValueError(f"'{visible(text)}' is not {what}; write a whole number and a unit, such as '{example}'")
    number, unit = int(read[1]), read[2]
    if unit not in units:
        had = f"'{unit}' is not a unit" if unit else f"'{read[1]}' has no unit"
        raise ValueError(f"{had} of {what}; the units are {', '.join(units)}")
    if number * units[unit] > MOST:
        raise ValueError(f"'{visible(text)}' is too large for {what}")
    return number * units[unit]
