"""Random small trees and plans, made from lists of small numbers so that a failing one shrinks well."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as some
from memory import CASE, Item, Memory, file, folder, link
from plainly import Plain, Refused

from treegate.model.tree import Kind

Recipe = list[tuple[int, int, int, int]]
NAMES = ("a", "b", "c", "d.txt", "e.pdf", "é")
NUMBERS = some.tuples(*(some.integers(0, 63),) * 4)
TREES = some.lists(NUMBERS, max_size=10)
PLANS = some.lists(NUMBERS, min_size=1, max_size=12)
TIME = "2024-03-01T09:00:00.000000007Z"
NS = 1709283600000000007
KEPT = "run_0"
GLOBS = ("*", "*/", "**/*.txt", "a/*", "a/**/*.pdf", "b/*/", "**/*/", "*.txt")


def random_recipe(chance: random.Random, most: int) -> Recipe:
    """A recipe without Hypothesis, for many."""
    return [tuple(chance.randrange(64) for _ in range(4)) for _ in range(chance.randrange(1, most))]  # type: ignore[misc]


def grow(recipe: Recipe, cases: tuple[str, ...] = (CASE,)) -> Memory:
    """A small tree with files, folders, links, hard links, and a vault of three entries from an earlier run."""
    memory = Memory(cases)
    folders = [memory.root.children[case] for case in cases]
    files: list[Item] = []
    for where, name, what, content in recipe:
        above = folders[where % len(folders)]
        if NAMES[name % 6] in above.children:
            continue
        above.add(NAMES[name % 6], _item(what % 12, content, folders, files))
    kept = folder()
    kept.add("1", file("kept one"))
    kept.add("2", folder(a=file("kept two"), b=folder(c=file("kept three"))))
    kept.add("3", link("a"))
    memory.vaults["", KEPT] = kept
    return memory


def _item(what: int, content: int, folders: list[Item], files: list[Item]) -> Item:
    if what < 5:
        folders.append(folder())
        return folders[-1]
    if what == 5:
        return link(NAMES[content % 6])
    if what == 6 and files:
        files[content % len(files)].nlink += 1
        return files[content % len(files)]
    if what == 7 and content % 4 == 0:
        return Item(Kind.OTHER)
    files.append(file(f"content {content}", mode=0o600 + content % 8 * 8, mtime=1000 + content))
    return files[-1]


def writes(recipe: Recipe, plain: Plain) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """(operations that make sense one after the other, one that does not or None); carried out on the plain model."""
    done: list[dict[str, Any]] = []
    for numbers in recipe:
        operation = _operation(numbers, plain)
        before = dict(plain.tree)
        try:
            plain.carry_out(operation)
        except Refused:
            plain.tree = before
            return done, operation
        done.append(operation)
    return done, None


def sensible(recipe: Recipe, plain: Plain) -> list[dict[str, Any]]:
    """The operations of a recipe that make sense, without the others."""
    done: list[dict[str, Any]] = []
    for numbers in recipe:
        more, _ = writes([numbers], plain)
        done += more
    return done


def document(operations: list[dict[str, Any]], case: str = CASE) -> dict[str, Any]:
    """The plan's document of such operations."""
    plainly = [{key: value for key, value in operation.items() if key != "ns"} for operation in operations]
    return {"version": 1, "case": case, "operations": plainly}


def _operation(numbers: tuple[int, int, int, int], plain: Plain) -> dict[str, Any]:
    """One operation: mostly about what is there."""
    kind, one, two, three = numbers
    known = sorted(plain.tree)
    old = known[one % len(known)] if known and one < 60 else NAMES[one % 6]
    folders = ["", *(path + "/" for path in known if plain.tree[path].kind is Kind.DIR)]
    new = folders[two % len(folders)] + NAMES[three % 6]
    if two >= 60 and known:
        new = known[two * three % len(known)]
    into = folders[three % len(folders)]
    to = into if into and three % 3 == 0 else new if three % 7 else f"x/y/{NAMES[three % 6]}"
    if_exists = ({}, {}, {"if_exists": "replace"}, {"if_exists": "number"})[two % 4]
    content = f"new {three}"
    match = {"match": GLOBS[one % len(GLOBS)], **({"except": ["*.pdf"]} if two % 3 == 0 else {})}
    times = {"mtime": TIME, "ns": NS} if three % 2 else {}
    mode = {"mode": f"07{two % 8}{three % 8}"} if two % 2 else {}
    inode = plain.tree[old].ino if old in plain.tree else 0
    if inode and sum(entry.ino == inode for entry in plain.tree.values()) > 1 and kind % 16 == 10:
        kind = 0  # a mode belongs to the inode, so that its other names change too: not for a model of entries
    made = [
        {"op": "move", "from": old, "to": to, **if_exists},
        {"op": "move", "from": old, "to": new},
        {"op": "move", "from": old, "to": to},
        {"op": "rename", "path": old, "name": NAMES[three % 6], **if_exists},
        {"op": "copy", "from": old, "to": to, **if_exists},
        {"op": "mkdir", "path": new},
        {"op": "create", "path": new, "content": content, **if_exists, **times, **mode},
        {"op": "replace", "path": old, "content": content, **times, **mode},
        {"op": "delete", "path": old, **({"recursive": True} if three % 4 else {})},
        {"op": "symlink", "path": new, "target": NAMES[two % 6]},
        {"op": "set", "path": old, **({**times, **mode} or {"mtime": TIME, "ns": NS})},
        {"op": "restore", "run": KEPT, "entry": one % 4 + 1, "to": new},
        {"op": "move", **match, "to": f"{into}{{n}} {{name}}", **if_exists},
        {"op": "move", **match, "to": into or "g/"},
        {"op": "copy", **match, "to": "h/{name}", **if_exists},
        {"op": "delete", **match, "recursive": True},
    ]
    return made[kind % len(made)]
