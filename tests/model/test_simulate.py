"""A plan means what its operations mean one after the other, and its steps make exactly that of the tree.

Judged by an interpreter that knows nothing but a dictionary of paths (plainly.py), and by carrying the step table
out on a tree in memory (memory.py).
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from memory import CASE, Memory, Run, seen
from plainly import NEW, Plain
from recipes import PLANS, TREES, Recipe, document, grow, random_recipe, sensible, writes

from treegate.model import acts
from treegate.model.capabilities import Capabilities
from treegate.model.plan import Plan
from treegate.model.policy import Limits, Paths, Policy
from treegate.model.preview import Preview
from treegate.model.seal import About, Sealed, seal
from treegate.model.simulate import Outcome
from treegate.model.tree import Kind

FREE = Policy(
    protect=Paths(paths=("never-there",)),
    limits=Limits(deletes=10**6, delete_share=1.0, replacements=10**6),
)


def plan_of(memory: Memory, operations: list[dict[str, Any]], case: str = CASE) -> Plan:
    plan = Plan.decode(json.dumps(document(operations, case)))
    for sha256, content in plan.contents():
        memory.blobs[sha256] = content
    return plan


def simulated(memory: Memory, *operations: dict[str, Any]) -> Outcome:
    return acts.simulate(plan_of(memory, list(operations)), memory)


def sealed(memory: Memory, *operations: dict[str, Any]) -> Sealed:
    done = seal(simulated(memory, *operations), FREE, About("ws"))
    assert done.rows is not None, done.preview.problems
    return done


def carried_out(memory: Memory, *operations: dict[str, Any], run: str = "run_1") -> tuple[Preview, Run]:
    done = sealed(memory, *operations)
    assert done.rows is not None
    return done.preview, Run(memory, run).carry_out(done.rows)


def errors(outcome: Outcome) -> list[tuple[int | None, str]]:
    return [(found.operation, found.code) for found in outcome.problems if found.severity == "error"]


def final_tree(outcome: Outcome) -> dict[str, tuple[int, Kind]]:
    """The virtual tree as a whole: (inode or NEW, kind) by path."""
    forest = outcome.forest
    found: dict[str, tuple[int, Kind]] = {}
    todo = list(forest.children(forest.case(CASE)))
    for node in todo:
        ino = NEW if node.made is not None else forest.facts(node)[5]
        found[node.path().partition("/")[2]] = ino, node.kind
        if node.kind is Kind.DIR:
            todo += forest.children(node)
    return found


def identities(picture: dict[str, tuple[Any, ...]]) -> dict[str, tuple[int, Kind]]:
    return {path: (entry[0], entry[1]) for path, entry in picture.items()}


def means_the_same(tree: Recipe, plan: Recipe, exchange: bool = True) -> None:
    """The claims of this file about one tree and one plan."""
    memory = grow(tree)
    memory.cases = {CASE: Capabilities(exchange=exchange)}
    before = {item.ino for _, item in memory.root.below()}
    plain = Plain(memory, CASE)
    operations = sensible(plan, plain)
    if not operations:
        return
    outcome = simulated(memory, *operations)
    assert errors(outcome) == []
    assert final_tree(outcome) == identities(plain.picture())
    done = seal(outcome, FREE, About("ws"))
    if done.rows is None:  # what only shows at the end, such as a special file in a folder
        assert {found.code for found in done.preview.problems if found.severity == "error"} <= {
            "special-file", "restored-in-vain"
        }  # fmt: skip
        return
    run = Run(memory, "run_1").carry_out(done.rows)
    now = {
        path.partition("/")[2]: (NEW if item in run.built.values() else item.ino, *seen(item)[1:])
        for path, item in memory.root.below()
        if "/" in path
    }
    assert now == plain.picture()
    after = {item.ino for _, item in memory.root.below()} | {
        item.ino for a in memory.vaults.values() for _, item in a.below()
    }
    assert before <= after, "nothing is ever destroyed"


@settings(max_examples=400, deadline=None)
@given(TREES, PLANS)
def test_a_plan_means_what_its_operations_mean_in_order(tree: Recipe, plan: Recipe) -> None:
    """Simulated, and carried out by steps, it comes to the tree of the plain model, entry by entry."""
    means_the_same(tree, plan)


@settings(max_examples=100, deadline=None)
@given(TREES, PLANS)
def test_without_exchange_it_means_the_same(tree: Recipe, plan: Recipe) -> None:
    """Where the mount cannot swap two entries, parking places serve."""
    means_the_same(tree, plan, exchange=False)


@pytest.mark.faults
def test_thousands_of_plans_mean_what_they_say() -> None:
    """Twenty thousand random trees and plans, of up to 30 entries and 25 operations."""
    for seed in range(20_000):
        chance = random.Random(seed)
        means_the_same(random_recipe(chance, 30), random_recipe(chance, 25), exchange=seed % 4 > 0)


@settings(max_examples=200, deadline=None)
@given(TREES, PLANS)
def test_what_makes_no_sense_is_an_error_of_that_operation(tree: Recipe, plan: Recipe) -> None:
    """The first operation that the plain model refuses is the first that the simulation reports."""
    memory = grow(tree)
    operations, refused = writes(plan, Plain(memory, CASE))
    if refused is None:
        return
    found = errors(simulated(memory, *operations, refused))
    assert found
    assert {number for number, _ in found} == {len(operations) + 1}
