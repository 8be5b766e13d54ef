"""What must be survived is shown by tests, and each broken engine by a harness that catches it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from tests import skips, survived

FAULTS = Path(__file__).parent / "faults"
NUMBERS = {number for items in survived.ITEMS.values() for number in items}


@pytest.mark.parametrize("number", sorted(NUMBERS))
def test_every_item_has_a_test(number):
    """One that names its number, and is there."""
    assert survived.by_item()[number]


def test_no_test_names_an_item_that_there_is_not():
    """A slip of the pen would count for nothing."""
    wrong = {name: found for name, numbers in survived.tests() if (found := set(numbers) - NUMBERS)}
    assert wrong == {}


def test_every_broken_engine_is_tried_by_a_harness():
    """A break that no test installs says nothing of any harness."""
    table = next(
        node.value
        for node in ast.walk(ast.parse((FAULTS / "broken.py").read_text()))
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "BROKEN"
    )
    names = [ast.literal_eval(key) for key in table.keys]
    tests = "\n".join(path.read_text() for path in FAULTS.glob("*.py") if path.name != "broken.py")
    assert [name for name in names if f'"{name}"' not in tests] == []


def test_every_listed_reason_is_a_pattern_and_says_why_it_may_be():
    """`.ci/run` fails on any other."""
    for pattern, because in skips.listed().items():
        assert re.compile(pattern)
        assert len(because) > 20, pattern


@pytest.mark.parametrize("reason", ["", "because", "needs roots", "cannot be bothered", "it hangs here"])
def test_a_reason_that_is_not_listed_is_found(reason):
    """Whatever it sounds like."""
    assert skips.unlisted(reason, skips.listed())


def test_what_tests_import_of_each_other_has_a_name_of_its_own():
    """They are imported by their bare names, so that of two alike one would stand for the other."""
    names = [
        path.name for path in Path(__file__).parent.rglob("*.py") if path.name not in ("conftest.py", "__init__.py")
    ]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []
