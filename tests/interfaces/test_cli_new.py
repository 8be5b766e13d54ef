"""treegate new and check --fix at the shell: editors that do all sorts of things, tables, plans mended in one go."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from treegate.gate import Gate
from treegate.interfaces.cli import cli
from treegate.interfaces.cli.failures import guarded

Answer = tuple[int, str, str]


class Office:
    """A workspace with one case, and a shell in it."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str], env: pytest.MonkeyPatch) -> None:
        self.folder, self._capfd, self._env = folder, capfd, env
        self.case = folder / "ws/projects/Smith"
        self.case.mkdir(parents=True)
        for name in ("Scans/1.pdf", "Scans/2.pdf", "Scans/complaint.pdf", "notes.txt", os.fsdecode(b"caf\xe9\n")):
            (self.case / name).parent.mkdir(exist_ok=True)
            (self.case / name).write_text(name if name.isascii() else "odd")
        env.setenv("TREEGATE_STATE", str(folder / "state"))
        env.setattr("tempfile.tempdir", str(folder))
        env.delenv("VISUAL", raising=False)
        env.chdir(folder / "ws")
        Gate.init(folder / "ws", solo=True).close()

    def __call__(self, *args: str) -> Answer:
        self._capfd.readouterr()
        status = guarded(cli, list(args))
        return (status, *self._capfd.readouterr())

    def editor(self, script: str) -> None:
        """The person's editor: a shell script, whose last argument is the file."""
        path = self.folder / "editor.sh"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(stat.S_IRWXU)
        self._env.setenv("EDITOR", str(path))

    def edited(self, script: str, *options: str) -> Answer:
        self.editor(script)
        return self("new", "Smith", "--edit", *options)

    def left(self) -> list[Path]:
        """Lists that were kept."""
        return sorted(self.folder.glob("treegate-*/case.txt"))


@pytest.fixture
def office(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Office:
    for name in [name for name in os.environ if name.startswith("TREEGATE_")]:
        monkeypatch.delenv(name)
    return Office(tmp_path, capfd, monkeypatch)


def operations(answer: Answer) -> list[dict[str, Any]]:
    assert answer[0] == 0, answer
    document = json.loads(answer[1])
    assert (document["version"], document["case"]) == (1, "Smith")
    return list(document["operations"])


def applies(office: Office, answer: Answer) -> None:
    """The plan has no error on the case as it is."""
    (office.folder / "made.json").write_text(answer[1])
    status, out, _ = office("check", str(office.folder / "made.json"), "--json")
    assert (status, json.loads(out)["errors"]) == (0, 0)


# --- editors ---------------------------------------------------------------------------------------------------


def test_an_edited_line_becomes_a_move_and_a_folder_goes_whole(office: Office):
    done = office.edited('sed -i -e "s:Scans/$:Letters/:" -e "s:notes.txt:Notes/todo.txt:" "$1"')
    moves = {(one["from"], one["to"]) for one in operations(done)}
    assert moves == {("Scans", "Letters"), ("notes.txt", "Notes/todo.txt")}
    applies(office, done)
    assert office.left() == []


def test_swapped_lines_are_swapped(office: Office):
    done = office.edited('sed -i -e "s:1.pdf:TMP:" -e "s:2.pdf:1.pdf:" -e "s:TMP:2.pdf:" "$1"')
    applies(office, done)


def test_entries_directly_in_the_case_are_swapped_too(office: Office):
    """By way of a third name, in the case itself; and a file may go into a folder of its own name."""
    done = office.edited('sed -i -e "s:notes.txt:TMP:" -e "s:Scans/1.pdf:notes.txt:" -e "s:TMP:Scans/1.pdf:" "$1"')
    applies(office, done)
    (office.case / "more.txt").write_text("more")
    done = office.edited('sed -i -e "s:notes.txt:TMP:" -e "s:more.txt:notes.txt:" -e "s:TMP:more.txt:" "$1"')
    applies(office, done)
    assert len(operations(done)) == 3
    done = office.edited('sed -i "s:notes.txt:notes.txt/notes.txt:" "$1"')
    applies(office, done)


def test_an_editor_that_leaves_a_backup_costs_no_work(office: Office):
    """Nor does a target that cannot be written: what was edited is kept till the plan is there."""
    done = office.edited('cp "$1" "$1~"; sed -i "s:notes.txt:n:" "$1"')
    assert operations(done) == [{"op": "move", "from": "notes.txt", "to": "n"}]
    assert office.left() == []
    status, _, err = office.edited('sed -i "s:notes.txt:n:" "$1"', "-o", str(office.folder / "no/where.json"))
    assert (status, "file-unwritable" in err, len(office.left())) == (2, True, 1)


def test_a_name_that_no_line_can_hold_is_moved_byte_for_byte(office: Office):
    """It is shown in a notation, and the plan says its bytes."""
    done = office.edited(r"""grep -q 'caf\\xe9\\n' "$1" && sed -i 's:caf\\xe9\\n:\\xe9:' "$1" """)
    assert operations(done) == [{"op": "move", "from": "caf%E9%0A", "raw": True, "to": "%E9"}]
    applies(office, done)


def test_ctrl_c_in_the_editor_is_the_editors(office: Office):
    """The command waits for the editor, whatever is pressed there."""
    done = office.edited('kill -INT $PPID; sed -i "s:notes:words:" "$1"')
    assert operations(done) == [{"op": "move", "from": "notes.txt", "to": "words.txt"}]


def test_without_a_way_of_writing_it_is_the_beginning_of_a_plan(office: Office):
    """It names the case and has no example in it that could be handed in by mistake."""
    assert json.loads(office("new", "Smith", "--title", "Sort")[1]) == {
        "version": 1, "title": "Sort", "case": "Smith", "operations": [],
    }  # fmt: skip
    status, _, err = office("new", "Smiht")
    assert (status, "did you mean 'Smith'" in err) == (9, True)


def test_other_orders_and_comments_mean_nothing(office: Office):
    status, _, err = office.edited('sort -r "$1" > "$1.x"; mv "$1.x" "$1"; echo "# a thought" >> "$1"')
    assert (status, "nothing-edited" in err) == (2, True)


def test_lines_taken_out_are_deletions_only_if_somebody_says_so(office: Office):
    """What was edited is kept till then, and the command to go on with is given."""
    status, out, err = office.edited('sed -i "/notes/d" "$1"')
    assert (status, out) == (4, "")
    assert "deletions-unconfirmed" in err
    (kept,) = office.left()
    assert f"treegate new Smith --edit --from {kept} --delete-missing" in err
    office.editor("exit 0")
    done = office("new", "Smith", "--edit", "--from", str(kept), "--delete-missing")
    assert operations(done) == [{"op": "delete", "path": "notes.txt"}]
    assert office.left() == []


@pytest.mark.parametrize(
    ("script", "code", "status", "kept"),
    [
        ("exit 1", "editor-failed", 2, False),
        ('echo "9 x" >> "$1"; exit 1', "editor-failed", 2, True),
        ("exit 0", "nothing-edited", 2, False),
        ('echo "99\tnew.txt" >> "$1"', "sheet-invalid", 3, True),
        ('echo "new.txt" >> "$1"', "sheet-invalid", 3, True),
        ('tail -1 "$1" >> "$1"', "sheet-invalid", 3, True),
        (': > "$1"', "deletions-unconfirmed", 4, True),
        ('sed -i "s:notes.txt:Scans/1.pdf:" "$1"', "sheet-invalid", 3, True),
        ('rm "$1"', "file-unreadable", 2, False),
    ],
)
def test_what_is_no_plan_is_none_and_loses_no_edit(office: Office, script: str, code: str, status: int, kept: bool):
    found, out, err = office.edited(script)
    assert (found, out, f"[{code}]" in err) == (status, "", True)
    assert bool(office.left()) == kept


def test_an_editor_that_is_not_there_says_so(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EDITOR", "no-such-editor")
    status, _, err = office("new", "Smith", "--edit")
    assert (status, "editor-missing" in err) == (2, True)


def test_several_faults_are_told_with_their_lines(office: Office):
    _, _, err = office.edited(
        'sed -i -e "s:notes.txt:../x:" -e "s:Scans/1.pdf:Scans/2.pdf:" "$1"; echo stray >> "$1"'
    )
    assert len(re.findall(r"line \d+: ", err)) == 3


# --- tables and moves ------------------------------------------------------------------------------------------


def test_moves_are_written_as_they_were_named(office: Office):
    done = office("new", "Smith", "--mv", "Scans/1.pdf", "a.pdf", "--mv", "notes.txt", "Scans/", "--title", "Two")
    assert operations(done) == [
        {"op": "move", "from": "Scans/1.pdf", "to": "a.pdf"}, {"op": "move", "from": "notes.txt", "to": "Scans/"}
    ]  # fmt: skip
    assert json.loads(done[1])["title"] == "Two"
    applies(office, done)


def test_a_table_means_all_its_rows_at_once(office: Office):
    """So that two names can be swapped."""
    (office.folder / "t.csv").write_bytes(
        b"\xef\xbb\xbffrom,to\r\nScans/1.pdf,Scans/2.pdf\r\nScans/2.pdf,Scans/1.pdf\r\n"
    )
    done = office("new", "Smith", "--csv", str(office.folder / "t.csv"))
    applies(office, done)
    made = json.loads((office.folder / "made.json").read_text())
    assert len(made["operations"]) == 3  # one by way of a third name


def test_a_row_ends_where_a_line_ends_and_nowhere_else(office: Office):
    """Names may hold what Unicode calls a line separator."""
    (office.case / "odd\u2028name").write_text("odd")
    (office.folder / "t.csv").write_text("odd\u2028name,plain\n")
    done = office("new", "Smith", "--csv", str(office.folder / "t.csv"))
    assert operations(done) == [{"op": "move", "from": "odd\u2028name", "to": "plain"}]


def test_rows_that_speak_of_one_entry_twice_stay_as_they_were_written(office: Office):
    """No row is dropped in silence: `check` says what is wrong with them."""
    moves = [("notes.txt", "Scans/1.pdf"), ("Scans/1.pdf", "x"), ("notes.txt", "y")]
    (office.folder / "t.csv").write_text("".join(f"{a},{b}\n" for a, b in moves))
    done = office("new", "Smith", "--csv", str(office.folder / "t.csv"))
    assert [(one["from"], one["to"]) for one in operations(done)] == moves


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (b"a\n", "line 1: 1 cells"),
        (b"from,to\na,b,c\n", "line 2: 3 cells"),
        (b"a,\n", "line 1: 2 cells"),
        (b'"a,b\n', "line 1"),
        (b"", "there is no row in it"),
        (b"from,to\n", "there is no row in it"),
        (b"\xff,b\n", "byte 0 is not UTF-8"),
    ],
)
def test_rows_that_are_none_are_named(office: Office, table: bytes, says: str):
    (office.folder / "t.csv").write_bytes(table)
    status, out, err = office("new", "Smith", "--csv", str(office.folder / "t.csv"))
    assert (status, out, "table-invalid" in err, says in err) == (3, "", True, True)


def test_a_plan_is_written_to_a_new_file_only(office: Office):
    target = office.folder / "plan.json"
    assert office("new", "Smith", "--mv", "notes.txt", "n", "-o", str(target))[0] == 0
    before = target.read_bytes()
    status, _, err = office("new", "Smith", "--mv", "notes.txt", "m", "-o", str(target))
    assert (status, "file-exists" in err, target.read_bytes()) == (2, True, before)


def test_a_case_that_is_not_there_is_not_guessed(office: Office):
    status, _, err = office("new", "Smyth", "--mv", "a", "b")
    assert (status, "did you mean 'Smith'?" in err) == (9, True)
    assert office("new", "Smith", "--edit", "--mv", "a", "b")[0] == 2
    assert office("new", "Smith", "--mv", "a", "b", "--edit")[0] == 2


# --- check --fix -----------------------------------------------------------------------------------------------

FIVE = [
    {"op": "move", "from": "Scans/complaint.pfd", "to": "Letters/complaint.pdf"},
    {"op": "move", "from": "projects/Smith/Scans/2.pdf", "to": "Letters/2.pdf"},
    {"op": "rename", "path": "notes.txt", "name": "notes"},
    {"op": "mkdir", "path": "Scans"},
    {"op": "move", "source": "Letters/complaint.pdf", "destination": "Letters/one.pdf"},
]


def test_a_plan_with_five_different_faults_is_repaired_in_one_round(office: Office):
    """Each with its own problem; afterwards there is none, and what was changed is shown by operation."""
    given = office.folder / "plan.json"
    given.write_text(json.dumps({"version": 1, "case": "Smith", "operations": FIVE}))
    status, out, _ = office("check", str(given), "--fix", "--json")
    assert status == 3
    status, out, _ = office("check", str(office.folder / "plan.fixed.json"), "--json")
    assert (status, json.loads(out)["problems"]) == (0, [])


def test_what_the_suggestions_changed_is_shown(office: Office):
    given = office.folder / "plan.json"
    given.write_text(json.dumps({"version": 1, "case": "Smith", "operations": FIVE[:4]}))
    status, out, _ = office("check", str(given), "--fix")
    assert status == 3
    assert re.search(r"#1\n  - .*complaint\.pfd.*\n  \+ .*Scans/complaint\.pdf", out)
    assert len(re.findall(r"^#\d$", out, re.MULTILINE)) == 4
    status, out, _ = office("check", str(given), "--fix", "--json")
    document = json.loads(out)
    assert [one["operation"] for one in document["difference"]] == [1, 2, 3, 4]
    assert len({problem["code"] for problem in document["problems"]}) == 4
    assert document["written"] == str(office.folder / "plan.fixed.json")
