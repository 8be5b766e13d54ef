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
from typing import NamedTuple, TypeVar

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
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("is not UTF-8")
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
    except (tomllib.TOMLDecodeError, RecursionError):
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
        if endless and text == endless:
            return None
        try:
            return parse(text)
        except ValueError as error:
            raise ValueError(f'{error}, or "{endless}"' if endless else str(error)) from None

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

    return Kind(whole, read, _quoted, from_text)


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
        return _value(Config(), self.key)


def _variable(key: str) -> str:
    return "TREEGATE_" + key.upper().replace(".", "_")


_PATTERNS = _list("a list of patterns", _pattern)
_DURATION = _measure('a duration such as "10s"', parse_duration, write_duration)

SETTINGS = (
    Setting("lock_wait", _DURATION, "How long a command waits for a case that another one is changing."),
    Setting(
        "workspace.projects", _folder("."), 'The folder whose folders are the cases; "." is the workspace itself.'
    ),
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
    Setting(
        "policy.allow.paths", _PATTERNS, "What plans may touch. Paths start at the case, or at projects after a /."
    ),
    Setting(
        "policy.protect.paths", _PATTERNS, "What no plan may touch, with all that lies under it; wins over allow."
    ),
    Setting("policy.limits.operations", _count(1), "Operations in one plan."),
    Setting("policy.limits.files", _count(0), "Files that one plan touches, those in moved folders included."),
    Setting("policy.limits.deletes", _count(0), "Files that one plan deletes, net: a rename is not a delete."),
    Setting(
        "policy.limits.delete_share", _share(), "The share of a case's files that one plan deletes; 1 is no limit."
    ),
    Setting(
        "policy.limits.delete_bytes",
        _measure('a size such as "5 GiB"', parse_size, write_size),
        "Bytes that one plan deletes.",
    ),
    Setting(
        "policy.limits.delete_share_from",
        _count(1),
        "The share is looked at from this many deleted files of a case on, so that small cases stay usable.",
    ),
    Setting("policy.limits.replacements", _count(0), "Files whose content one plan replaces."),
    Setting(
        "policy.names.rules",
        _list("a list of " + ", ".join(RULES), _among(tuple(RULES)), alone="auto"),
        "What names that a plan makes must obey; auto asks the mount.",
    ),
    Setting("policy.backup.before_moves", _choice("off"), "Copies made before files are moved: not in this version."),
    Setting("policy.approval.required", _count(1), "How many people must approve a plan."),
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


# --- reading ---------------------------------------------------------------------------------------------------


class _Given(NamedTuple):
    """A value that somebody set, and where."""

    key: str
    value: object
    origin: str


def load(state_dir: Path, environ: Mapping[str, str]) -> Config:
    """The settings of the workspace whose state directory this is; without a file, all defaults.

    Variables win over the file. Raises UsageError (`config-invalid`) that names every key that is unknown, not
    acted on yet or wrong, with the file's line or the variable's name.
    """
    path = state_dir / FILE
    given = [*_from_file(_text_of(path), path), *_from_environment(environ)]
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    problems = []
    for key, value, origin in given:
        try:
            values[key] = _read(key, value)
            origins[key] = origin
        except ValueError as error:
            problems.append(f"{origin}: {visible(key)}: {error}")
    if not problems:
        config = _build(values, origins)
        problems = list(_overlaps(config))
    if problems:
        raise _invalid("\n".join(problems), path)
    return config


def _invalid(message: str, path: Path) -> UsageError:
    hint = "docs/configuration.md lists every key; `treegate config show` says where each value comes from"
    return UsageError(message, code="config-invalid", hint=hint, path=str(path))


def _text_of(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _invalid(f"{FILE} cannot be read: {error.strerror}", path) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _invalid(f"{FILE}, line {line}: the file is not UTF-8", path) from error


def _from_file(text: str, path: Path) -> Iterator[_Given]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(error), re.DOTALL)
        what, line = (found[1], found[2] or text.count("\n") + 1) if found else (str(error), 1)
        raise _invalid(f"{FILE}, line {line}: this is not TOML: {visible(what)}", path) from error
    except RecursionError as error:
        raise _invalid(f"{FILE} is nested too deeply", path) from error
    lines = _lines(text)
    for key, value in sorted(_leaves((), document), key=lambda leaf: lines[leaf[0]]):
        dotted = ".".join(key)
        if value != {} or not any(setting.key.startswith(f"{dotted}.") for setting in SETTINGS):
            yield _Given(dotted, value, f"{FILE}, line {lines[key]}")


def _leaves(prefix: tuple[str, ...], value: object) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, dict) and (value or not prefix):
        for name, inner in value.items():
            yield from _leaves((*prefix, name), inner)
    else:
        yield prefix, value


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """The line on which each key, and each section, first stands.

    A statement of TOML ends with its line and can be parsed on its own: so lines are gathered until they parse.
    """
    found: dict[tuple[str, ...], int] = {}
    section: tuple[str, ...] = ()
    statement, start = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        statement += line + "\n"
        try:
            parsed = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        keys = [key for key, _ in _leaves((), parsed)]
        if statement.lstrip().startswith("["):
            section, keys = keys[0], [()]
        for key in keys:
            for depth in range(len(section + key) + 1):
                found.setdefault((section + key)[:depth], start)
        statement, start = "", number + 1
    return found


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Given]:
    keys = {setting.variable: setting.key for setting in SETTINGS}
    ours = tuple(f"{_variable(section)}_" for section in ("policy", "vault", "workspace", "lock"))
    for name in sorted(environ):
        if name in keys:
            yield _Given(keys[name], _BY_KEY[keys[name]].kind.from_text(environ[name]), name)
        elif name.startswith(ours):
            yield _Given(_meant_by(name), None, name)


def _meant_by(variable: str) -> str:
    """The key that an unknown variable seems to stand for: one that is not acted on yet, or none there is."""
    later = [key for key in NOT_YET if variable.startswith(_variable(key))]
    return later[0] if later else variable.removeprefix("TREEGATE_").lower()


def _read(key: str, value: object) -> object:
    """The value of a key as `Config` holds it; raises ValueError with a sentence."""
    later = [known for known in NOT_YET if key == known or key.startswith(f"{known}.")]
    if later:
        raise ValueError(f"{NOT_YET[later[0]]} come with a later version; this one refuses what it does not act on")
    if any(setting.key.startswith(f"{key}.") for setting in SETTINGS):
        raise ValueError(f"is a section, [{key}], and takes no value of its own")
    if key not in _BY_KEY:
        raise ValueError(_unknown(key))
    return _BY_KEY[key].kind.read(value)


def _unknown(key: str) -> str:
    last = key.rpartition(".")[2]
    if re.search("secret|token|password|passwd|private|credential|api_?key", last, re.IGNORECASE):
        return f"is not a key; secrets come from variables or files of their own, never from {FILE}"
    alike = [known for known in _BY_KEY if known.rpartition(".")[2] == last]
    near = alike[0] if len(alike) == 1 else nearest(key, [*_BY_KEY, *NOT_YET])
    return f"is not a key; did you mean {near}?" if near else "is not a key"


def _build(values: Mapping[str, object], origins: Mapping[str, str]) -> Config:
    return msgspec.convert({**_nested(values), "origins": origins}, Config)


def _nested(values: Mapping[str, object]) -> dict[str, object]:
    """Values by dotted key, as objects within objects."""
    here = {key: value for key, value in values.items() if "." not in key}
    for section in dict.fromkeys(key.partition(".")[0] for key in values if "." in key):
        prefix = f"{section}."
        here[section] = _nested({key.removeprefix(prefix): values[key] for key in values if key.startswith(prefix)})
    return here


def _overlaps(config: Config) -> Iterator[str]:
    """Folders of the workspace that are the same, or one inside the other."""
    names = ("projects", "reports", "database", "tools")
    folders = [(f"workspace.{name}", getattr(config.workspace, name)) for name in names]
    for i, (key, folder) in enumerate(folders):
        for other, path in folders[:i]:
            if folder == path or folder.startswith(f"{path}/") or path.startswith(f"{folder}/"):
                origin = config.origins.get(key) or config.origins.get(other)
                yield f"{origin}: {key}: '{visible(folder)}' and {other} '{visible(path)}' are not apart"


# --- what people read ------------------------------------------------------------------------------------------


class Shown(NamedTuple):
    """One setting as it holds: its value as TOML, and "default" or where it was set."""

    key: str
    value: str
    origin: str


def show(config: Config) -> list[Shown]:
    """Every setting in the order of the table, with where its value comes from."""
    return [
        Shown(
            setting.key, setting.kind.write(_value(config, setting.key)), config.origins.get(setting.key, "default")
        )
        for setting in SETTINGS
    ]


def default_toml(changes: Mapping[str, object] | None = None) -> str:
    """A treegate.toml in which every key stands commented out with its default; `changes` are set in it.

    A comment begins with `# `, a key or section that is commented out with `#` alone. Raises ValueError or
    KeyError for a change that the file could not hold.
    """
    changed = dict(changes or {})
    lines = [
        "# What stands here commented out is the default. docs/configuration.md says more.",
        "# A variable wins over this file: TREEGATE_POLICY_LIMITS_DELETES=20. Secrets never stand here.",
    ]
    section = ""
    for setting in SETTINGS:
        if setting.section != section:
            section = setting.section
            used = any(key.rpartition(".")[0] == section for key in changed)
            lines += ["", f"{'' if used else '#'}[{section}]"]
        value = changed.pop(setting.key, setting.default)
        mark = "" if value != setting.default else "#"
        lines += [f"# {setting.meaning}", f"{mark}{setting.key.rpartition('.')[2]} = {setting.kind.write(value)}"]
    if changed:
        raise KeyError(f"no such key: {', '.join(changed)}")
    return "\n".join(lines) + "\n"


def reference() -> str:
    """The tables of docs/configuration.md, in Markdown."""
    lines = []
    section = None
    for setting in SETTINGS:
        if setting.section != section:
            section = setting.section
            title = f"`[{section}]`" if section else "At the top of the file"
            lines += ["", f"## {title}", "", "| key | takes | default | meaning |", "|---|---|---|---|"]
        key, default = setting.key.rpartition(".")[2], setting.kind.write(setting.default)
        lines.append(f"| `{key}` | {setting.kind.described} | `{default}` | {setting.meaning} |")
    lines += ["", "## Not in this version", "", "These keys are known and refused, for nothing acts on them yet:", ""]
    lines += [f"- `{key}`: {what}" for key, what in NOT_YET.items()]
    return "\n".join(lines).lstrip("\n") + "\n"


def _value(config: Config, key: str) -> object:
    value: object = config
    for name in key.split("."):
        value = getattr(value, name)
    return value
