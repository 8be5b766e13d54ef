"""Undo as a plan, and effects as a plan: what comes back is what was, entry by entry."""

from __future__ import annotations

import copy
import random
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec
import pytest
from memory import CASE, Item, Memory, Run, file, link

from treegate.model.acts import simulate
from treegate.model.effects import Effect, untagged
from treegate.model.inverse import as_undone, changes_of, closure, likeness, plan_of, undo_of
from treegate.model.operations import Operation, Set
from treegate.model.plan import Plan
from treegate.model.policy import Paths, Policy
from treegate.model.preview import Preview
from treegate.model.seal import About, seal
from treegate.model.table import Row
from treegate.model.tree import Kind

FREE = Policy(protect=Paths(paths=()))
NAMES = ["a", "b", "c", "d", "e\udcff", "f%20 ü"]
UNDOING = About("ws", undo_of="run_x")


def plan(*operations: dict[str, Any]) -> Plan:
    return Plan.decode(msgspec.json.encode({"version": 1, "case": CASE, "operations": list(operations)}))


def sealed(memory: Memory, plan: Plan) -> tuple[Preview, list[Effect], list[Row]]:
    """The preview of a plan, all its effects, and its table."""
    for sha256, data in plan.contents():
        memory.blobs[sha256] = data
    chunks: list[bytes] = []
    found = seal(simulate(plan, memory), FREE, UNDOING, chunks.extend)
    return found.preview, [msgspec.json.decode(line, type=Effect) for line in chunks], list(found.rows or ())


def apply(memory: Memory, plan: Plan, run: str) -> list[Effect]:
    """Carries a plan out; it has to be without errors."""
    preview, effects, rows = sealed(memory, plan)
    assert preview.valid, [(p.code, p.message) for p in preview.problems]
    Run(memory, run).carry_out(rows)
    return effects


def undo(memory: Memory, effects: list[Effect], run: str, by: str) -> list[Effect]:
    """Undoes effects of a run by another."""
    operations = plan_of(undo_of(effects, run))
    return apply(memory, Plan.of(operations), by) if operations else []


def written(operations: list[Operation]) -> list[str]:
    return [msgspec.json.encode(operation).decode() for operation in operations]


# Telling cases


def case(*paths: str) -> Memory:
    """A case with files at these paths, each holding its own path; folders where they end in a slash."""
    memory = Memory()
    for path in paths:
        memory.put(path.rstrip("/"), Item(Kind.DIR) if path.endswith("/") else file(path))
    return memory


def move(source: str, to: str, **more: Any) -> dict[str, Any]:
    return {"op": "move", "from": source, "to": to, **more}


STORIES: dict[str, tuple[list[str], list[dict[str, Any]]]] = {
    "a swap": (["a", "b"], [move("a", "t"), move("b", "a"), move("t", "b")]),
    "a cycle": (["a", "b", "c"], [move("a", "t"), move("b", "a"), move("c", "b"), move("t", "c")]),
    "folders swapped with their contents": (["a/1", "b/2"], [move("a", "t"), move("b", "a"), move("t", "b")]),
    "a folder turned inside out": (["a/b/c"], [move("a/b", "b"), move("a", "b/a")]),
    "a file into a new folder of its own name": (["a"], [move("a", "t"), move("t", "a/a")]),
    "a folder into a new one of its own name": (["a/1"], [move("a", "t"), move("t", "a/a")]),
    "a deleted folder that something left": (
        ["a/1", "a/2"], [move("a/1", "x"), {"op": "delete", "path": "a", "recursive": True}],
    ),
    "a folder deleted after one of its files": (
        ["a/1", "a/2"], [{"op": "delete", "path": "a/1"}, {"op": "delete", "path": "a", "recursive": True}],
    ),
    "a file replaced in a folder that moves": (
        ["a/1"], [{"op": "replace", "path": "a/1", "content": "n"}, move("a", "b")],
    ),
    "a file deleted from a folder that moves": (["a/1"], [{"op": "delete", "path": "a/1"}, move("a", "b")]),
    "a file set in a folder that moves": (["a/1"], [move("a", "b"), {"op": "set", "path": "b/1", "mode": "0600"}]),
    "a file replaced by a move": (["a", "b"], [move("a", "b", if_exists="replace")]),
    "a file replaced by a copy": (
        ["a", "b"], [{"op": "copy", "from": "a", "to": "b", "if_exists": "replace"}],
    ),
    "a folder copied, and the copy changed": (
        ["a/1", "x"], [{"op": "copy", "from": "a", "to": "b"}, move("x", "b/x"), {"op": "delete", "path": "b/1"}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_undo_brings_everything_back(story: str):
    """Undo and undo of undo, where places are taken, folders move, and things go and come."""
    paths, operations = STORIES[story]
    memory = case(*paths)
    before = memory.picture()
    effects = apply(memory, plan(*operations), "run_1")
    after = memory.picture()
    assert after != before
    back = undo(memory, effects, "run_1", "run_2")
    assert memory.picture() == before
    undo(memory, back, "run_2", "run_3")
    assert memory.picture() == after


def test_a_replaced_file_is_told_by_how_its_successor_came():
    """Undo has to know: what was moved there goes home, what was copied there goes away."""
    memory = case("a", "b", "c", "d", "e", "f")
    force = {"if_exists": "replace"}
    made = plan(
        move("a", "b", **force),
        {"op": "copy", "from": "b", "to": "c", **force},
        {"op": "create", "path": "d", "content": "x", **force},
        {"op": "replace", "path": "e", "content": "x"},
    )
    effects = apply(memory, made, "run_1")
    assert {effect.path: effect.by for effect in effects if effect.effect == "replaced"} == {
        "Case/b": "move", "Case/c": "copy", "Case/d": "create", "Case/e": "replace",
    }  # fmt: skip


# What has to be undone together


def closed(memory: Memory, effects: list[Effect], *paths: str) -> set[str]:
    """The paths whose effects are undone when these are asked for; it must be possible without the others."""
    wanted = {effect.id for effect in effects if str(untagged(effect.path)).removeprefix(f"{CASE}/") in paths}
    taken = closure(effects, wanted)
    chosen = [effect for effect in effects if effect.id in taken]
    undo(memory, chosen, "run_1", "run_2")
    return {untagged(effect.path).removeprefix(f"{CASE}/") for effect in chosen}


CLOSED: dict[str, tuple[list[str], list[dict[str, Any]], str, set[str]]] = {
    "one of two moves": (["a", "b"], [move("a", "x"), move("b", "y")], "x", {"x"}),
    "what took the place has to leave it": (["a", "b"], [move("a", "x"), move("b", "a")], "x", {"x", "a"}),
    "but not the other way round": (["a", "b"], [move("a", "x"), move("b", "a")], "a", {"a"}),
    "a swap is undone as a whole": (["a", "b"], [move("a", "t"), move("b", "a"), move("t", "b")], "a", {"a", "b"}),
    "the folder has to be back": (
        ["a/1", "b"], [move("a/1", "x"), {"op": "delete", "path": "a", "recursive": True}, move("b", "c")],
        "x", {"x", "a"},
    ),
    "a folder that moved has to be back for what was replaced in it": (
        ["a/1", "a/2"], [{"op": "replace", "path": "a/1", "content": "n"}, move("a", "b")], "b/1", {"b/1", "b"},
    ),
    "what was put into a new folder leaves it": (
        ["a", "b"], [{"op": "mkdir", "path": "n"}, move("a", "n/a"), move("b", "c")], "n", {"n", "n/a"},
    ),
    "an implied folder goes with the last that it holds": (["a"], [move("a", "n/a")], "n/a", {"n", "n/a"}),
    "and not before": (["a", "b"], [move("a", "n/a"), move("b", "n/b")], "n/a", {"n/a"}),
    "what took the place in a folder that moved": (
        ["d/x", "d/z"], [move("d/x", "y"), move("d", "e"), {"op": "create", "path": "e/x", "content": "n"}],
        "y", {"y", "e", "e/x"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", CLOSED)
def test_a_partial_undo_takes_along_what_stands_in_its_way(story: str):
    """As much as has to be, and no more."""
    paths, operations, asked, together = CLOSED[story]
    memory = case(*paths)
    effects = apply(memory, plan(*operations), "run_1")
    assert closed(memory, effects, asked) == together


@pytest.mark.parametrize("block", range(5))
def test_any_effect_can_be_undone_with_its_closure(block: int):
    """Whatever one asks for of a random run, the plan for it has no errors, and the rest can be undone after."""
    for seed in range(block * 60, block * 60 + 60):
        found = a_run(seed)
        if found is None or not found[2]:
            continue
        memory, before, effects = found
        taken = closure(effects, {random.Random(seed).choice(effects).id})
        first = [effect for effect in effects if effect.id in taken]
        undo(memory, first, "run_1", "run_2")
        others = as_undone([effect for effect in effects if effect.id not in taken], first)
        undo(memory, list(others), "run_1", "run_3")
        assert memory.picture() == before, seed


# Random trees, random plans


def grow(choose: random.Random) -> Memory:
    """A small tree with files, folders and links, some with names that are not UTF-8."""
    memory = Memory()
    folders = [memory.root.children[CASE]]
    for number in range(choose.randint(3, 9)):
        above = choose.choice(folders)
        free = [name for name in NAMES if name not in above.children]
        if free:
            kind = choose.choice(["file", "file", "folder", "folder", "link"])
            item = {"file": file(f"content {number}"), "folder": Item(Kind.DIR), "link": link("somewhere")}[kind]
            folders += [item] * (kind == "folder")
            above.add(choose.choice(free), item)
    return memory


def some_path(choose: random.Random, *, deep: int = 3) -> str:
    return "/".join(choose.choice(NAMES) for _ in range(choose.randint(1, deep)))


def some_operation(choose: random.Random, paths: list[str], kept: list[tuple[str, int]]) -> dict[str, Any]:
    """One operation, more often sensible than not, its paths as raw bytes."""
    here = choose.choice(paths) if paths else "a"
    to = choose.choice([some_path(choose), f"{choose.choice([*paths, 'a'])}/{choose.choice(NAMES)}"])
    if choose.random() < 0.2 and paths:
        to = choose.choice(paths)
    here, to = raw(here), raw(to)
    force: dict[str, Any] = choose.choice([{}, {"if_exists": "replace"}])
    text = f"new {choose.random()}"
    looks: dict[str, Any] = choose.choice([{"mode": "0600"}, {"mtime": "2020-02-02T02:02:02.000000002Z"}])
    kinds: list[dict[str, Any]] = [
        {"op": "move", "from": here, "to": to, **force},
        {"op": "move", "from": here, "to": to, **force},
        {"op": "copy", "from": here, "to": to, **force},
        {"op": "mkdir", "path": to},
        {"op": "create", "path": to, "content": text, **choose.choice([{}, looks]), **force},
        {"op": "replace", "path": here, "content": text, **choose.choice([{}, looks])},
        {"op": "delete", "path": here, "recursive": True},
        {"op": "symlink", "path": to, "target": "over/there"},
        {"op": "set", "path": here, **looks},
    ]
    if kept:
        run, entry = choose.choice(kept)
        kinds.append({"op": "restore", "run": run, "entry": entry, "to": to})
    return {**choose.choice(kinds), "raw": True}


def raw(path: str) -> str:
    return quote_from_bytes(path.encode("utf-8", "surrogateescape"), safe="/ ")


def some_plan(choose: random.Random, memory: Memory, length: int) -> Plan | None:
    """A plan without errors: operations that do not fit are left out as it grows."""
    operations: list[dict[str, Any]] = []
    paths = [path for path, _ in memory.root.children[CASE].below()]
    kept = [(run, int(name)) for (_, run), area in memory.vaults.items() for name in area.children]
    for _ in range(length):
        one = some_operation(choose, paths, kept)
        preview, _, _ = sealed(memory, plan(*operations, one))
        if preview.valid:
            operations.append(one)
            paths += [unquoted(one[key]) for key in ("to", "path") if key in one]
    return plan(*operations) if operations else None


def unquoted(path: str) -> str:
    return unquote_to_bytes(path).decode("utf-8", "surrogateescape")


def a_run(seed: int) -> tuple[Memory, dict[str, Any], list[Effect]] | None:
    """A tree after a random run, its picture before, and the run's effects."""
    choose = random.Random(seed)
    memory = grow(choose)
    made = some_plan(choose, memory, choose.randint(1, 9))
    if made is None:
        return None
    before = memory.picture()
    return memory, before, apply(memory, made, "run_1")


@pytest.mark.parametrize("block", range(10))
def test_what_is_undone_is_as_it_was_and_redone_is_as_it_became(block: int):
    """Every entry itself comes back, with name, content, mode and time, and goes again when the undo is undone."""
    for seed in range(block * 60, block * 60 + 60):
        found = a_run(seed)
        if found is None:
            continue
        memory, before, effects = found
        after = memory.picture()
        back = undo(memory, effects, "run_1", "run_2")
        assert memory.picture() == before, seed
        again = undo(memory, back, "run_2", "run_3")
        assert memory.picture() == after, seed
        undo(memory, again, "run_3", "run_4")
        assert memory.picture() == before, seed


def alike(memory: Memory, known: set[int]) -> dict[str, tuple[object, ...]]:
    """The tree with new entries told by what they are, for each run makes its own."""
    return {path: (ino if ino in known else 0, *rest) for path, (ino, *rest) in memory.picture().items()}


def lines(effects: list[Effect]) -> set[str]:
    """What effects say, but for numbers."""
    return {str(likeness(effect)) for effect in effects}


def copies_a_changed_folder(effects: list[Effect], plan: Plan) -> bool:
    """Whether a folder is copied that the plan makes or changes: its effect does not say what was in it by then."""
    copied = [effect for effect in effects if effect.effect == "copied" and effect.kind == "dir"]
    ends = {untagged(effect.path) for effect in effects}
    ends |= {untagged(effect.source) for effect in effects if effect.source is not None and effect.effect != "copied"}
    homes = [untagged(effect.source) for effect in copied if effect.source is not None]
    if copied and any(isinstance(operation, Set) for operation in plan.operations):
        return True
    return len(homes) < len(copied) or any(f"{end}/".startswith(f"{home}/") for home in homes for end in ends)


@pytest.mark.parametrize("block", range(10))
def test_effects_become_a_plan_with_the_same_effects(block: int):
    """What was previewed can be written down again from its effects alone, and makes the same tree."""
    for seed in range(block * 60, block * 60 + 60):
        choose = random.Random(seed)
        memory = grow(choose)
        first = some_plan(choose, memory, choose.randint(1, 9))
        if first is None:
            continue
        twin = copy.deepcopy(memory)
        known = {ino for ino, *_ in memory.picture().values()}
        effects = apply(memory, first, "run_1")
        if copies_a_changed_folder(effects, first):
            continue
        operations = plan_of(changes_of(effects))
        if not operations:
            assert not effects
            continue
        again = apply(twin, Plan.of(operations), "run_1")
        assert lines(again) == lines(effects), seed
        assert alike(twin, known) == alike(memory, known), seed
