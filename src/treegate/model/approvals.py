"""Who must say yes: rules by condition, of which all that match count and the strictest wins.

asked(policy.approval, subject)         what one plan must have, and why; sealed in its preview
missing(asked, given, groups)           how many are still to come, and from whom
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from treegate.model.conditions import Subject, When, weigh
from treegate.model.measures import HOUR, write_duration
from treegate.model.names import visible

BASE = "policy.approval"
GROUP, ROLE = "group:", "role:"

Groups = Mapping[str, tuple[str, ...]]


class Rule(msgspec.Struct, frozen=True, kw_only=True, rename={"people": "from"}):
    """Who must approve plans that are so and so; no `people`: anyone who may decide."""

    name: str = ""
    when: When = When()
    required: int
    people: tuple[str, ...] = ()  # "group:partners", "role:admin", or a person's name


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """How many people must say yes, whether an author may be one of them, and for how long (ms) it holds."""

    required: int = 1
    own: bool = False
    expires: int = 72 * HOUR
    typed_deletes: int = 20  # deleted files above which an approval on the pages has to bring their number
    rule: tuple[Rule, ...] = ()


class Asked(msgspec.Struct, frozen=True, kw_only=True, rename={"people": "from"}):
    """One rule as it was weighed for one plan, and why it matches or does not."""

    rule: str  # its name, or where it stands: "policy.approval.rule[2]"
    required: int
    people: list[str] = []  # empty: anyone who may decide
    why: str


class Approvals(msgspec.Struct, frozen=True, kw_only=True):
    """What policy asks for before a plan may be applied, and why."""

    required: int  # of the strictest rule; 0 where no person is asked
    own: bool  # whether an author may approve their own plan
    expires: str  # how long an approval holds, such as "72h"
    why: list[str]
    rules: list[Asked] = []  # each of these must have what it asks for
    unmatched: list[Asked] = []  # rules that ask nothing of this plan


class Yes(NamedTuple):
    """One person's standing approval."""

    person: str
    role: str


class Missing(msgspec.Struct, frozen=True):
    """How many approvals a rule still waits for, and from whom."""

    count: int
    people: tuple[str, ...]  # as the rule says it; empty: anyone who may decide


def asked(approval: Approval, subject: Subject) -> Approvals:
    """What a plan must have before it is applied.

    The base requirement holds beside every rule that asks for people. A rule that asks for nobody lifts it, but only
    where no rule matches that asks for somebody.
    """
    asking: list[Asked] = []
    sparing: list[Asked] = []
    unmatched: list[Asked] = []
    for number, rule in enumerate(approval.rule, 1):
        holds, found = _weighed(rule, number, subject)
        (unmatched if not holds else asking if rule.required else sparing).append(found)
    if asking:
        unmatched += [_set_aside(rule, asking) for rule in sparing]
    base = Asked(rule=BASE, required=approval.required, why=f"{BASE}.required = {approval.required}")
    rules = [base, *asking] if asking or not sparing else sparing
    return Approvals(
        required=max(rule.required for rule in rules),
        own=approval.own,
        expires=write_duration(approval.expires),
        why=[told(rule) for rule in rules],
        rules=rules,
        unmatched=unmatched,
    )


def title(rule: Rule, number: int) -> str:
    """What a rule is called: its own name, or where it stands, counted from 1."""
    return rule.name or f"{BASE}.rule[{number}]"


def _weighed(rule: Rule, number: int, subject: Subject) -> tuple[bool, Asked]:
    found = weigh(rule.when, subject, sparing=not rule.required)
    failing = [one.says for one in found if not one.holds]
    why = "; ".join(failing or [one.says for one in found]) or "it is for every plan"
    made = Asked(rule=title(rule, number), required=rule.required, people=list(rule.people), why=why)
    return not failing, made


def _set_aside(rule: Asked, asking: Sequence[Asked]) -> Asked:
    others = ", ".join(other.rule for other in asking)
    return msgspec.structs.replace(rule, why=f"it asks for nobody, which counts only alone; {others} matches too")


def told(rule: Asked) -> str:
    """A rule that matches, in words."""
    if rule.rule == BASE:
        return rule.why
    if not rule.required:
        return f"{rule.rule} asks for nobody: {rule.why}"
    return f"{rule.rule} asks for {rule.required:,}{_whose(rule.people)}: {rule.why}"


def _whose(people: Sequence[str]) -> str:
    return f" of {' or '.join(visible(_short(one)) for one in people)}" if people else ""


def _short(one: str) -> str:
    return one.removeprefix(GROUP)


# --- who is missing --------------------------------------------------------------------------------------------


def missing(approvals: Approvals, given: Iterable[Yes], groups: Groups) -> list[Missing]:
    """What the rules still wait for; empty where the plan has all that it needs."""
    standing = list(given)
    rules = approvals.rules or [Asked(rule=BASE, required=max(approvals.required, 1), why="")]
    found = []
    for rule in rules:
        count = rule.required - len({yes.person for yes in standing if counts_for(rule.people, yes, groups)})
        if count > 0:
            found.append(Missing(count, tuple(rule.people)))
    return found


def counts_for(people: Sequence[str], yes: Yes, groups: Groups) -> bool:
    """Whether an approval is one of those that a rule's `from` asks for."""
    return not people or any(_is(one, yes, groups) for one in people)


def _is(one: str, yes: Yes, groups: Groups) -> bool:
    if one.startswith(GROUP):
        return yes.person in groups.get(one.removeprefix(GROUP), ())
    return yes.role == one.removeprefix(ROLE) if one.startswith(ROLE) else yes.person == one


def waiting(found: Iterable[Missing], groups: Groups, given: Iterable[Yes], authors: Sequence[str] = ()) -> str:
    """Who is missing, in words: "2 of partners (anna, ben)"; `authors` are those who may not approve.

    "Anyone" is left out where someone in particular is missing as well, whose approval will count for both.
    """
    out = {*authors, *(yes.person for yes in given)}
    listed = list(dict.fromkeys(found))
    named = [one for one in listed if one.people]
    most = max((one.count for one in named), default=0)
    open_to_all = [one for one in listed if not one.people and one.count > most]
    words = [_wanted(one, groups, out) for one in named] + [_anyone(one, authors) for one in open_to_all]
    return " and ".join(words)


def _anyone(one: Missing, authors: Sequence[str]) -> str:
    who = "a reviewer" if one.count == 1 else f"{one.count} reviewers"
    return f"{who} other than {' or '.join(authors)}" if authors else who


def _wanted(one: Missing, groups: Groups, out: set[str]) -> str:
    members = dict.fromkeys(visible(name) for name in _members(one.people, groups) if name not in out)
    roles = [name for name in one.people if name.startswith(ROLE)]
    lacking = not roles and len(members) < one.count
    names = ", ".join(members)
    only = names if not lacking else f"only {names} can, which is not enough" if names else "nobody can"
    plain = list(one.people) == [name for name in one.people if not name.startswith((GROUP, ROLE))]
    if plain and not lacking:
        return f"{one.count} of {names}" if len(members) > 1 else names
    return f"{one.count}{_whose(one.people)}{f' ({only})' if only else ''}"


def _members(people: Iterable[str], groups: Groups) -> Iterator[str]:
    for one in people:
        if one.startswith(GROUP):
            yield from groups.get(one.removeprefix(GROUP), ())
        elif not one.startswith(ROLE):
            yield one
