"""What a misspelled path, a pattern in the wrong place and a glob that matches nothing are taken to mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from memory import Memory, file

from treegate.model import acts
from treegate.model.plan import Plan
from treegate.model.problems import Problem
from treegate.model.repair import repaired

CASE = "Smith-v-Jones"
FILES = ("status.json", "notes.txt", "a.txt", "x", "Scans/one.pdf", "Scans/two.PDF", "Scans/deep/three.tif", "run.sh")
REST: dict[str, dict[str, Any]] = {
    "delete": {}, "replace": {"content": ""}, "rename": {"name": "new"}, "set": {"mode": "0755"},
    "move": {"to": "new"}, "copy": {"to": "new"},
}  # fmt: skip


def looked_at(*operations: dict[str, Any], case: str = CASE) -> list[Problem]:
    memory = Memory([CASE, "Doe"])
    for path in FILES:
        memory.put(path, file(path))
    plan = Plan.decode(json.dumps({"version": 1, "case": case, "operations": operations}))
    return acts.simulate(plan, memory).problems


def operation(op: str, path: str, **more: Any) -> dict[str, Any]:
    return {"op": op, "from" if op in ("move", "copy") else "path": path, **REST[op], **more}


@pytest.mark.parametrize("op", REST)
@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("stauts.json", "status.json"), ("notes.tx", "notes.txt"), ("Status.json", "status.json"),
        ("rum.sh", "run.sh"), ("Scan/one.pdf", "Scans/one.pdf"), ("scans/two.pdf", "Scans/two.PDF"),
    ],
)  # fmt: skip
def test_a_misspelled_path_is_the_nearest_one_there_is(op: str, wrong: str, meant: str) -> None:
    """Whatever the operation, the suggestion is that operation with the path mended, ready to use."""
    (found,) = looked_at(operation(op, wrong))
    assert (found.code, found.suggestion) == ("source-missing", operation(op, meant))
    assert repr(meant) in found.hint


@pytest.mark.parametrize("op", REST)
@pytest.mark.parametrize("wrong", ["b.txt", "y", "nothing like it", "Scans/else.doc"])
def test_nothing_is_suggested_where_nothing_resembles(op: str, wrong: str) -> None:
    """Another letter for the only one is another name, not a slip."""
    (found,) = looked_at(operation(op, wrong))
    assert (found.code, found.suggests) == ("source-missing", False)


@pytest.mark.parametrize(
    ("given", "better"),
    [
        (operation("move", "Scans/*.pdf", to="b"), {"op": "move", "match": "Scans/*.pdf", "to": "b/"}),
        (operation("copy", "Scans/[ot]*", to="b/"), {"op": "copy", "match": "Scans/[ot]*", "to": "b/"}),
        (operation("delete", "Scans/*.pdf"), {"op": "delete", "match": "Scans/*.pdf"}),
    ],
)
def test_a_pattern_for_a_path_is_meant_as_match(given: dict[str, Any], better: dict[str, Any]) -> None:
    """`from` and `path` name one entry; the suggestion names those that the pattern does."""
    (found,) = looked_at(given)
    assert (found.code, found.suggestion) == ("near-miss", better)
    assert looked_at(better) == []


def test_a_name_that_holds_a_star_is_a_name() -> None:
    """A file that is called so is there; and what is no pattern either is only misspelled."""
    (found,) = looked_at(operation("move", "a[.txt"))
    assert found.code == "source-missing"
    (found,) = looked_at({**operation("move", "%2A.txt"), "raw": True})
    assert found.code == "source-missing"


@pytest.mark.parametrize(
    ("match", "better", "hint"),
    [
        ("Scan/*.pdf", "Scans/*.pdf", "the nearest folder is 'Scans'"),
        ("Scans/*.Pdf", "Scans/*.[pP][dD][fF]", "upper and lower case"),
        ("*.pdf", "**/*.pdf", "further down"),
        ("Smith-v-Jones/*.txt", "*.txt", "start at the case"),
        ("/projects/Smith-v-Jones/Scans/*.pdf", "Scans/*.pdf", "start at the case"),
    ],
)
def test_a_glob_that_matches_nothing_is_the_nearest_that_does(match: str, better: str, hint: str) -> None:
    """The suggestion matches; the hint says in what it differs."""
    (found,) = looked_at({"op": "move", "match": match, "to": "new/"})
    assert found.suggestion == {"op": "move", "match": better, "to": "new/"}
    assert hint in found.hint
    assert looked_at(found.suggestion) == []


def test_a_deletion_is_never_widened_by_a_suggestion() -> None:
    """It is only said that the names are further down."""
    (found,) = looked_at({"op": "delete", "match": "*.pdf"})
    assert (found.suggests, "'**/*.pdf' matches" in found.hint) == (False, True)


def test_a_glob_that_resembles_nothing_has_no_suggestion() -> None:
    (found,) = looked_at({"op": "move", "match": "zzz*.q", "to": "new/"})
    assert (found.code, found.suggests) == ("no-match", False)


def test_only_so_many_globs_are_looked_for() -> None:
    """A plan of thousands of bad globs does not search the tree as many times."""
    found = looked_at(*({"op": "move", "match": f"{n}*.Pdf/*.pdf", "to": "new/"} for n in range(100)))
    assert len(found) == 100
    found = looked_at(*({"op": "move", "match": "*.pdf", "to": "new/"} for n in range(100)))
    assert 0 < sum(each.suggests for each in found) < 20


def test_a_case_that_is_not_there_is_the_nearest_one() -> None:
    """The suggestion is the key of the plan to change."""
    plan = {"version": 1, "case": "Smith-v-Jone", "operations": [operation("delete", "a.txt")]}
    (found,) = looked_at(*plan["operations"], case=plan["case"])
    assert (found.code, found.operation, found.suggestion) == ("unknown-case", None, {"case": CASE})
    mended, taken = repaired(json.dumps(plan).encode(), [found])
    assert (json.loads(mended), taken) == ({**plan, "case": CASE}, 1)
    (found,) = looked_at(*plan["operations"], case="Somebody Else")
    assert not found.suggests
