"""The worksheet: whatever a name holds comes back as it was, and edited lines mean what they say, or are refused."""

from __future__ import annotations

import os
import random
import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import CASE, Item, Memory, Run, file
from plainly import Plain, Refused

from treegate.model.acts import simulate
from treegate.model.draft import Change, plan_of
from treegate.model.operations import Delete, Move
from treegate.model.plan import Plan
from treegate.model.policy import Paths, Policy
from treegate.model.seal import About, seal
from treegate.model.tree import Kind
from treegate.model.worksheet import Row, meant, read, rows_of, sheet, shown, with_folders

NAMES = (
    st.binary(min_size=1, max_size=12)
    .filter(lambda raw: b"/" not in raw and b"\0" not in raw and raw not in (b".", b".."))
    .map(os.fsdecode)
)

TREE = [
    Row(1, "A", True),
    Row(2, "A/one", False),
    Row(3, "A/two", False),
    Row(4, "B", True),
    Row(5, "B/x", False),
    Row(6, "z", False),
]


@given(st.lists(NAMES, min_size=1, max_size=3))
def test_any_path_comes_back_from_its_notation(parts: list[str]):
    """Every byte, in a line that an editor can show: nothing in it ends a line or hides."""
    path = "/".join(parts)
    text = shown(path)
    assert meant(text) == path
    assert text.isprintable()
    assert not text.endswith(" ")


@given(st.lists(NAMES, unique=True, max_size=8))
def test_a_sheet_that_nobody_edited_means_no_change(names: list[str]):
    rows = [Row(number, name, number % 2 == 0) for number, name in enumerate(names, 1)]
    text = "".join(sheet(rows, "A\nB"))
    assert rows_of(text) == rows
    found = read(text, rows)
    assert (found.changes, found.deleted, found.faults) == ([], [], [])


def edited(*edits: tuple[str, str], rows: list[Row] = TREE):
    text = "".join(sheet(rows, "case"))
    for pattern, by in edits:
        assert re.search(pattern, text, re.MULTILINE), pattern
        text = re.sub(pattern, by, text, flags=re.MULTILINE)
    return read(text, rows)


def moves(found) -> set[tuple[str, str]]:
    assert found.faults == []
    return {(change.source, change.target) for change in found.changes if change.kind == "move"}


def test_a_changed_path_is_a_move():
    assert moves(edited(("z$", "B/zed"))) == {("z", "B/zed")}


def test_a_folder_takes_its_lines_along():
    """Those that were left as they are, and those that were changed to where the folder takes them."""
    assert moves(edited(("A/$", "C/"))) == {("A", "C")}
    assert moves(edited(("A/", "C/"))) == {("A", "C")}


def test_a_line_that_is_edited_besides_moves_by_itself_in_the_folder_or_out_of_it():
    assert moves(edited(("A/$", "C/"), ("A/one", "C/uno"))) == {("A", "C"), ("A/one", "C/uno")}
    assert moves(edited(("A/$", "C/"), ("A/one", "A/uno"))) == {("A", "C"), ("A/one", "C/uno")}
    assert moves(edited(("A/$", "C/"), ("A/one", "one"))) == {("A", "C"), ("A/one", "one")}


def test_swapped_lines_are_a_swap():
    assert moves(edited(("A/one", "TMP"), ("A/two", "A/one"), ("TMP", "A/two"))) == {
        ("A/one", "A/two"), ("A/two", "A/one")
    }  # fmt: skip
    assert moves(edited(("A/$", "TMP/"), ("B/$", "A/"), ("TMP/", "B/"))) == {("A", "B"), ("B", "A")}


def test_the_order_of_lines_means_nothing():
    text = "".join(reversed("".join(sheet(TREE, "case")).splitlines(keepends=True)))
    assert read(text, TREE) == ([], [], [])


def test_a_line_that_is_gone_is_a_deletion_and_a_whole_folder_is_one():
    found = edited((r"^6.*\n", ""))
    assert [(change.kind, change.source) for change in found.changes] == [("delete", "z")]
    found = edited((r"^[123]\t.*\n", ""))
    assert [(one.kind, one.source, one.recursive) for one in found.changes] == [("delete", "A", True)]
    assert found.deleted == ["A", "A/one", "A/two"]


def test_a_folder_whose_line_is_gone_may_be_left_by_what_was_in_it():
    found = edited((r"^[13]\t.*\n", ""), ("A/one", "one"))
    assert {(one.kind, one.source) for one in found.changes} == {("move", "A/one"), ("delete", "A")}


@pytest.mark.parametrize(
    ("edits", "line", "says"),
    [
        ([(r"^1\t.*\n", "")], 0, "the line of the folder 'A' is gone, and 2 of those in it are not"),
        ([(r"^6\t", "7\t")], 11, "has the number 7, which no line had"),
        ([(r"^6\t", "5\t")], 11, "has the number 5, and so has line 10"),
        ([(r"^6\tz", "new")], 11, "has no number and tab"),
        ([("z$", "A/one")], 11, "leads to 'A/one', and so does line 7"),
        ([("z$", "A/one/deeper")], 11, "leads into 'A/one', which is a file"),
        ([("z$", "../z")], 11, "is no path within the case"),
        ([("z$", "")], 11, "is no path within the case"),
        ([("z$", "z/")], 11, "is no path within the case for a file"),
        ([("z$", "/z")], 11, "is no path within the case"),
        ([("z$", r"z\\q")], 11, "is no escape of this notation"),
        ([(r"^1\t.*\n", ""), ("A/one", "A/uno")], 0, "the line of the folder 'A' is gone, and 2 of"),
        ([(r"^[123]\t.*\n", ""), ("z$", "A/z")], 0, "the line of the folder 'A' is gone, and 1 of"),
        ([("A/$", "A/in/")], 6, "puts the folder 'A' into itself"),
    ],
)
def test_what_makes_no_sense_is_named_with_its_line(edits: list[tuple[str, str]], line: int, says: str):
    """And then nothing of the sheet becomes a plan."""
    found = edited(*edits)
    assert [fault.line for fault in found.faults] == [line]
    assert says in found.faults[0].text
    assert found.changes == []


def test_all_that_is_wrong_is_told_at_once():
    found = edited((r"^6\t", "9\t"), ("A/one", "../one"), ("B/x", r"B/\\x0"))
    assert len(found.faults) == 3
    assert [fault.line for fault in found.faults] == sorted(fault.line for fault in found.faults)


PATHS = ["a", "a/b", "a/b/f", "a/g", "c", "c/h", "i"]
FOLDERS = {"a", "a/b", "c"}
ANYWHERE = st.lists(st.sampled_from("abcfi"), min_size=1, max_size=3).map("/".join)


@settings(max_examples=300, deadline=None)
@given(st.fixed_dictionaries({path: st.one_of(st.just(path), st.just(path), st.none(), ANYWHERE) for path in PATHS}))
def test_whatever_lines_say_no_file_is_lost_or_left_under_a_name_that_nobody_gave(asked: dict[str, str | None]):
    """The plan has no error, keeps each file whose line is there, and takes away each whose line is not."""
    rows = [Row(number, path, path in FOLDERS) for number, path in enumerate(PATHS, 1)]
    lines = [f"{row.number}\t{asked[row.path]}" for row in rows if asked[row.path] is not None]
    found = read("\n".join(lines), rows)
    if found.faults or not found.changes:
        return
    memory = Memory()
    for path in PATHS:
        if path not in FOLDERS:
            memory.put(path, file(path))
    at_case = [
        one._replace(source=one.source and f"Case/{one.source}", target=one.target and f"Case/{one.target}")
        for one in with_folders(found.changes)
    ]
    sealed = seal(simulate(Plan.of(plan_of(at_case)), memory), Policy(protect=Paths(paths=())), About("ws"))
    assert sealed.preview.valid, sealed.preview.problems
    Run(memory, "run_x").carry_out(list(sealed.rows or ()))
    after = {path: item.content.decode() for path, item in memory.root.below() if item.content}
    assert not any("treegate-parked" in path for path in after)
    kept = [path for path in PATHS if path not in FOLDERS and asked[path] is not None]
    assert sorted(after.values()) == sorted(kept)
    for path, content in after.items():
        if asked[content] != content:
            assert path.rpartition("/")[2] == str(asked[content]).rpartition("/")[2]


def test_a_new_folder_where_another_entry_was_is_not_that_entry():
    """A file may go into a folder of its own name, or of the name that another one gives up."""
    tree = [Row(1, "f", False), Row(2, "z", False)]
    found = read("1\tz/f\n2\tw\n", tree)
    assert [one.target for one in with_folders(found.changes) if one.kind == "mkdir"] == ["z"]
    found = read("1\tf/f\n2\tz\n", tree)
    assert [one.target for one in with_folders(found.changes) if one.kind == "mkdir"] == ["f"]


def remaining(rows: list[Row], said: dict[int, str]) -> dict[int, str] | None:
    """Where each entry is after the operations of an edit, carried out one by one; None where they are refused."""
    found = read("".join(f"{number}\t{path}\n" for number, path in said.items()), rows)
    if found.faults:
        return None
    memory = Memory()
    for row in rows:
        item = Item(Kind.DIR) if row.is_dir else file(str(row.number))
        memory.put(row.path, item)
        item.ino = row.number
    plain = Plain(memory, CASE)
    at_case = [
        one._replace(source=one.source and f"{CASE}/{one.source}", target=one.target and f"{CASE}/{one.target}")
        for one in with_folders(found.changes)
    ]
    for operation in msgspec.to_builtins(plan_of(at_case)):
        try:
            plain.carry_out({key: str(value).removeprefix(f"{CASE}/") for key, value in operation.items()})
        except Refused:
            return None
    return {entry.ino: path for path, entry in plain.tree.items() if entry.ino}


def test_an_entry_that_stays_leaves_a_folder_that_goes_even_where_another_folder_comes_there():
    """Its path may read the same before and after: it is another folder by then."""
    rows = [Row(1, "a", True), Row(2, "a/b", False), Row(3, "c", True), Row(4, "c/c", False)]
    assert remaining(rows, {2: "c/b", 3: "a", 4: "c/c"}) == {2: "a/b", 3: "a", 4: "a/c"}


def test_what_is_parked_on_its_way_is_never_deleted():
    """Also where the fewest steps park a folder where deleted things go: folders turned inside out around one."""
    ends = [("a", "a/a"), ("a/a", "a"), ("a/a/b", "a/a/d"), ("a/b", "d")]
    changes = [Change("move", f"C/{source}", f"C/{target}", is_dir=True) for source, target in ends]
    operations = plan_of([*changes, Change("delete", "C/a/b/a", is_dir=True)])
    assert [type(one) for one in operations].count(Delete) == 1
    assert {type(one) for one in operations} == {Delete, Move}


def test_any_edit_that_is_taken_keeps_every_entry_that_has_a_line():
    """Thousands of random edits of small trees: nothing goes but what lost its line."""
    chance = random.Random(5)
    for _ in range(3000):
        paths, folders = dict[str, bool](), [""]
        for _ in range(chance.randrange(1, 9)):
            path = f"{chance.choice(folders)}{chance.choice('abc')}"
            if path not in paths:
                paths[path] = chance.random() < 0.5
                folders += [f"{path}/"] * paths[path]
        rows = [Row(number, path, paths[path]) for number, path in enumerate(sorted(paths), 1)]
        said = {row.number: row.path for row in rows if chance.random() < 0.9}
        for number in said:
            if chance.random() < 0.4:
                said[number] = "/".join(chance.choice("abcd") for _ in range(chance.randrange(1, 4)))
        after = remaining(rows, said)
        assert after is None or set(after) == set(said), (rows, said)
