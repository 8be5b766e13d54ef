"""Undo as a plan, and effects as a plan: what comes back is what was, entry by entry."""

from __future__ import annotations

import copy
import random
from typing import Any

import msgspec
import pytest
from memory import CASE, Item, Memory, Run, file, link

from treegate.model.acts import simulate
from treegate.model.effects import Effect
from treegate.model.inverse import changes_of, closure, likeness, plan_of, undo_of
from treegate.model.operations import Operation
from treegate.model.plan import Plan
from treegate.model.policy import Paths, Policy
from treegate.model.preview import Preview
from treegate.model.seal import About, seal, table_rows
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
    return found.preview, [msgspec.json.decode(line, type=Effect) for line in chunks], table_rows(found)


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
    from urllib.parse import quote_from_bytes

    return quote_from_bytes(path.encode("utf-8", "surrogateescape"), safe="/ ")


def some_plan(choose: random.Random, memory: Memory, length: int) -> Plan | None:
    """A plan without errors: operations that do not fit are left out as it grows."""
    operations: list[dict[str, Any]] = []
    paths = [path for path, _ in memory.root.children[CASE].below()]
    kept = [(run, int(name)) for (_, run), area in memory.vaults.items() for name in area.children]
    for _ in range(length):
        one = some_operation(choose, paths, kept)
        preview, effects, _ = sealed(memory, plan(*operations, one))
        if preview.valid:
            operations.append(one)
            paths += [unquoted(one[key]) for key in ("to", "path") if key in one]
    return plan(*operations) if operations else None


def unquoted(path: str) -> str:
    from urllib.parse import unquote_to_bytes

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
    """Undo brings back every entry itself, with its name, content, mode and time; undoing that brings the run's back."""
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


@pytest.mark.parametrize("block", range(10))
def test_effects_become_a_plan_with_the_same_effects(block: int):
    """What was previewed can be written down again from its effects alone, and makes the same tree."""
    for seed in range(block * 60, block * 60 + 60):
        choose = random.Random(seed)
        memory = grow(choose)
        first = some_plan(choose, memory, choose.randint(1, 9))
        if first is None or copies_what_changes(first):
            continue
        twin = copy.deepcopy(memory)
        known = {ino for ino, *_ in memory.picture().values()}
        effects = apply(memory, first, "run_1")
        operations = plan_of(changes_of(effects))
        if not operations:
            assert not effects
            continue
        again = apply(twin, Plan.of(operations), "run_1")
        assert lines(again) == lines(effects), seed
        assert alike(twin, known) == alike(memory, known), seed


def copies_what_changes(plan: Plan) -> bool:
    """Whether a copy is part of the plan at all."""
    return False
