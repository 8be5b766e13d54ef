"""A gate as plainly as it can be thought: a tree that is a dictionary, plans with what was said of them, runs.

Nothing here comes from the product but the JSON form of operations. A tree maps paths from `projects/` to entries; an
operation is carried out on it in order, and a folder that moves takes along every path that begins with its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

_next = itertools.count(1).__next__

APPROVE, REJECT, REQUEST_CHANGES, REVOKE = "approve", "reject", "request-changes", "revoke"
OPEN = frozenset({"pending", "approved"})
PREVIEWABLE = frozenset({"draft", "invalid", "pending", "approved", "expired", "stale", "rolled-back"})
WITHDRAWABLE = PREVIEWABLE | {"changes-requested"}
REVISABLE = WITHDRAWABLE | {"rejected"}
SPENT = frozenset({"expired", "stale", "rolled-back", "withdrawn"})  # in which saying the same again does not help
DECIDABLE = {APPROVE: OPEN, REJECT: OPEN | {"changes-requested"}, REQUEST_CHANGES: OPEN, REVOKE: OPEN}
OVER = frozenset({"rejected", "withdrawn", "applied", "undone"})  # nothing can come of such a plan as it stands
AFTER = {APPROVE: "approved", REJECT: "rejected", REQUEST_CHANGES: "changes-requested", REVOKE: "pending"}

REFUSED = {  # the exit status with which a state refuses what it does not allow
    "draft": 4, "invalid": 3, "pending": 4, "changes-requested": 4, "approved": 4, "rejected": 12, "expired": 13,
    "withdrawn": 4, "stale": 5, "applying": 8, "applied": 4, "rolled-back": 4, "undone": 4,
}  # fmt: skip


class Refused(Exception):
    """The operation makes no sense on the tree as it is then."""


class Entry(NamedTuple):
    """What is at a path: it keeps its `id` wherever it goes, and gets another `stamp` whenever it is touched."""

    id: int
    kind: str  # "file" or "dir"
    content: str
    mode: int
    stamp: int


Tree = dict[str, Entry]
Picture = dict[str, tuple[str, str, int]]  # what can be seen of a tree


def made(kind: str, content: str = "", mode: int | None = None) -> Entry:
    """An entry that was not there before."""
    number = _next()
    return Entry(number, kind, content, mode if mode is not None else 0o755 if kind == "dir" else 0o644, number)


def stamped(entry: Entry) -> Entry:
    """The entry, touched."""
    return entry._replace(stamp=_next())


def picture(tree: Mapping[str, Entry], cases: Iterable[str]) -> Picture:
    """What can be seen of some cases."""
    seen = tuple(cases)
    return {path: entry[1:4] for path, entry in tree.items() if path.partition("/")[0] in seen}


def related(one: str, other: str) -> bool:
    """Whether a path is another, or lies above or under it."""
    return one == other or one.startswith(other + "/") or other.startswith(one + "/")


class InOrder:
    """Operations carried out one after the other; `named` are the paths that were looked at."""

    def __init__(self, tree: Tree, base: str = "", kept: Mapping[tuple[str, int], Tree] | None = None) -> None:
        self.tree = dict(tree)
        self.named: set[str] = set()
        self._base = base
        self._kept = dict(kept or {})
        self._implied: set[int] = set()

    def carry_out(self, operation: Mapping[str, Any]) -> None:
        """One operation; raises Refused and may then have done part of it."""
        getattr(self, "_" + operation["op"])(operation)

    def _path(self, text: str) -> str:
        return f"{self._base}/{text}" if self._base else text

    def _at(self, text: str) -> str:
        path = self._path(text)
        self.named.add(path)
        if path not in self.tree:
            raise Refused(f"nothing at {path}")
        return path

    def _parents(self, path: str) -> None:
        self.named.add(path)
        parts = path.split("/")[:-1]
        for end in range(1, len(parts) + 1):
            above = "/".join(parts[:end])
            if above not in self.tree:
                self.tree[above] = made("dir")
                self._implied.add(self.tree[above].id)
            elif self.tree[above].kind != "dir":
                raise Refused(f"{above} is no folder")

    def _room(self, path: str, operation: Mapping[str, Any], source: str) -> None:
        """Makes room at a path, where the operation may replace what is there."""
        if path not in self.tree:
            return
        files = self.tree[path].kind == "file" and (not source or self.tree[source].kind == "file")
        if operation.get("if_exists") != "replace" or not files or path == source:
            raise Refused(f"{path} is taken")
        del self.tree[path]

    def _target(self, source: str, to: str) -> str:
        path = self._path(to + source.rpartition("/")[2] if to.endswith("/") else to)
        if self.tree[source].kind == "dir" and path.startswith(source + "/"):
            raise Refused("into itself")
        self._parents(path)
        return path

    def _mkdir(self, op: Mapping[str, Any]) -> None:
        path = self._path(op["path"])
        self._parents(path)
        if path not in self.tree:
            self.tree[path] = made("dir")
        elif self.tree[path].id not in self._implied:
            raise Refused(f"{path} is there")
        self._implied.discard(self.tree[path].id)

    def _move(self, op: Mapping[str, Any]) -> None:
        source = self._at(op["from"])
        path = self._target(source, op["to"])
        if path != source:
            self._room(path, op, source)
            for old in list(within(self.tree, source)):
                self.tree[path + old[len(source) :]] = self.tree.pop(old)

    def _rename(self, op: Mapping[str, Any]) -> None:
        folder, slash, _ = op["path"].rpartition("/")
        self._move({**op, "from": op["path"], "to": folder + slash + op["name"]})

    def _copy(self, op: Mapping[str, Any]) -> None:
        source = self._at(op["from"])
        path = self._target(source, op["to"])
        copies = {tail: made(*entry[1:4]) for tail, entry in subtree(self.tree, source).items()}
        self._room(path, op, source)
        self.tree |= {path + tail: entry for tail, entry in copies.items()}

    def _create(self, op: Mapping[str, Any]) -> None:
        path = self._path(op["path"])
        self._parents(path)
        self._room(path, op, "")
        self.tree[path] = made("file", op["content"], int(op["mode"], 8) if "mode" in op else None)

    def _replace(self, op: Mapping[str, Any]) -> None:
        path = self._at(op["path"])
        if self.tree[path].kind != "file":
            raise Refused("not a file")
        self.tree[path] = made("file", op["content"], self.tree[path].mode)

    def _delete(self, op: Mapping[str, Any]) -> None:
        inside = list(within(self.tree, self._at(op["path"])))
        if len(inside) > 1 and not op.get("recursive"):
            raise Refused("not empty")
        for path in inside:
            del self.tree[path]

    def _set(self, op: Mapping[str, Any]) -> None:
        path = self._at(op["path"])
        self.tree[path] = self.tree[path]._replace(mode=int(op["mode"], 8) if "mode" in op else self.tree[path].mode)

    def _restore(self, op: Mapping[str, Any]) -> None:
        path = self._path(op["to"])
        self._parents(path)
        kept = self._kept.pop((op["run"], op["entry"]), None)
        if kept is None or path in self.tree:
            raise Refused("not kept any more, or taken")
        self.tree |= {path + tail: entry for tail, entry in kept.items()}


def within(tree: Mapping[str, Entry], path: str) -> Iterator[str]:
    """The paths of an entry and of all that is in it."""
    return (one for one in tree if one == path or one.startswith(path + "/"))


def subtree(tree: Mapping[str, Entry], path: str) -> Tree:
    """An entry and what is in it, by the rest of their paths."""
    return {one[len(path) :]: tree[one] for one in within(tree, path)}


class Touched(NamedTuple):
    """What differs between two trees: entries that left their place or changed, and places that were free."""

    sources: set[str]  # in the tree before
    gone: set[str]  # those of them that are in the tree no more
    targets: set[str]  # in the tree after, directly in folders that were there before


def touched(before: Tree, after: Tree) -> Touched:
    """What a plan does to a tree, told by who its entries are."""
    old, new = slots(before), slots(after)
    kept = {entry.id: entry for entry in after.values()}
    sources = {
        path for path, entry in before.items()
        if new.get(entry.id) != old[entry.id] or kept[entry.id][1:4] != entry[1:4]
    }  # fmt: skip
    there = set(old.values())
    targets = {
        path for path, entry in after.items() if new[entry.id] not in there and new[entry.id][0] in old
    }  # fmt: skip
    return Touched(sources, {path for path in sources if before[path].id not in new}, targets)


def slots(tree: Tree) -> dict[int, tuple[int, str]]:
    """Where each entry is: its folder, whatever that is called, and its name there."""
    found = {}
    for path, entry in tree.items():
        above, _, name = path.rpartition("/")
        found[entry.id] = (tree[above].id if above else 0, name)
    return found


def restamped(before: Tree, after: Tree) -> Tree:
    """The tree after, in which each entry that is not as it was counts as touched."""
    changed = {before[path].id for path in touched(before, after).sources}
    return {path: stamped(entry) if entry.id in changed else entry for path, entry in after.items()}


def merged(base: Tree, mine: Tree, theirs: Tree) -> Tree | None:
    """Both of two changes of a tree; None where they met."""
    ours, others = _differing(base, mine), _differing(base, theirs)
    if any(related(one, other) for one in ours for other in others):
        return None
    rest = {path: entry for path, entry in theirs.items() if path not in ours}
    return rest | {path: mine[path] for path in ours if path in mine}


def _differing(one: Tree, other: Tree) -> set[str]:
    before, after = shown(one), shown(other)
    return {path for path in {*before, *after} if before.get(path) != after.get(path)}


@dataclass
class Plan:
    """A plan as it stands, with the tree on which it was previewed and what it would make of that."""

    id: str
    authors: set[str]
    operations: Sequence[Mapping[str, Any]]
    base: str
    skip: bool
    cases: tuple[str, ...] = ()
    state: str = "draft"
    revision: int = 1
    digest: str = ""
    undo_of: str = ""
    said: list[tuple[str, str]] = field(default_factory=list)  # of the current digest: who, and what
    expires_at: int | None = None
    seen: Tree = field(default_factory=dict, repr=False)
    after: Tree = field(default_factory=dict, repr=False)
    named: set[str] = field(default_factory=set, repr=False)
    run: str = ""  # the run that this preview had

    def copy(self) -> Plan:
        """The plan as it is now, for later."""
        return replace(self, said=list(self.said))

    def is_fresh(self, now: Tree) -> bool:
        """Whether nothing was touched since the preview that the plan speaks of, nor anything in or above it."""
        return all(self._untouched(now, path) for path in self.named)

    def _untouched(self, now: Tree, path: str) -> bool:
        parts = path.split("/")
        above = ["/".join(parts[:end]) for end in range(1, len(parts))]
        ids = [[tree[one].id if one in tree else 0 for one in above] for tree in (self.seen, now)]
        return ids[0] == ids[1] and subtree(self.seen, path) == subtree(now, path)

    def is_stale(self, now: Tree) -> bool:
        """Whether something the plan does is not of what the tree holds now, so that nothing of it may be done."""
        return bool(self.stale_paths(now))

    def stale_paths(self, now: Tree) -> set[str]:
        """Where what the plan does is not of what the tree holds now."""
        does = touched(self.seen, self.after)
        return (
            {path for path in does.sources if self._changed(now, path, path in does.gone)}
            | {path for path in does.targets if path in now}
            | {op["from"] for op in self.operations if op["op"] == "copy" and self._copies_another(now, op)}
        )

    def _changed(self, now: Tree, path: str, gone: bool) -> bool:
        was, there = self.seen[path], now.get(path)
        if there is None or there.kind != was.kind:
            return True
        if was.kind == "dir":
            return gone and shown(subtree(self.seen, path)) != shown(subtree(now, path))
        moved = gone or path not in self.after or self.after[path].id != was.id
        return moved and there.content != was.content

    def _copies_another(self, now: Tree, op: Mapping[str, Any]) -> bool:
        path = f"{self.base}/{op['from']}" if self.base else op["from"]
        was, there = self.seen.get(path), now.get(path)
        if was is None or was.kind != "file" or (there is not None and there.content == was.content):
            return False
        old = {entry.id for entry in self.seen.values()}
        return any(entry.content == was.content and entry.id not in old for entry in self.after.values())

    def approvals(self) -> set[str]:
        """Who approved the current digest and did not take it back."""
        said = {what: {who for who, word in self.said if word == what} for what in (APPROVE, REVOKE)}
        return said[APPROVE] - said[REVOKE]

    def decide(self, who: str, what: str, required: int, barred: set[str], expires_at: int) -> int:
        """Somebody says something of the current digest; the exit status of the refusal, or 0."""
        own = [said for name, said in self.said if name == who]
        if own and own[-1] == what:
            return REFUSED[self.state] if self.state in SPENT else 0
        if what == REVOKE and own[-1:] != [APPROVE]:
            return 4
        if what != REVOKE and own and self.state in OPEN | {"changes-requested"}:
            return 4
        if self.state not in DECIDABLE[what]:
            return REFUSED[self.state]
        self.said.append((who, what))
        if what != APPROVE:
            self.state, self.expires_at = AFTER[what], None
        elif self.state == "pending" and len(self.approvals() - barred) >= required:
            self.state, self.expires_at = "approved", expires_at
        return 0


def shown(tree: Tree) -> Picture:
    """What can be seen of a tree."""
    return {path: entry[1:4] for path, entry in tree.items()}


@dataclass
class Run:
    """A run that was carried out: the cases' trees before and after it, and which of its effects are undone."""

    id: str
    plan: str
    before: Tree
    after: Tree
    effects: int
    undo_of: str = ""
    state: str = "applied"
    gone: dict[str, str] = field(default_factory=dict)  # effect -> the run that took it back
    ever_undone: bool = False
    pruned: bool = False


@dataclass
class Unfinished:
    """A run that a crash left midway."""

    plan: Plan
    moved: bool = False  # something of it was seen in the tree
    turned: bool = False  # and then it was seen to go back
    doubtful: bool = False  # an error, or somebody else's file, may turn it back
