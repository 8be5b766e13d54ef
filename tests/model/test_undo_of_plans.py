"""Whatever a plan does, its undo gives back the tree as it was, entry by entry; undo of that, what the plan made."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from memory import CASE, Memory, Run
from plainly import Plain
from recipes import PLANS, TREES, Recipe, grow, random_recipe, sensible
from test_simulate import FREE, plan_of

from treegate.model import acts
from treegate.model.effects import Effect
from treegate.model.inverse import as_undone, closure, undo_of
from treegate.model.inverse import plan_of as operations_of
from treegate.model.plan import Plan
from treegate.model.seal import About, seal


def carried_out(memory: Memory, plan: Plan, run: str) -> list[Effect] | None:
    """All effects of a plan, once it is carried out; None where it has errors."""
    chunks: list[list[bytes]] = []
    done = seal(acts.simulate(plan, memory), FREE, About("ws"), chunks.append)
    if done.rows is None:
        return None
    Run(memory, run).carry_out(done.rows)
    return [msgspec.json.decode(line, type=Effect) for chunk in chunks for line in chunk]


def undone(memory: Memory, effects: list[Effect], run: str, by: str) -> list[Effect]:
    """Takes effects of a run back by another, whose plan has no errors."""
    operations = operations_of(undo_of(effects, run))
    if not operations:
        return []
    found = carried_out(memory, Plan.of(operations), by)
    assert found is not None, operations
    return found


def there_and_back(tree: Recipe, recipe: Recipe) -> None:
    memory = grow(tree)
    operations = sensible(recipe, Plain(memory, CASE))
    if not operations:
        return
    before = memory.picture()
    effects = carried_out(memory, plan_of(memory, operations), "run_1")
    if effects is None:
        return
    after = memory.picture()
    back = undone(memory, effects, "run_1", "run_2")
    assert memory.picture() == before
    undone(memory, back, "run_2", "run_3")
    assert memory.picture() == after


def piece_by_piece(tree: Recipe, recipe: Recipe, chance: random.Random) -> None:
    memory = grow(tree)
    operations = sensible(recipe, Plain(memory, CASE))
    if not operations:
        return
    before = memory.picture()
    effects = carried_out(memory, plan_of(memory, operations), "run_1")
    if not effects:
        return
    wanted = {effect.id for effect in effects if chance.random() < 0.3}
    taken = closure(effects, wanted)
    assert wanted <= taken
    first = [effect for effect in effects if effect.id in taken]
    rest = [effect for effect in effects if effect.id not in taken]
    undone(memory, first, "run_1", "run_2")
    undone(memory, list(as_undone(rest, first)), "run_1", "run_3")
    assert memory.picture() == before


@settings(max_examples=150, deadline=None)
@given(TREES, PLANS)
def test_undo_gives_back_the_tree_as_it_was(tree: Recipe, plan: Recipe) -> None:
    """By path, identity, kind, content, mode and time; and undo of the undo gives back what the plan made."""
    there_and_back(tree, plan)


@settings(max_examples=100, deadline=None)
@given(TREES, PLANS)
def test_undo_in_two_pieces_gives_back_the_tree_as_it_was(tree: Recipe, plan: Recipe) -> None:
    """Any effects, with what has to go along, and then the others."""
    piece_by_piece(tree, plan, random.Random(len(tree) * 64 + len(plan)))


@pytest.mark.faults
def test_thousands_of_plans_are_undone() -> None:
    """Larger ones, at random."""
    for seed in range(5_000):
        chance = random.Random(seed)
        tree, plan = random_recipe(chance, 30), random_recipe(chance, 25)
        there_and_back(tree, plan)
        piece_by_piece(tree, plan, chance)


def test_what_lay_in_a_kept_folder_does_not_stand_in_the_way() -> None:
    """A file of a restored folder is replaced, another leaves it: undo takes the folder away again."""
    memory = grow([])
    operations: list[dict[str, Any]] = [
        {"op": "restore", "run": "run_0", "entry": 2, "to": "back"},
        {"op": "replace", "path": "back/a", "content": "new"},
        {"op": "move", "from": "back/b/c", "to": "out"},
    ]
    before = memory.picture()
    effects = carried_out(memory, plan_of(memory, operations), "run_1")
    assert effects is not None
    assert ("restored", "vault:run_0/2/b/c") in [(effect.effect, effect.source) for effect in effects]
    undone(memory, effects, "run_1", "run_2")
    assert memory.picture() == before


def test_a_hundred_thousand_moves_are_undone_by_as_many() -> None:
    """One operation each, in an order that works."""
    effects = [
        Effect(id=f"e{n}", effect="moved", path=f"Case/B/{n}", kind="file", source=f"Case/A/{n}")
        for n in range(100_000)
    ]
    operations = operations_of(undo_of(effects, "run_1"))
    assert len(operations) == 100_000
    assert (operations[7].source, operations[7].to) == ("Case/B/7", "Case/A/7")
