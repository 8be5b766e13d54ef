"""Rules of approval and groups of people in treegate.toml: tables read strictly, and written on one line.

What is wrong inside a table is told as `Wrong`, with the way to it, so that the file's line can be named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from treegate.engine.values import Kind, among, as_toml, count, flag, list_of, of_type, pattern, quoted, type_of
from treegate.model.actors import Role
from treegate.model.approvals import GROUP, ROLE, Rule
from treegate.model.conditions import CLASSES, FIGURES, Bound, When
from treegate.model.likeness import nearest
from treegate.model.names import visible

Way = tuple[str, ...]
Read = Callable[[object], Any]


class Finding(NamedTuple):
    """What is wrong, and the way to it below the setting's own key: ("[2]", "when", "deletes")."""

    way: Way
    says: str


class Wrong(ValueError):
    """What is wrong inside a table: all of it."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(finding.says for finding in findings))
        self.findings = findings


def rules() -> Kind:
    """Rules of approval: each a [[policy.approval.rule]]."""
    described = "tables with `required`, and `when`, `from`, `name` where wanted"

    def read(value: object) -> tuple[Rule, ...]:
        items = of_type(list, value, described)
        return tuple(all_of({item_key(n): partial(_rule, item) for n, item in enumerate(items, 1)}).values())

    def write(value: object) -> str:
        return f"[{', '.join(map(_written_rule, value))}]" if isinstance(value, tuple) else "[]"

    return Kind(described, read, write, as_toml)


def item_key(number: int) -> str:
    """How an item of a list of tables is named in a way; they count from 1."""
    return f"[{number}]"


def groups() -> Kind:
    """Groups of people: names by the group's name, which is free."""
    described = 'a list of names for each group: partners = ["anna", "ben"]'

    def read(value: object) -> dict[str, tuple[str, ...]]:
        found = of_type(dict, value, described)
        return all_of({name: partial(_group, name, people) for name, people in found.items()})

    def write(value: object) -> str:
        named = value if isinstance(value, Mapping) else {}
        return inline({name: _texts(people) or "[]" for name, people in named.items()}) or "{}"

    return Kind(described, read, write, as_toml)


# --- reading ---------------------------------------------------------------------------------------------------


def all_of(reads: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """What each reads; raises Wrong with all that is wrong."""
    found, findings = {}, []
    for key, read in reads.items():
        try:
            found[key] = read()
        except Wrong as wrong:
            findings += [Finding((key, *finding.way), finding.says) for finding in wrong.findings]
        except ValueError as error:
            findings.append(Finding((key,), str(error)))
    if findings:
        raise Wrong(findings)
    return found


def table(value: object, fields: Mapping[str, Read], what: str) -> dict[str, Any]:
    """A table whose keys are known."""
    if not isinstance(value, dict):
        raise ValueError(f"must be a table, not {type_of(value)}")
    return all_of(
        {key: partial(fields.get(key) or partial(_unknown, key, fields, what), at) for key, at in value.items()}
    )


def _unknown(key: str, fields: Mapping[str, Read], what: str, value: object) -> None:
    near = nearest(key, list(fields))
    raise ValueError(f"is not {what}; " + (f"did you mean {near}?" if near else f"there are {', '.join(fields)}"))


def _rule(value: object) -> Rule:
    found = table(value, _RULE, "a key of a rule")
    if "required" not in found:
        raise ValueError("does not say how many must approve: `required` is missing")
    rule = Rule(
        name=found.get("name", ""),
        when=found.get("when", When()),
        required=found["required"],
        people=found.get("from", ()),
    )
    if not rule.required:
        _check_sparing(rule)
    return rule


def _check_sparing(rule: Rule) -> None:
    """A rule that asks for nobody has to say plainly for what."""
    if rule.people:
        raise ValueError("asks for nobody (required = 0), and yet names people in `from`")
    if rule.when == When():
        raise ValueError("asks for nobody (required = 0), whatever the plan does; say `when`, best with `only`")
    if rule.when.any:
        raise ValueError("asks for nobody (required = 0), and `any` leaves open what else may happen; use `only`")


def _when(value: object) -> When:
    found = table(value, _CONDITIONS, "a condition")
    figures = tuple(found.pop(key) for key in FIGURES if key in found)
    return When(figures=figures, **found)


def _bound(of: str, value: object) -> Bound:
    return Bound.parse(of, of_type(str, value, 'a comparison in quotes, such as ">20"'))


def _filled(kind: Kind) -> Read:
    """A list that holds something: an empty one could be taken for everything or for nothing."""

    def read(value: object) -> object:
        found = kind.read(value)
        if not found:
            raise ValueError(f"must be {kind.described}, and not empty")
        return found

    return read


def _some(text: str) -> None:
    if not text.strip():
        raise ValueError("holds an empty name")


def _person(text: str) -> None:
    """A check for `from`; whether its groups exist is seen once all of the file is read."""
    _some(text)
    if text.startswith(ROLE):
        among(tuple(Role))(text.removeprefix(ROLE))
    elif ":" in text and not text.startswith(GROUP):
        raise ValueError(f"holds '{visible(text)}'; write a person's name, group:NAME or role:NAME")


_NAMES = _filled(list_of("a list of names", _some))
_CLASSES = _filled(list_of("a list of " + ", ".join(CLASSES), among(CLASSES)))
_CONDITIONS: Mapping[str, Read] = {
    **{figure: partial(_bound, figure) for figure in FIGURES},
    "only": _CLASSES,
    "any": _CLASSES,
    "paths": _filled(list_of("a list of patterns", pattern)),
    "case": _NAMES,
    "author": _NAMES,
    "mount_weak": flag().read,
}
_RULE: Mapping[str, Read] = {
    "when": _when,
    "required": count(0).read,
    "from": _filled(list_of("a list of names, group:NAME or role:NAME", _person)),
    "name": lambda value: of_type(str, value, "text"),
}


def _group(name: str, people: object) -> object:
    if not name.strip() or ":" in name:
        raise ValueError("is no name for a group: it must hold something, and no colon")
    return list_of("a list of names", _some).read(people)


def unknown_groups(given: Iterable[Rule], known: Iterable[str]) -> list[Finding]:
    """The groups that rules name and nobody made."""
    names = list(known)
    return [
        Finding((item_key(number), "from"), _no_group(one.removeprefix(GROUP), names))
        for number, rule in enumerate(given, 1)
        for one in rule.people
        if one.startswith(GROUP) and one.removeprefix(GROUP) not in names
    ]


def _no_group(name: str, known: list[str]) -> str:
    near = nearest(name, known)
    made = f"did you mean {near}?" if near else f'make it under [groups]: {visible(name)} = ["anna", "ben"]'
    return f"there is no group '{visible(name)}'; {made}"


# --- writing ---------------------------------------------------------------------------------------------------


def _written_rule(rule: Rule) -> str:
    when = {bound.of: quoted(bound.written()) for bound in rule.when.figures}
    when |= {key: _texts(getattr(rule.when, key)) for key in ("only", "any", "paths", "case", "author")}
    if rule.when.mount_weak is not None:
        when["mount_weak"] = str(rule.when.mount_weak).lower()
    return inline(
        {
            "name": quoted(rule.name) if rule.name else "",
            "when": inline(when),
            "required": str(rule.required),
            "from": _texts(rule.people),
        }
    )


def _texts(items: Iterable[str]) -> str:
    """A list of texts, or "" for an empty one."""
    found = ", ".join(map(quoted, items))
    return f"[{found}]" if found else ""


def inline(values: Mapping[str, str]) -> str:
    """A table on one line, of values as TOML; empty ones are left out, and an empty table is ""."""
    found = ", ".join(f"{_key(key)} = {value}" for key, value in values.items() if value)
    return f"{{ {found} }}" if found else ""


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else quoted(name)
