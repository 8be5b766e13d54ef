"""treegate.toml: the settings of a workspace read from its file and from variables, strictly."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Set
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from treegate.engine.config import BY_KEY, SETTINGS, Config, variable_of
from treegate.engine.rules import Finding, Way, Wrong, item_key, unknown_groups
from treegate.errors import UsageError
from treegate.model.likeness import nearest
from treegate.model.names import visible
from treegate.model.policy import NOT_YET

FILE = "treegate.toml"
OIDC_SECRET = "TREEGATE_SERVICE_OIDC_CLIENT_SECRET"
SLACK_SECRETS = ("TREEGATE_SLACK_BOT_TOKEN", "TREEGATE_SLACK_SIGNING_SECRET", "TREEGATE_SLACK_APP_TOKEN")
WEBHOOK_SECRET = "TREEGATE_WEBHOOKS_SECRET"
SECRETS = frozenset({OIDC_SECRET, *SLACK_SECRETS, WEBHOOK_SECRET})  # read by who needs them, never part of `Config`


class _Given(NamedTuple):
    """A value that somebody set, and where; `inside` says where what is in a table stands."""

    key: str
    value: object
    origin: str
    inside: Callable[[Way], str]


def load(state_dir: Path, environ: Mapping[str, str]) -> Config:
    """The settings of the workspace whose state directory this is; without a file, all defaults.

    Variables win over the file. Raises UsageError (`config-invalid`) that names every key that is unknown, not
    acted on yet or wrong, with the file's line or the variable's name.
    """
    path = state_dir / FILE
    given = [*_from_file(_text_of(path), path), *_from_environment(environ)]
    values: dict[str, object] = {}
    last: dict[str, _Given] = {}
    problems: list[str] = []
    for one in given:
        try:
            values[one.key] = _read(one.key, one.value)
            last[one.key] = one
        except Wrong as wrong:
            problems += _inside(one, wrong.findings)
        except ValueError as error:
            problems.append(f"{one.origin}: {visible(one.key)}: {error}")
    if not problems:
        config = _build(values, {key: one.origin for key, one in last.items()})
        problems = [*_overlaps(config), *_strangers(config, last)]
    if problems:
        raise _invalid("\n".join(problems), path)
    return config


def _inside(given: _Given, findings: list[Finding]) -> Iterator[str]:
    """What is wrong inside a table, each with its own line."""
    for way, says in findings:
        name = "".join(part if part.startswith("[") else f".{visible(part)}" for part in way)
        yield f"{given.inside(way)}: {given.key}{name}: {says}"


def _strangers(config: Config, given: Mapping[str, _Given]) -> Iterator[str]:
    """Groups that a rule names and nobody made."""
    key = "policy.approval.rule"
    if key in given:
        yield from _inside(given[key], unknown_groups(config.policy.approval.rule, config.groups))


def _invalid(message: str, path: Path) -> UsageError:
    hint = "docs/configuration.md lists every key; `treegate config show` says where each value comes from"
    return UsageError(message, code="config-invalid", hint=hint, path=str(path))


_MOST = 1 << 16  # bytes of a file of settings


def _text_of(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            raw = file.read(_MOST + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _invalid(f"{FILE} cannot be read: {error.strerror}", path) from error
    if len(raw) > _MOST:
        raise _invalid(f"{FILE} has more than {_MOST:,} bytes", path)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _invalid(f"{FILE}, line {line}: the file is not UTF-8", path) from error


_LONG = re.compile("[0-9_]{1000,}")
# A key of so many parts that the parser would take time and room by the square of them.
_DEEP = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')\s*+\.\s*+){100}""")


def _document(text: str, path: Path) -> dict[str, object]:
    """The file as TOML; raises UsageError with the line where it is none, or one that nobody can have meant."""
    if deep := _DEEP.search(text):
        raise _invalid(f"{FILE}, line {_line_at(text, deep)}: a key has more than a hundred parts", path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(error), re.DOTALL)
        what, line = (found[1], found[2] or text.count("\n") + 1) if found else (str(error), 1)
        raise _invalid(f"{FILE}, line {line}: this is not TOML: {visible(what)}", path) from error
    except ValueError as error:
        line = _line_at(text, _LONG.search(text))
        raise _invalid(f"{FILE}, line {line}: a number has more digits than can be read", path) from error
    except RecursionError as error:
        raise _invalid(f"{FILE} is nested too deeply", path) from error


def _line_at(text: str, found: re.Match[str] | None) -> int:
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _from_file(text: str, path: Path) -> Iterator[_Given]:
    document, lines = _document(text, path), _lines(text)
    for key, value in sorted(_leaves((), document, _TABLES), key=lambda leaf: lines[leaf[0]]):
        dotted = ".".join(key)
        if value != {} or not any(setting.key.startswith(f"{dotted}.") for setting in SETTINGS):
            yield _Given(dotted, value, f"{FILE}, line {lines[key]}", partial(_line_of, lines, key))


_TABLES = frozenset(
    {
        ("groups",),
        ("service", "oidc", "people"),
        ("service", "oidc", "groups"),
        ("slack", "people"),
        ("slack", "commands"),
    }
)  # keys whose value is a table, with names of its own


def _leaves(prefix: Way, value: object, tables: Set[Way] = frozenset()) -> Iterator[tuple[Way, object]]:
    if isinstance(value, dict) and (value or not prefix) and prefix not in tables:
        for name, inner in value.items():
            yield from _leaves((*prefix, name), inner, tables)
    else:
        yield prefix, value


def _line_of(lines: Mapping[Way, int], key: Way, way: Way) -> str:
    """Where something inside a key's value stands: on its own line, or on that of what it is part of."""
    whole = (*key, *way)
    return next(f"{FILE}, line {lines[whole[:n]]}" for n in range(len(whole), -1, -1) if whole[:n] in lines)


# What a statement can hold that may begin or end more than a line: comments, strings, brackets, the end of a line.
_TOKEN = re.compile(
    r"""\#[^\n]*+
    | \"{3} (?:\\.|[^\\])*? \"{3} (?!\")  |  '{3} .*? '{3} (?!')
    | \" (?:\\.|[^\\"\n])*+ \"  |  ' [^'\n]*+ '
    | [\[{\]}\n]""",
    re.DOTALL | re.VERBOSE,
)
_DEEPER = {"[": 1, "{": 1, "]": -1, "}": -1}


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The statements of a document that is TOML, each with the line that it begins on: one ends with its line,
    unless something is open there."""
    depth, start, line = 0, 0, 1
    for token in _TOKEN.finditer(f"{text}\n"):
        depth += _DEEPER.get(token[0], 0)
        if token[0] == "\n" and not depth:
            statement = text[start : token.end()]
            yield line, statement
            start, line = token.end(), line + statement.count("\n")


def _lines(text: str) -> dict[Way, int]:
    """The line on which each key, each section and each item of a list of sections first stands."""
    found: dict[Way, int] = {}
    items: dict[Way, int] = {}
    section: Way = ()
    for start, statement in _statements(text):
        keys = [key for key, _ in _leaves((), tomllib.loads(statement))]
        if statement.lstrip().startswith("["):
            section, keys = _numbered(keys[0], items, statement.lstrip().startswith("[[")), [()]
        for key in keys:
            for depth in range(len(section + key) + 1):
                found.setdefault((section + key)[:depth], start)
    return found


def _numbered(section: Way, items: dict[Way, int], new: bool) -> Way:
    """The name of a section with the number of each list item that it is or lies in; `new` begins the next item."""
    found: Way = ()
    for depth, part in enumerate(section, 1):
        found = (*found, part)
        if new and depth == len(section):
            items[found] = items.get(found, 0) + 1
        if found in items:
            found = (*found, item_key(items[found]))
    return found


_SECTIONS = ("policy", "vault", "workspace", "lock", "service", "queue", "sandbox", "slack", "webhooks", "alerts")


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Given]:
    keys = {setting.variable: setting.key for setting in SETTINGS}
    ours = tuple(f"{variable_of(section)}_" for section in _SECTIONS)
    for name in sorted(environ):
        known = keys.get(name)
        if known or (name.startswith(ours) and name not in SECRETS):
            value = BY_KEY[known].kind.from_text(environ[name]) if known else None
            yield _Given(known or _meant_by(name), value, name, partial(_by_variable, name))


def _by_variable(name: str, way: Way) -> str:
    return name


def _meant_by(variable: str) -> str:
    """The key that an unknown variable seems to stand for: one that is not acted on yet, or none there is."""
    later = [key for key in NOT_YET if variable.startswith(variable_of(key))]
    return later[0] if later else variable.removeprefix("TREEGATE_").lower()


def _read(key: str, value: object) -> object:
    """The value of a key as `Config` holds it; raises ValueError with a sentence."""
    later = [known for known in NOT_YET if key == known or key.startswith(f"{known}.")]
    if later:
        raise ValueError(f"{NOT_YET[later[0]]} come with a later version; this one refuses what it does not act on")
    if any(setting.key.startswith(f"{key}.") for setting in SETTINGS):
        raise ValueError(f"is a section, [{key}], and takes no value of its own")
    if key not in BY_KEY:
        raise ValueError(_unknown(key))
    return BY_KEY[key].kind.read(value)


def _unknown(key: str) -> str:
    last = key.rpartition(".")[2]
    if re.search("secret|token|password|passwd|private|credential|api_?key", last, re.IGNORECASE):
        return f"is not a key; secrets come from variables or files of their own, never from {FILE}"
    alike = [known for known in BY_KEY if known.rpartition(".")[2] == last]
    outer = [known for known in alike if known.count(".") == min(other.count(".") for other in alike)]
    near = outer[0] if len(outer) == 1 else nearest(key, [*BY_KEY, *NOT_YET])
    return f"is not a key; did you mean {near}?" if near else "is not a key"


def _build(values: Mapping[str, object], origins: Mapping[str, str]) -> Config:
    """The settings; the groups are kept with the policy that they are part of."""
    moved = {"policy.groups" if key == "groups" else key: value for key, value in values.items()}
    return msgspec.convert({**_nested(moved), "origins": origins}, Config)


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
