"""Globs: which paths a pattern means.

A pattern is read component by component, as it stands, in no locale and with no folding of case. `*` is any run
of characters, `?` one character (or one byte that is not UTF-8), `[a-z]` and `[!a-z]` one of a class; none of
them reaches across a `/`. `**` stands alone in its component and crosses any number of folders, none included;
at the end it means everything below. There is no escape character: `[*]` is a star. Braces mean nothing here.

Two readers of such patterns live here. `Glob` is the `match` and `except` of a plan: a name that begins with a
dot is meant only where the dot is written, and a trailing `/` asks for folders. `PathRules` are the patterns of a
policy: hidden names are meant too, and a pattern covers what lies under the folder it names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from treegate.model.names import visible

LONGEST = 10_000  # characters of a pattern; a path has no more than 4,095 bytes


class PatternError(ValueError):
    """A pattern, or a template of new names, that cannot be read; `position` counts characters from 1."""

    def __init__(self, sentence: str, position: int) -> None:
        super().__init__(f"{visible(sentence)} (at character {position})")
        self.position = position


class Part(NamedTuple):
    """One component of a pattern. A `deep` one is `**`; it `accepts` the folders that it may cross."""

    source: str  # a regular expression for one name
    literal: str | None  # the one name that it means, where it holds no magic
    accepts: Callable[[str], object]
    deep: bool = False


# --- one component ---------------------------------------------------------------------------------------------


def _component(text: str, at: int, hidden: bool) -> Part:
    """Read one component that begins at character `at`."""
    if text == "**":
        return _part("[^/]+" if hidden else r"(?!\.)[^/]+", deep=True)
    if not text:
        raise PatternError("the pattern has an empty component", at)
    if text in (".", ".."):
        raise PatternError(f"the pattern has the component '{text}', which no name can match", at)
    if "**" in text:
        raise PatternError("'**' must stand alone between slashes", at + text.index("**"))
    if not any(magic in text for magic in "*?["):
        return Part(re.escape(text), text, text.__eq__)
    guard = "" if text[0] not in "*?[" else "(?=[^/])" if hidden else r"(?=[^/.])"
    return _part(guard + _with_stars(_fixed_runs(text, at)))


def _part(source: str, deep: bool = False) -> Part:
    return Part(source, None, re.compile(source).fullmatch, deep)


def _with_stars(runs: list[str]) -> str:
    """Join runs of fixed length with `*` between them.

    Each run but the last is taken where it is first found, atomically: a plan's author must not be able to
    write a pattern that backtracks for hours.
    """
    if len(runs) == 1:
        return runs[0]
    middle = "".join(f"(?>[^/]*?{run})" for run in runs[1:-1] if run)
    return f"{runs[0]}{middle}[^/]*{runs[-1]}"


def _fixed_runs(text: str, at: int) -> list[str]:
    """The stretches between stars, as regular expressions of fixed length."""
    runs = [""]
    i = 0
    while i < len(text):
        if text[i] == "*":
            runs.append("")
        elif text[i] == "?":
            runs[-1] += "[^/]"
        elif text[i] == "[":
            end = _class_end(text, i, at)
            runs[-1] += _class(text[i + 1 : end], at + i)
            i = end
        else:
            runs[-1] += re.escape(text[i])
        i += 1
    return runs


def _class_end(text: str, start: int, at: int) -> int:
    first = start + 1 + text.startswith("!", start + 1)
    end = text.find("]", first + 1)  # a `]` that comes first is a member
    if end < 0:
        raise PatternError("'[' is never closed; write '[[]' for the character itself", at + start)
    return end


def _class(members: str, at: int) -> str:
    """A bracket expression, `members` without its brackets; other shells' dialects are refused, not guessed at."""
    if members.startswith("^"):
        raise PatternError("'[^' is not understood; write '[!' for 'none of these'", at)
    if "[:" in members or "[." in members or "[=" in members:
        raise PatternError("named classes such as '[:alpha:]' are not understood; write '[A-Za-z]'", at)
    negated = members.startswith("!")
    body = members[negated:]
    allowed = ""
    i = 0
    while i < len(body):
        last = body[i + 2] if body[i + 1 : i + 2] == "-" and i + 2 < len(body) else body[i]
        if last < body[i]:
            raise PatternError(f"the range '{body[i]}-{last}' runs backwards", at)
        allowed += re.escape(body[i]) + (f"-{re.escape(last)}" if last != body[i] else "")
        i += 3 if body[i + 1 : i + 2] == "-" and i + 2 < len(body) else 1
    return f"[^/{allowed}]" if negated else f"[{allowed}]"


# --- whole patterns --------------------------------------------------------------------------------------------


def _components(pattern: str, start: int, hidden: bool) -> list[Part]:
    """The components of a pattern from offset `start`, with neighbouring `**` as one."""
    if len(pattern) > LONGEST:
        raise PatternError(f"the pattern has more than {LONGEST:,} characters", LONGEST + 1)
    if "\0" in pattern:
        raise PatternError("the pattern holds a NUL", pattern.index("\0") + 1)
    parts: list[Part] = []
    at = start + 1
    for text in pattern[start:].split("/"):
        part = _component(text, at, hidden)
        if not (part.deep and parts and parts[-1].deep):
            parts.append(part)
        at += len(text) + 1
    return parts


def _path_regex(parts: tuple[Part, ...]) -> str:
    """One regular expression for whole paths; what stands between two `**` is taken where it is first found."""
    crossing = next((part.source for part in parts if part.deep), "")
    stretches: list[list[str]] = [[]]
    for part in parts:
        if part.deep:
            stretches.append([])
        else:
            stretches[-1].append(part.source)
    head, *rest = ["/".join(stretch) for stretch in stretches]
    if not rest:
        return head
    between = "".join(f"(?>(?:{crossing}/)*?{stretch}/)" for stretch in rest[:-1])
    return f"{head}{'/' if head else ''}{between}(?:{crossing}/)*{rest[-1]}"


def _reachable(parts: tuple[Part, ...], index: int) -> Iterator[int]:
    """`index` and what follows from it without a name, as `**` may cross no folder at all."""
    yield index
    while index < len(parts) and parts[index].deep:
        index += 1
        yield index


def _advance(parts: tuple[Part, ...], states: Iterable[int], name: str) -> set[int]:
    """How far into the pattern one can be, after one more component of a path."""
    after: set[int] = set()
    for index in states:
        if index < len(parts) and parts[index].accepts(name):
            after.update(_reachable(parts, index if parts[index].deep else index + 1))
    return after


@dataclass(frozen=True, slots=True)
class Glob:
    """A `match` pattern of a plan: files and links, or folders if it ends in `/`; paths start where the plan's do."""

    pattern: str
    folders_only: bool
    literal_prefix: str  # the folder, free of magic, that every match lies under; "" is where paths start
    _parts: tuple[Part, ...] = field(repr=False, compare=False)
    _regex: re.Pattern[str] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, pattern: str) -> Glob:
        """Read a pattern; raises PatternError (a ValueError) with a sentence and a position."""
        if not pattern:
            raise PatternError("the pattern is empty", 1)
        if pattern.startswith("/"):
            raise PatternError("the pattern begins with '/', but paths in a plan are relative", 1)
        folders_only = pattern.endswith("/")
        parts = _components(pattern[:-1] if folders_only else pattern, 0, hidden=False)
        if parts[-1].deep:
            parts.append(_component("*", 1, hidden=False))
        prefix: list[str] = []
        for part in parts[:-1]:
            if part.literal is None:
                break
            prefix.append(part.literal)
        whole = tuple(parts)
        return cls(pattern, folders_only, "/".join(prefix), whole, re.compile(_path_regex(whole)))

    def matches(self, path: str, is_dir: bool) -> bool:
        """Whether the entry at `path` (relative, no trailing `/`) is meant."""
        return is_dir == self.folders_only and self._regex.fullmatch(path) is not None

    def may_match_below(self, folder: str) -> bool:
        """Whether anything under `folder` ("" is where paths start) could be meant: a walk need not enter others."""
        states = set(_reachable(self._parts, 0))
        for name in folder.split("/") if folder else ():
            states = _advance(self._parts, states, name)
        return any(index < len(self._parts) for index in states)


# --- patterns of a policy --------------------------------------------------------------------------------------


class PathRule(NamedTuple):
    """One pattern of a policy, as components that start at `projects/`; it covers what it names and all below."""

    pattern: str
    parts: tuple[Part, ...]

    @classmethod
    def parse(cls, pattern: str, *, itself: bool) -> PathRule:
        """Read a pattern, which starts at the case, or at `projects/` if it begins with `/`.

        `X/**` covers the folder X itself only if `itself`: a protected X may not be taken away either, while
        leave to work in X is no leave to remove it. Raises PatternError.
        """
        if pattern in ("", "/"):
            raise PatternError("the pattern is empty", 1)
        rooted = pattern.startswith("/")
        if pattern.endswith("/"):
            short = pattern.rstrip("/")
            raise PatternError(
                f"a pattern of a policy does not end in '/'; write '{short}' or '{short}/**'", len(pattern)
            )
        parts = _components(_composed(pattern), int(rooted), hidden=True)
        one = _component("*", 1, hidden=True)
        if parts[-1].deep:
            parts[-1:] = [] if itself else [one]
        return cls(pattern, tuple(parts if rooted else [one, *parts]))


State = frozenset[tuple[int, int]]  # (which rule, how far into it)


class _Spot:
    """What the rules make of the names in one folder; many folders share one."""

    __slots__ = ("covered", "exact", "states", "tests")

    def __init__(self, rules: tuple[PathRule, ...], states: State) -> None:
        done = [rules[rule].pattern for rule, index in sorted(states) if index == len(rules[rule].parts)]
        self.covered = done[0] if done else None  # the pattern that covers the folder, and so all below
        self.states: State = frozenset() if done else states
        self.exact: dict[str, str] = {}
        self.tests: list[tuple[Callable[[str], object], str]] = []
        for rule, index in sorted(self.states):
            part, pattern = rules[rule].parts[index], rules[rule].pattern
            if index + 1 < len(rules[rule].parts):
                continue
            if part.literal is not None:
                self.exact.setdefault(part.literal, pattern)
            else:
                self.tests.append((part.accepts, pattern))

    def covering(self, name: str) -> str | None:
        """The pattern that covers a name in the folder, or None."""
        if self.covered or not self.states:
            return self.covered
        name = name if name.isascii() else _composed(name)
        found = self.exact.get(name)
        if found is None:
            for accepts, pattern in self.tests:
                if accepts(name):
                    return pattern
        return found


class PathRules:
    """Several patterns of a policy asked at once; what is known of a folder is kept for the next name in it.

    Names are compared in Unicode's composed form (NFC), so that an accent typed one way covers the other too.
    """

    KEPT = 50_000  # folders remembered before starting over

    def __init__(self, rules: Iterable[PathRule]) -> None:
        self._rules = tuple(rules)
        start = frozenset((i, at) for i, rule in enumerate(self._rules) for at in _reachable(rule.parts, 0))
        self._start = _Spot(self._rules, start)
        self._known: dict[State, _Spot] = {}
        self._spots: dict[str, _Spot] = {"": self._start}

    def covering(self, path: str) -> str | None:
        """The pattern that covers the entry at `path` (from `projects/`), or None."""
        folder, _, name = path.rpartition("/")
        return (self._spots.get(folder) or self._spot(folder)).covering(name)

    def covered_in(self, folder: str, names: Set[str]) -> Iterable[str]:
        """Those of the names directly in a folder that are covered."""
        spot = self._spots.get(folder) or self._spot(folder)
        if spot.covered or spot.tests:
            return [name for name in names if spot.covering(name)]
        if spot.exact and not "\0".join(names).isascii():
            return [name for name in names if _composed(name) in spot.exact]
        return spot.exact.keys() & names

    def may_cover_below(self, folder: str) -> bool:
        """Whether something under `folder` could be covered, the folder itself being covered included."""
        spot = self._spots.get(folder) or self._spot(folder)
        return bool(spot.covered or spot.states)

    def _spot(self, folder: str) -> _Spot:
        missing = []
        while folder not in self._spots:
            missing.append(folder)
            folder = folder.rpartition("/")[0]
        spot = self._spots[folder]
        if len(self._spots) > self.KEPT:
            self._spots = {"": self._start}
        for path in reversed(missing):
            spot = self._spots[path] = self._next(spot, _composed(path.rpartition("/")[2]))
        return spot

    def _next(self, spot: _Spot, name: str) -> _Spot:
        if spot.covered:
            return spot
        after = frozenset(
            (rule, reached)
            for rule, index in spot.states
            for reached in _advance(self._rules[rule].parts, (index,), name)
        )
        if after not in self._known:
            self._known[after] = _Spot(self._rules, after)
        return self._known[after]


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)
