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
    mended, taken, _ = repaired(json.dumps(plan).encode(), [found])
    assert (json.loads(mended), taken) == ({**plan, "case": CASE}, 1)
    (found,) = looked_at(*plan["operations"], case="Somebody Else")
    assert not found.suggests


def test_each_operation_on_a_misspelled_path_has_its_suggestion() -> None:
    """One that reads the path does not hide the next, so that all are mended at once."""
    wrong = [operation(op, "stauts.json") for op in ("set", "replace", "rename")]
    found = looked_at(*wrong)
    assert [each.suggestion for each in found] == [
        operation(op, "status.json") for op in ("set", "replace", "rename")
    ]


@pytest.mark.parametrize("prefix", ["/projects/Smith-v-Jones/", "projects/Smith-v-Jones/", "Smith-v-Jones/"])
def test_paths_that_start_above_the_case_are_mended_in_one_round(prefix: str) -> None:
    """All paths of an operation by one suggestion, and of operations that rest on one another at once."""
    right = [
        {"op": "move", "from": "a.txt", "to": "New/"},
        {"op": "rename", "path": "New/a.txt", "name": "b.txt"},
        {"op": "copy", "from": "New/b.txt", "to": "c.txt"},
        {"op": "move", "match": "**/*.pdf", "except": ["Scans/two*"], "to": "Out/{n}.pdf"},
        {"op": "move", "match": "Scans/*/*.tif", "to": "Out/"},
        {"op": "copy", "from": "notes.txt", "to": "Notes/"},
        {"op": "mkdir", "path": "Empty"},
    ]
    keys = ("from", "to", "path", "match")
    wrong: list[dict[str, Any]] = [
        {key: prefix + value if key in keys else value for key, value in each.items()} for each in right
    ]
    wrong[3]["except"] = [prefix + "Scans/two*"]
    wrong[5]["from"] = "notes.tx"
    found = looked_at(*wrong)
    assert [each.suggestion for each in found] == right
    assert looked_at(*right) == []


def test_a_folder_that_is_named_like_the_case_is_a_folder() -> None:
    """A path that leads into it stays as it is, whatever else is mended."""
    memory = Memory([CASE])
    memory.put("notes.txt", file(""))
    memory.put("projects/other.txt", file(""))
    memory.put(f"{CASE}/other.txt", file(""))
    for folder in ("projects", CASE):
        given = operation("move", "notes.tx", to=f"{folder}/notes.txt")
        plan = Plan.decode(json.dumps({"version": 1, "case": CASE, "operations": [given]}))
        (found,) = acts.simulate(plan, memory).problems
        assert found.suggestion == {**given, "from": "notes.txt"}


@pytest.mark.parametrize("prefix", ["Smith-v-Jnes/", "projects/Smith-v-Jones/", "/projects/Smith-v-Jones/"])
def test_without_a_case_all_paths_of_an_operation_get_one_that_there_is(prefix: str) -> None:
    """A mistyped case, or the folder of cases before it, in `from` and `match` as well as in `to`."""
    for given in ({"from": "a.txt", "to": "x.txt"}, {"match": "*.txt", "to": "Out/{name}"}):
        (found,) = looked_at({"op": "move", **{key: prefix + value for key, value in given.items()}}, case="")
        assert found.suggestion == {"op": "move", **{key: f"{CASE}/{value}" for key, value in given.items()}}
        assert looked_at(found.suggestion, case="") == []
    (found,) = looked_at({"op": "copy", "match": f"{CASE}/*.txt", "to": f"{prefix}Out/"}, case="")
    assert found.suggestion == {"op": "copy", "match": f"{CASE}/*.txt", "to": f"{CASE}/Out/"}


@pytest.mark.parametrize(
    ("given", "to"),
    [
        (operation("move", "Scans/*", to="Out/{n}{ext}"), "Out/{n}{ext}"),
        (operation("copy", "run.?h", to="Out/run.sh"), "Out/run.sh"),
        (operation("copy", "*.txt", to="all.txt"), "all.txt/"),
    ],
)
def test_a_pattern_for_a_path_goes_where_it_was_to_go(given: dict[str, Any], to: str) -> None:
    """A template stays one, and one file gets its name; several can only go into a folder."""
    (found,) = looked_at(given)
    assert found.suggestion == {"op": given["op"], "match": given["from"], "to": to}
    assert looked_at(found.suggestion) == []


@pytest.mark.parametrize("op", ["move", "copy", "delete"])
def test_a_misspelled_name_with_brackets_is_no_pattern(op: str) -> None:
    """The nearest name goes before a pattern that matches nothing."""
    memory = Memory([CASE])
    memory.put("Report[1].pdf", file(""))
    plan = {"version": 1, "case": CASE, "operations": [operation(op, "Reprt[1].pdf")]}
    (found,) = acts.simulate(Plan.decode(json.dumps(plan)), memory).problems
    assert found.suggestion == operation(op, "Report[1].pdf")


@pytest.mark.parametrize(
    ("match", "better", "hint"),
    [
        ("Scan/*.Tif*", None, "listing"),
        ("scan/*.Pdf", "Scans/*.[pP][dD][fF]", "the nearest folder is 'Scans'"),
        ("NOTES*", "[nN][oO][tT][eE][sS]*", "upper and lower case"),
        ("*.TIF", "**/*.[tT][iI][fF]", "further down"),
        ("Scans/deep", "Scans/deep/", "a `/` at the end"),
    ],
)
def test_a_glob_with_two_slips_is_mended_too(match: str, better: str | None, hint: str) -> None:
    """Folder and letters at once; a folder that is named without its slash."""
    (found,) = looked_at({"op": "copy", "match": match, "to": "new/"})
    assert (found.suggestion or {}).get("match") == better
    assert hint in found.hint


def test_a_glob_in_a_folder_that_was_moved_is_one_in_its_new_place() -> None:
    (found,) = looked_at(operation("move", "Scans", to="Old"), {"op": "delete", "match": "Scans/*.pdf"})
    assert (found.operation, found.suggestion) == (2, {"op": "delete", "match": "Old/*.pdf"})


def test_a_glob_of_which_nothing_is_left_is_not_mended() -> None:
    """It is the exceptions that are too wide, and no other pattern is guessed."""
    (found,) = looked_at({"op": "delete", "match": "Scans/*.pdf", "except": ["Scans/*"]})
    assert (found.suggests, found.hint) == (False, "`except` leaves out all that it matches")
