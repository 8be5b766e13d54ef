"""Why policy says what it says of one plan: every rule, every limit with its figure, who may and who did approve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from treegate.model.approvals import GROUP, Asked, Groups, Yes, counts_for
from treegate.model.daily import Day, used
from treegate.model.effects import Text
from treegate.model.measures import size_for_people
from treegate.model.policy import Limits, Policy
from treegate.model.preview import Preview


class RuleSaid(msgspec.Struct, frozen=True, kw_only=True, rename={"people": "from"}):
    """One rule: whether it asks something of the plan, why, and how far that has come."""

    rule: str
    matches: bool
    required: int
    people: list[str]
    why: str
    given: list[str] = []  # whose approvals count for it
    missing: int = 0


class LimitSaid(msgspec.Struct, frozen=True, kw_only=True):
    """One limit: what the plan comes to, and what is allowed, in words."""

    limit: str  # the key, below policy.limits
    case: str = ""  # of a limit of a day
    found: str
    allowed: str
    passed: bool


class PathSaid(msgspec.Struct, frozen=True, kw_only=True):
    """A path that policy keeps the plan from."""

    path: Text | None
    code: str
    why: str


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """What policy says of one plan."""

    plan: str
    state: str
    summary: str
    author: str
    policy_changed: bool  # since the preview: it is to be refreshed
    required: int
    own: bool
    expires: str
    rules: list[RuleSaid]
    groups: dict[str, tuple[str, ...]]  # those that the rules name
    approved_by: list[str]
    waiting_for: str
    limits: list[LimitSaid]
    protect: tuple[str, ...]
    allow: tuple[str, ...]
    paths: list[PathSaid]  # refused ones
    problems: list[str]  # other things that policy refuses


_REFUSED_PATHS = ("path-protected", "path-not-allowed")
_REFUSED = ("limit-passed", "day-limit-passed", "weak-mount")


def explained(
    policy: Policy,
    preview: Preview,
    days: Mapping[str, Day],
    given: Sequence[Yes],
    *,
    state: str,
    waiting_for: str,
    policy_changed: bool,
) -> Explained:
    """What policy says of a plan; `days` are what counts already in each case that loses something."""
    asked = preview.approvals
    rules = [_matching(rule, given, policy.groups) for rule in asked.rules]
    rules += [_said(rule, matches=False) for rule in asked.unmatched]
    return Explained(
        plan=preview.plan,
        state=state,
        summary=preview.summary,
        author=preview.author,
        policy_changed=policy_changed,
        required=asked.required,
        own=asked.own,
        expires=asked.expires,
        rules=rules,
        groups={name: policy.groups.get(name, ()) for name in _groups(asked.rules + asked.unmatched)},
        approved_by=sorted({yes.person for yes in given}),
        waiting_for=waiting_for,
        limits=[*_limits(policy.limits, preview), *_days(policy.limits, preview, days)],
        protect=policy.protect.paths,
        allow=policy.allow.paths,
        paths=[
            PathSaid(path=p.path, code=p.code, why=p.message) for p in preview.problems if p.code in _REFUSED_PATHS
        ],
        problems=[problem.message for problem in preview.problems if problem.code in _REFUSED],
    )


def _said(rule: Asked, *, matches: bool, given: Sequence[str] = (), missing: int = 0) -> RuleSaid:
    return RuleSaid(
        rule=rule.rule,
        matches=matches,
        required=rule.required,
        people=rule.people,
        why=rule.why,
        given=list(given),
        missing=missing,
    )


def _matching(rule: Asked, given: Sequence[Yes], groups: Groups) -> RuleSaid:
    people = sorted({yes.person for yes in given if counts_for(rule.people, yes, groups)})
    return _said(rule, matches=True, given=people, missing=max(rule.required - len(people), 0))


def _groups(rules: Sequence[Asked]) -> list[str]:
    named = (one.removeprefix(GROUP) for rule in rules for one in rule.people if one.startswith(GROUP))
    return list(dict.fromkeys(named))


def _limits(limits: Limits, preview: Preview) -> Iterator[LimitSaid]:
    counts = preview.counts
    found = {
        "operations": preview.operations,
        "files": counts.files,
        "deletes": counts.deleted_files,
        "delete_bytes": counts.deleted_bytes,
        "replacements": counts.replaced,
    }
    for key, number in found.items():
        yield _limit(key, number, getattr(limits, key))


def _days(limits: Limits, preview: Preview, days: Mapping[str, Day]) -> Iterator[LimitSaid]:
    for share in preview.by_case:
        for key in ("deletes", "delete_bytes", "replacements"):
            if getattr(share, key):
                before = used(key, days.get(share.case, Day()))
                yield _limit(f"per_day.{key}", getattr(share, key) + before, getattr(limits.per_day, key), share.case)


def _limit(key: str, found: int, allowed: int, case: str = "") -> LimitSaid:
    shown = size_for_people if key.endswith("bytes") else "{:,}".format
    return LimitSaid(limit=key, case=case, found=shown(found), allowed=shown(allowed), passed=found > allowed)
