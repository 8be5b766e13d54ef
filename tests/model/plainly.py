"""Operations carried out one by one on a dictionary of paths: what a plan means, as plainly as it can be said.

The simulator must come to the same tree. It shares nothing with this but the JSON form of operations: here a path is
a key, and a folder that moves takes along every key that begins with its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from memory import Item, Memory

from treegate.model.tree import Kind

NEW = 0  # the inode number of what the plan makes
NOW = 500  # the mtime of what is made without one


class Refused(Exception):
    """The operation makes no sense on the tree as it is then."""


class Entry:
    """What is at a path."""

    def __init__(self, item: Item | None, kind: Kind, content: bytes = b"", target: str = "") -> None:
        self.ino = item.ino if item else NEW
        self.kind = kind
        self.content = item.content if item else content
        self.target = item.target if item else target
        self.mode = item.mode if item else {Kind.DIR: 0o755, Kind.LINK: 0o777}.get(kind, 0o644)
        self.mtime = item.mtime if item else NOW
        self.implied = False

    def copy(self) -> Entry:
        new = Entry(None, self.kind, self.content, self.target)
        new.mode, new.mtime = self.mode, self.mtime
        return new

    def seen(self) -> tuple[object, ...]:
        mtime = None if self.kind is Kind.DIR else self.mtime
        return self.ino, self.kind, self.mode, self.content, self.target, mtime


class Plain:
    """The tree of one case as a dictionary."""

    def __init__(self, memory: Memory, case: str) -> None:
        self.memory = memory
        self.tree = {path: Entry(item, item.kind) for path, item in memory.root.children[case].below()}
        self.restored: set[str] = set()

    def carry_out(self, operation: dict[str, Any]) -> None:
        """One operation; raises Refused and may then have done part of it."""
        if "match" in operation:
            self._each(operation)
        else:
            getattr(self, "_" + operation["op"])(operation)

    def picture(self) -> dict[str, tuple[object, ...]]:
        return {path: entry.seen() for path, entry in self.tree.items()}

    def children(self, path: str) -> list[str]:
        return [other for other in self.tree if other.startswith(path + "/") and "/" not in other[len(path) + 1 :]]

    # -- looking

    def _at(self, path: str) -> Entry:
        if path not in self.tree:
            raise Refused(f"nothing at {path}")
        if self.tree[path].kind is Kind.OTHER:
            raise Refused(f"{path} is special")
        return self.tree[path]

    def _parents(self, path: str) -> None:
        parts = path.split("/")[:-1]
        for end in range(1, len(parts) + 1):
            above = "/".join(parts[:end])
            if above not in self.tree:
                self.tree[above] = Entry(None, Kind.DIR)
                self.tree[above].implied = True
            elif self.tree[above].kind is not Kind.DIR:
                raise Refused(f"{above} is no folder")

    def _room(self, path: str, operation: dict[str, Any], source: str | None) -> str:
        """The path to use, once what is there has made way."""
        if path not in self.tree:
            return path
        there = self.tree[path]
        wish = operation.get("if_exists", "fail")
        if there.kind is Kind.DIR or wish == "fail":
            raise Refused(f"{path} is taken")
        if wish == "number":
            return self._numbered(path)
        if there.kind is not Kind.FILE or path == source:
            raise Refused(f"{path} cannot be replaced")
        if source is not None and self.tree[source].kind is Kind.DIR:
            raise Refused("a folder does not replace a file")
        del self.tree[path]
        return path

    def _numbered(self, path: str) -> str:
        folder, slash, name = path.rpartition("/")
        stem, dot, ext = name.rpartition(".")
        if not stem:
            stem, dot, ext = name, "", ""
        number = 2
        while f"{folder}{slash}{stem} ({number}){dot}{ext}" in self.tree:
            number += 1
        return f"{folder}{slash}{stem} ({number}){dot}{ext}"

    def _target(self, source: str, to: str) -> str:
        path = to + source.rpartition("/")[2] if to.endswith("/") else to
        if self.tree[source].kind is Kind.DIR and path.startswith(source + "/"):
            raise Refused("into itself")
        self._parents(path)
        return path

    # -- doing

    def _mkdir(self, op: dict[str, Any]) -> None:
        path = op["path"]
        self._parents(path)
        if path in self.tree:
            if not self.tree[path].implied:
                raise Refused("it is there")
            self.tree[path].implied = False
        else:
            self.tree[path] = Entry(None, Kind.DIR)

    def _rekey(self, source: str, path: str) -> None:
        for old in [source, *(key for key in self.tree if key.startswith(source + "/"))]:
            self.tree[path + old[len(source) :]] = self.tree.pop(old)

    def _move(self, op: dict[str, Any]) -> None:
        source = op["from"]
        self._at(source)
        path = self._target(source, op["to"])
        if path != source:
            self._rekey(source, self._room(path, op, source))

    def _rename(self, op: dict[str, Any]) -> None:
        folder, slash, _ = op["path"].rpartition("/")
        self._move({**op, "from": op["path"], "to": folder + slash + op["name"]})

    def _copy(self, op: dict[str, Any]) -> None:
        source = op["from"]
        self._at(source)
        path = self._target(source, op["to"])
        inside = [key for key in self.tree if key.startswith(source + "/") and not path.startswith(source + "/")]
        if any(self.tree[key].kind is Kind.OTHER for key in inside):
            raise Refused("something special inside")
        copies = {key[len(source) :]: self.tree[key].copy() for key in [source, *inside]}
        path = self._room(path, op, source)
        for tail, entry in copies.items():
            self.tree[path + tail] = entry

    def _create(self, op: dict[str, Any]) -> None:
        self._parents(op["path"])
        path = self._room(op["path"], op, None)
        self.tree[path] = Entry(None, Kind.FILE, op["content"].encode())
        self._set_made(self.tree[path], op)

    def _set_made(self, entry: Entry, op: dict[str, Any]) -> None:
        entry.mode = int(op["mode"], 8) if "mode" in op else entry.mode
        entry.mtime = op.get("ns", NOW)

    def _replace(self, op: dict[str, Any]) -> None:
        entry = self._at(op["path"])
        if entry.kind is not Kind.FILE:
            raise Refused("not a file")
        new = self.tree[op["path"]] = Entry(None, Kind.FILE, op["content"].encode())
        new.mode = entry.mode
        self._set_made(new, op)

    def _delete(self, op: dict[str, Any]) -> None:
        path = op["path"]
        self._at(path)
        inside = [key for key in self.tree if key.startswith(path + "/")]
        if inside and not op.get("recursive"):
            raise Refused("not empty")
        for key in [path, *inside]:
            del self.tree[key]

    def _restore(self, op: dict[str, Any]) -> None:
        area = self.memory.vaults.get(("", op["run"]))
        name = str(op["entry"])
        if area is None or name not in area.children:
            raise Refused("not kept")
        item = area.children[name]
        if name in self.restored:
            raise Refused("it was restored before")
        self._parents(op["to"])
        if op["to"] in self.tree:
            raise Refused("taken")
        self.restored.add(name)
        self.tree[op["to"]] = Entry(item, item.kind)
        for tail, below in item.below():
            self.tree[f"{op['to']}/{tail}"] = Entry(below, below.kind)

    def _symlink(self, op: dict[str, Any]) -> None:
        self._parents(op["path"])
        if op["path"] in self.tree:
            raise Refused("taken")
        self.tree[op["path"]] = Entry(None, Kind.LINK, target=op["target"])

    def _set(self, op: dict[str, Any]) -> None:
        entry = self._at(op["path"])
        if "mode" in op:
            if entry.kind is Kind.LINK:
                raise Refused("a link has no mode")
            entry.mode = int(op["mode"], 8)
        entry.mtime = op.get("ns", entry.mtime)

    # -- globs

    def _each(self, op: dict[str, Any]) -> None:
        found = self.matches(op["match"], op.get("except", []))
        if not found or len(found) != op.get("count", len(found)):
            raise Refused("no match, or a wrong count")
        entries = [self.tree[path] for path in found]
        for n, (path, entry) in enumerate(zip(found, entries, strict=True), 1):
            if self.tree.get(path) is not entry:
                raise Refused(f"{path} was replaced on the way")
            if op["op"] == "delete":
                self._delete({**op, "path": path})
            else:
                name = path.rpartition("/")[2]
                to = op["to"].replace("{name}", name).replace("{n}", str(n))
                self.carry_out({**{key: op[key] for key in ("op", "if_exists") if key in op}, "from": path, "to": to})

    def matches(self, pattern: str, excluded: list[str]) -> list[str]:
        """In byte order component by component; what lies under a match is not matched again."""
        found: list[str] = []
        for path in sorted(self.tree, key=lambda path: [part.encode() for part in path.split("/")]):
            under = any(path.startswith(other + "/") for other in found)
            if not under and self._fits(pattern, path) and not any(self._fits(other, path) for other in excluded):
                found.append(path)
        return found

    def _fits(self, pattern: str, path: str) -> bool:
        kind = self.tree[path].kind
        if kind is Kind.OTHER or (kind is Kind.DIR) != pattern.endswith("/"):
            return False
        return re.fullmatch("".join(_regex(pattern.rstrip("/"))), path) is not None


def _regex(pattern: str) -> Iterator[str]:
    """Enough of a glob for the tests: `**/`, and stars that do not match a leading dot."""
    *folders, name = pattern.split("/")
    for part in folders:
        yield r"(?:[^/.][^/]*/)*" if part == "**" else _component(part) + "/"
    yield _component(name)


def _component(part: str) -> str:
    guard = r"(?!\.)" if part.startswith("*") else ""
    return guard + "".join("[^/]*" if char == "*" else re.escape(char) for char in part)
