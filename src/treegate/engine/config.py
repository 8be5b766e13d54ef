"""treegate.toml: how one workspace is set up and what its policy is, read strictly.

`SETTINGS` is the one table of keys: the reader, the environment variables, the reference page and the default
file all come from it. Defaults stand in the structs (`Config`, and `Policy` in the model). To add a key, add its
field there and its row here.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import msgspec

from treegate.errors import UsageError
from treegate.model.globs import PathRule
from treegate.model.names import RULES, nearest, visible
from treegate.model.policy import (
    DAY,
    MOST,
    NOT_YET,
    SECOND,
    Policy,
    parse_duration,
    parse_size,
    write_duration,
    write_size,
)

FILE = "treegate.toml"


class Folders(msgspec.Struct, frozen=True, kw_only=True):
    """Where things lie in the workspace, relative to it."""

    projects: str = "projects"
    reports: str = "Reports"
    database: str = "Database"
    tools: str = "Tools"
    single: bool = False


class Vault(msgspec.Struct, frozen=True, kw_only=True):
    """How long (ms) and up to what size (bytes) what went away is kept; None is without end."""

    keep: int | None = 90 * DAY
    max_size: int | None = None


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of a workspace, and where each that is not a default came from."""

    workspace: Folders = Folders()
    vault: Vault = Vault()
    policy: Policy = Policy()
    lock_wait: int = 10 * SECOND  # ms
    origins: Mapping[str, str] = {}  # key -> "treegate.toml, line 12" or "TREEGATE_LOCK_WAIT"


# --- kinds of values -------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """A kind of value: how it is described, read from TOML, read from a variable's text, and written as TOML."""

    described: str
    read: Callable[[object], object]  # raises ValueError with a sentence
    write: Callable[[object], str]
    from_text: Callable[[str], object] = str  # what a variable's text stands for in TOML


T = TypeVar("T")


def _of(kind: type[T], value: object, described: str) -> T:
    """The value if it is of that very type: true is no number here."""
    if type(value) is not kind:
        raise ValueError(f"must be {described}, not {_type_of(value)}")
    return value


def _type_of(value: object) -> str:
    names = {str: "text", bool: "true or false", int: "a whole number", float: "a fraction", list: "a list"}
    return names.get(type(value), "a section" if isinstance(value, dict) else "a date or time")


def _quoted(value: object) -> str:
    """Text as a TOML string; a TOML basic string takes what a JSON one takes."""
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _number(text: str) -> object:
    """A variable's text as the number or truth value it stands for, or as the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"] if "\n" not in text else text
    except tomllib.TOMLDecodeError:
        return text


def _count(least: int) -> Kind:
    described = f"a whole number, {least} or more"

    def read(value: object) -> int:
        number = _of(int, value, described)
        if not least <= number <= MOST:
            raise ValueError(f"must be {described}, not {number}")
        return number

    return Kind(described, read, lambda value: f"{value:_}", _number)


def _share() -> Kind:
    described = "a number from 0 to 1"

    def read(value: object) -> float:
        number = float(value) if type(value) is int else _of(float, value, described)
        if not 0 <= number <= 1:
            raise ValueError(f"must be {described}, not {number}")
        return number

    return Kind(described, read, repr, _number)


def _flag() -> Kind:
    described = "true or false"
    return Kind(described, lambda value: _of(bool, value, described), lambda value: str(value).lower(), _number)


def _measure(what: str, parse: Callable[[str], int], write: Callable[[int], str], endless: str = "") -> Kind:
    """A size or a duration; `endless` is the word, if there is one, for having none."""
    described = f'{what}, or "{endless}"' if endless else what

    def read(value: object) -> int | None:
        text = _of(str, value, described)
        return None if endless and text == endless else parse(text)

    def written(value: object) -> str:
        return _quoted(write(value) if isinstance(value, int) else endless)

    return Kind(described, read, written)


def _choice(*words: str) -> Kind:
    described = "one of " + ", ".join(f'"{word}"' for word in words) if len(words) > 1 else f'"{words[0]}"'

    def read(value: object) -> str:
        if _of(str, value, described) not in words:
            raise ValueError(f"must be {described}, not '{visible(str(value))}'")
        return str(value)

    return Kind(described, read, _quoted)


def _list(described: str, check: Callable[[str], object], alone: str = "") -> Kind:
    """A list of texts, each of which `check` accepts; `alone` is a word that may stand instead of a list."""
    whole = f'{described}, or "{alone}"' if alone else described

    def read(value: object) -> object:
        if alone and value == alone:
            return alone
        items = [_of(str, item, f"{whole}, each in quotes") for item in _of(list, value, whole)]
        for item in items:
            check(item)
        return tuple(dict.fromkeys(items))

    def from_text(text: str) -> object:
        listed = _number(text)
        if isinstance(listed, list) or (alone and text == alone):
            return listed if isinstance(listed, list) else text
        return [item.strip() for item in text.split(",") if item.strip()]

    return Kind(whole, read, lambda value: _quoted(value), from_text)


def _among(words: tuple[str, ...]) -> Callable[[str], object]:
    def check(item: str) -> None:
        if item not in words:
            near = nearest(item, words)
            meant = f"; did you mean '{near}'?" if near else ""
            raise ValueError(f"holds '{visible(item)}', but knows only {', '.join(words)}{meant}")

    return check


def _pattern(item: str) -> None:
    try:
        PathRule.parse(item, itself=True)
    except ValueError as error:
        raise ValueError(f"holds the pattern '{visible(item)}': {error}") from None


def _folder(alone: str = "") -> Kind:
    described = "a folder's path relative to the workspace" + (f', or "{alone}"' if alone else "")

    def read(value: object) -> str:
        path = _of(str, value, described)
        bad = not path or path.startswith("/") or "\0" in path or {"", ".", "..", ".treegate"} & set(path.split("/"))
        if bad and not (alone and path == alone):
            raise ValueError(f"must be {described}, not '{visible(path)}'")
        return path

    return Kind(described, read, _quoted)


# --- the table -------------------------------------------------------------------------------------------------


class Setting(NamedTuple):
    """One key: where it stands in the file and in `Config`, what it takes, what it means."""

    key: str
    kind: Kind
    meaning: str

    @property
    def variable(self) -> str:
        return _variable(self.key)

    @property
    def section(self) -> str:
        return self.key.rpartition(".")[0]

    @property
    def default(self) -> object:
        value: object = Config()
        for name in self.key.split("."):
            value = getattr(value, name)
        return value


def _variable(key: str) -> str:
    return "TREEGATE_" + key.upper().replace(".", "_")


_PATTERNS = _list("a list of patterns", _pattern)
_DURATION = _measure('a duration such as "10s"', parse_duration, write_duration)

SETTINGS = (
    Setting("lock_wait", _DURATION, "How long a command waits for a case that another one is changing."),
    Setting("workspace.projects", _folder("."), 'The folder whose folders are the cases; "." is the workspace itself.'),
    Setting("workspace.reports", _folder(), "The folder for reports on plans."),
    Setting("workspace.database", _folder(), "The folder for the records of runs, and for the queue."),
    Setting("workspace.tools", _folder(), "The folder for tools."),
    Setting("workspace.single", _flag(), "Whether the projects folder is itself the one case."),
    Setting(
        "vault.keep",
        _measure('a duration such as "90d"', parse_duration, write_duration, "forever"),
        "How long deleted and replaced files are kept, and so how long a run can be undone.",
    ),
    Setting(
        "vault.max_size",
        _measure('a size such as "50 GiB"', parse_size, write_size, "unlimited"),
        "Above this size the oldest runs are let go first, even before their time.",
    ),
    Setting("policy.weak_mounts", _choice("refuse", "allow"), "What to do where a mount's fsync is not durable."),
    Setting("policy.allow.paths", _PATTERNS, "What plans may touch. Paths start at the case, or at projects after a /."),
    Setting("policy.protect.paths", _PATTERNS, "What no plan may touch, with all that lies under it; wins over allow."),
    Setting("policy.limits.operations", _count(1), "Operations in one plan."),
    Setting("policy.limits.files", _count(0), "Files that one plan touches, those in moved folders included."),
    Setting("policy.limits.deletes", _count(0), "Files that one plan deletes, net: a rename is not a delete."),
    Setting("policy.limits.delete_share", _share(), "The share of a case's files that one plan deletes; 1 is no limit."),
    Setting(
        "policy.limits.delete_bytes",
        _measure('a size such as "5 GiB"', parse_size, write_size),
        "Bytes that one plan deletes.",
    ),
    Setting("policy.limits.replacements", _count(0), "Files whose content one plan replaces."),
    Setting(
        "policy.names.rules",
        _list("a list of " + ", ".join(RULES), _among(tuple(RULES)), alone="auto"),
        "What names that a plan makes must obey; auto asks the mount.",
    ),
    Setting("policy.backup.before_moves", _choice("off"), "Copies made before files are moved: not in this version."),
    Setting("policy.approval.required", _count(0), "How many people must approve a plan."),
    Setting("policy.approval.own", _flag(), "Whether one may approve a plan of one's own."),
    Setting("policy.approval.expires", _DURATION, "How long an approval holds."),
    Setting("policy.apply.on_approval", _flag(), "Whether the last approval starts the run at once."),
    Setting(
        "policy.apply.by",
        _list("a list of roles", _among(("operator", "reviewer", "author", "admin"))),
        "The roles that may apply what is approved.",
    ),
)
_BY_KEY = {setting.key: setting for setting in SETTINGS}
