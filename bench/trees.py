"""Trees as they are on the disk, and in words what of one is otherwise than it should be."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

_KINDS = {stat.S_IFDIR: "folder", stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFIFO: "FIFO"}


class Seen(NamedTuple):
    """One entry; `time` is "now" where it was changed since the script began, for no two runs have the same now."""

    kind: str
    mode: str
    time: str
    content: str  # of a file; where a link points
    names: tuple[str, ...]  # of the same file
    attributes: tuple[tuple[str, bytes], ...]


def look(top: str, since: int) -> dict[str, Seen]:
    """All that a folder holds, by path; times at or after `since` are "now"."""
    found = {path: os.lstat(os.path.join(top, path)) for path in _paths(top)}
    names: dict[int, list[str]] = {}
    for path, facts in found.items():
        names.setdefault(facts.st_ino, []).append(path)
    return {
        path: _seen(os.path.join(top, path), facts, since, tuple(names[facts.st_ino]))
        for path, facts in found.items()
    }


def _paths(top: str) -> Iterator[str]:
    for folder, folders, files in os.walk(top):
        inside = os.path.relpath(folder, top)
        yield from sorted(os.path.normpath(os.path.join(inside, name)) for name in (*folders, *files))


def _seen(path: str, facts: os.stat_result, since: int, names: tuple[str, ...]) -> Seen:
    kind = _KINDS.get(stat.S_IFMT(facts.st_mode), "something else")
    time = "now" if facts.st_mtime_ns >= since else str(facts.st_mtime_ns)
    attributes = [
        (name, os.getxattr(path, name, follow_symlinks=False)) for name in os.listxattr(path, follow_symlinks=False)
    ]
    content = ""
    if kind == "link":
        content, time = os.readlink(path), ""
    elif kind == "file":
        with open(path, "rb") as file:
            content = hashlib.sha256(file.read()).hexdigest()
    mode = "" if kind == "link" else f"{stat.S_IMODE(facts.st_mode):04o}"
    return Seen(kind, mode, time, content, names, tuple(sorted(attributes)))


def differences(wanted: dict[str, Seen], found: dict[str, Seen]) -> list[str]:
    """What of `found` is not as it should be, a line each; nothing if all is."""
    lost = [path for path in wanted if path not in found]
    more = [path for path in found if path not in wanted]
    lines = [*_listed("missing: {}", lost), *_listed("there, and should not be: {}", more)]
    for word, get in _ASKED:
        other = [path for path, seen in wanted.items() if path in found and get(seen) != get(found[path])]
        lines += _listed(word, other)
    return [*lines, *_attributes(wanted, found)]


def _attributes(wanted: dict[str, Seen], found: dict[str, Seen]) -> Iterator[str]:
    """Which extended attributes are there that should not be, or are otherwise than they should be, and where."""
    more: dict[str, list[str]] = {}
    other: dict[str, list[str]] = {}
    for path in wanted.keys() & found.keys():
        mine, its = dict(wanted[path].attributes), dict(found[path].attributes)
        for name in sorted(mine.keys() | its.keys()):
            if mine.get(name) != its.get(name):
                (other if name in mine else more).setdefault(name, []).append(path)
    for name, paths in sorted(more.items()):
        yield from _listed(f"attribute {code(name)} left on {{}}", sorted(paths))
    for name, paths in sorted(other.items()):
        yield from _listed(f"attribute {code(name)} lost from {{}}", sorted(paths))


_ASKED = (
    ("kind of {}", lambda seen: seen.kind),
    ("content of {}", lambda seen: seen.content),
    ("mode of {}", lambda seen: seen.mode),
    ("time of {}", lambda seen: seen.time),
    ("one file no more: {}", lambda seen: len(seen.names)),
)


def _listed(words: str, paths: list[str], most: int = 3) -> list[str]:
    if not paths:
        return []
    told = ", ".join(code(path) for path in paths[:most])
    rest = len(paths) - most
    return [words.format(told + (f" and {rest:,} more" if rest > 0 else ""))]


def code(text: str) -> str:
    """A name as Markdown shows it as it is, on one line."""
    shown = "".join(_shown(letter) for letter in text).replace("|", "\\|")
    return f"`{shown}`"


def _shown(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()
