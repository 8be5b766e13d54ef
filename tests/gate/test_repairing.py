"""Repair: suggestions are taken, and those that the mended plan calls for, until nothing is left to take."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gatework import Office

from treegate.errors import PlanError


def repaired(office: Office, *operations: Any, **head: Any) -> tuple[dict[str, Any], int, list[str]]:
    document = {"version": 1, "operations": list(operations), **head}
    done = office.gate.repair(json.dumps(document).encode())
    return json.loads(done.document), done.taken, [found.code for found in done.problems]


@pytest.mark.parametrize("prefix", ["/projects/Smith/", "projects/Smith/", "Smith/"])
def test_paths_written_from_the_root_on_are_mended_at_both_ends(office: Office, prefix: str):
    """In `from` as in `to`, `match`, `except` and `path`; the plan is ready after one call."""
    for name in ("a", "b.txt", "c.txt", "d"):
        office.put(f"Smith/{name}", name)
    plan, _, left = repaired(
        office,
        {"op": "move", "from": f"{prefix}a", "to": f"{prefix}New/a"},
        {"op": "move", "match": f"{prefix}*.txt", "except": [f"{prefix}c*"], "to": f"{prefix}New/"},
        {"op": "delete", "path": f"{prefix}d"},
        case="Smith",
    )
    assert left == []
    assert plan["operations"] == [
        {"op": "move", "from": "a", "to": "New/a"},
        {"op": "move", "match": "*.txt", "except": ["c*"], "to": "New/"},
        {"op": "delete", "path": "d"},
    ]


def test_a_mistyped_case_and_all_that_it_hid_are_mended(office: Office):
    """The case, a key of another tool, a misspelled name, and a folder that the target turns out to be."""
    office.put("Smith/letter.pdf", "x")
    office.put("Smith/Out/other", "x")
    plan, taken, left = repaired(office, {"op": "mv", "src": "leter.pdf", "dst": "Out"}, case="Smiht")
    assert (plan["case"], plan["operations"]) == ("Smith", [{"op": "move", "from": "letter.pdf", "to": "Out/"}])
    assert (taken, left) == (4, [])


@pytest.mark.parametrize(
    "prefix", ["/projects/Smiht/", "projects/Smiht/", "Smiht/", "/projects/Smith/", "Smith/", ""]
)
def test_paths_that_begin_with_the_mistyped_case_are_mended_with_it(office: Office, prefix: str):
    """However the author wrote the case, it is the same slip at the head of the plan and in its paths."""
    for name in ("a", "b.txt", "c.txt"):
        office.put(f"Smith/{name}", name)
    right = [
        {"op": "move", "from": "a", "to": "New/"},
        {"op": "rename", "path": "New/a", "name": "d"},
        {"op": "copy", "match": "*.txt", "except": ["c*"], "to": "New/{n}{ext}"},
    ]
    wrong: list[dict[str, Any]] = [
        {key: prefix + value if key in ("from", "to", "path", "match") else value for key, value in each.items()}
        for each in right
    ]
    wrong[2]["except"] = [f"{prefix}c*"]
    plan, _, left = repaired(office, *wrong, case="Smiht")
    assert (plan["case"], plan["operations"], left) == ("Smith", right, [])


def test_what_nothing_mends_is_left_and_told(office: Office):
    office.put("Smith/a", "x")
    plan, taken, left = repaired(office, {"op": "delete", "path": "nothing like it"}, case="Smith")
    assert (plan["operations"], taken, left) == ([{"op": "delete", "path": "nothing like it"}], 0, ["source-missing"])


def test_what_is_no_plan_cannot_be_mended(office: Office):
    with pytest.raises(PlanError):
        office.gate.repair(b"{")
    with pytest.raises(PlanError):
        repaired(office, {"op": "fly"}, titel="x")
