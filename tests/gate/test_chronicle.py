"""The chronicle: a file's life through every run, found by any path it had; and the newest events."""

from __future__ import annotations

import os
import subprocess

import pytest
from gatework import DAY, copy, create, delete, move, replace

from treegate.engine import receipts, schema, touched
from treegate.errors import Denied, TreegateError
from treegate.gate import chronicle
from treegate.model.actors import Role


def went(life):
    """Where a file was, from first to last."""
    return [life.began, *(one.path for one in life.happened if one.path != life.began or one.source is not None)]


def only(lives):
    (life,) = lives
    return life


def test_a_life_is_followed_through_renames_folders_and_cases(office):
    """Asked for by any path that it ever had, and by who knows only the first."""
    office.put("Smith/in/scan.pdf", "x")
    office.carried_out(move("in/scan.pdf", "in/Complaint.pdf"), title="Name the scans")
    office.carried_out(move("in", "Pleadings"))
    office.carried_out(move("Smith/Pleadings/Complaint.pdf", "Jones/C.pdf"), case=None)
    places = ["Smith/in/scan.pdf", "Smith/in/Complaint.pdf", "Smith/Pleadings/Complaint.pdf", "Jones/C.pdf"]
    for path in places:
        life = only(office.gate.history(path))
        assert went(life) == places
        assert (life.where, life.path) == ("tree", "Jones/C.pdf")
    first, second, _ = life.happened
    assert (first.title, first.approved_by, first.above) == ("Name the scans", [office.gate.actor.name], "")
    assert (second.effect, second.above) == ("moved", "Smith/in")


def test_a_path_may_be_named_as_people_do(office):
    """With `projects/`, from the root of the disk, within a case that is given."""
    office.put("Smith/a", "x")
    office.carried_out(move("a", "b"))
    life = office.gate.history("Smith/b")
    for path in ("projects/Smith/b", "/projects/Smith/b", str(office.path("Smith/b")), "Smith/b/"):
        assert office.gate.history(path) == life
    assert office.gate.history("b", "Smith") == office.gate.history("Smith/b", "Smith") == life
    assert office.gate.history("b", "Jones") == []


def test_a_deleted_file_is_told_with_where_it_is_kept_and_until_when(office):
    """By itself, and with the folder it was in; restored, it lives on; pruned, it is let go."""
    office.put("Smith/old/a", "x")
    done = office.carried_out(delete("old", recursive=True))
    life = only(office.gate.history("Smith/old/a"))
    assert (life.where, life.kept.run, life.kept.entry) == ("vault", done.run, 0)
    assert life.kept.until == office.clock.now + 90 * DAY
    assert life.happened[-1].above == "Smith/old"
    office.undone(done.run)
    life = only(office.gate.history("Smith/old/a"))
    assert (life.where, life.path, life.happened[-1].undo_of) == ("tree", "Smith/old/a", done.run)
    office.carried_out(delete("old/a"))
    office.clock.now += 91 * DAY
    office.gate.prune()
    assert only(office.gate.history("Smith/old/a")).where == "let go"


def test_files_that_held_a_path_one_after_the_other_are_told_apart_in_order(office):
    """Each with its own way in and out."""
    for name in ("one", "two"):
        office.put(f"Smith/{name}", name)
        office.carried_out(move(name, "inbox"))
        office.carried_out(move("inbox", f"done/{name}"))
    office.carried_out(create("inbox"))
    lives = office.gate.history("Smith/inbox")
    assert [went(life) for life in lives] == [
        ["Smith/one", "Smith/inbox", "Smith/done/one"],
        ["Smith/two", "Smith/inbox", "Smith/done/two"],
        ["Smith/inbox"],
    ]
    assert [life.happened[0].effect for life in lives] == ["moved", "moved", "created"]


def test_new_content_is_told_after_the_file_that_it_took_the_place_of(office):
    """Also where the new one has moved on since; the old one is in the vault."""
    office.put("Smith/a", "old")
    office.carried_out(move("a", "status.json"))
    done = office.carried_out(replace("status.json"))
    office.carried_out(move("status.json", "Archive/status.json"))
    old, new = office.gate.history("Smith/Archive/status.json")
    assert (went(old)[:2], old.where, old.kept.run) == (["Smith/a", "Smith/status.json"], "vault", done.run)
    assert (new.happened[0].effect, new.path) == ("replaced", "Smith/Archive/status.json")


def test_a_copy_begins_a_life_of_its_own(office):
    """It says of what it is a copy; the original's life does not speak of it."""
    office.put("Smith/a", "x")
    office.carried_out(copy("a", "b"))
    life = only(office.gate.history("Smith/b"))
    assert (life.happened[0].copied, life.happened[0].source) == ("Smith/a", None)
    assert only(office.gate.history("Smith/a")).happened == []


def test_what_rollback_sh_took_back_is_told(office):
    """Without a run of its own."""
    office.put("Smith/a", "x")
    office.put("Smith/b", "y")
    done = office.carried_out(move("a", "c"), delete("b"))
    script = office.root / f".treegate/vault/{done.run}/rollback.sh"
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    office.gate.fsck()
    for name in "ab":
        life = only(office.gate.history(f"Smith/{name}"))
        assert (life.where, life.path, life.happened[-1].outside) == ("tree", f"Smith/{name}", True)


def test_what_somebody_took_away_since_is_said_to_be_gone(office):
    """The chronicle knows runs; the disk has the last word."""
    office.put("Smith/a", "x")
    office.carried_out(move("a", "b"))
    office.path("Smith/b").unlink()
    assert only(office.gate.history("Smith/b")).where == "gone"


def test_a_path_that_never_was_has_no_life(office):
    """Though folders above it moved."""
    office.put("Smith/in/a", "x")
    office.carried_out(move("in", "out"))
    assert office.gate.history("Smith/in/nothing") == []
    assert went(only(office.gate.history("Smith/in/a"))) == ["Smith/in/a", "Smith/out/a"]


def test_names_that_are_not_utf8_have_lives_too(office):
    """As bytes on the disk and in the index."""
    name = os.fsdecode(b"Smith/caf\xe9")
    office.put(name, "x")
    office.carried_out({"op": "move", "from": "caf%E9", "to": "caf%C3%A9", "raw": True})
    assert went(only(office.gate.history(name))) == [name, "Smith/café"]


def test_who_may_not_see_a_case_is_told_nothing_of_it(office):
    """Neither by its path, nor by that of a file that went there."""
    office.put("Smith/a", "x")
    office.carried_out(move("Smith/a", "Jones/secret"), case=None)
    agent = office.person("agent", Role.AUTHOR, cases=["Smith"])
    with pytest.raises(Denied):
        agent.history("Jones/secret")
    assert went(only(agent.history("Smith/a"))) == ["Smith/a", "(another case)"]
    assert agent.log() == []


# --- the index -------------------------------------------------------------------------------------------------


def test_the_index_can_be_thrown_away_and_is_made_again(office):
    """By the next question, and by fsck; it says what it said."""
    office.put("Smith/a", "x")
    office.carried_out(move("a", "b"))
    life = office.gate.history("Smith/b")
    for again in (lambda: None, office.gate.fsck):
        with office.gate.core.store.write() as transaction:
            for table in (schema.touched, schema.touched_runs):
                transaction.execute(table.delete())
        again()
        assert office.gate.history("Smith/b") == life


def test_a_large_run_is_indexed_by_the_first_question(office, monkeypatch):
    """And only once."""
    monkeypatch.setattr(chronicle, "PROMPT", 0)
    office.put("Smith/a", "x")
    office.carried_out(move("a", "b"))
    assert len(touched.missing(office.gate.core.store)) == 1
    assert office.gate.history("Smith/b")
    assert touched.missing(office.gate.core.store) == []


def test_an_index_that_cannot_be_written_fails_no_run(office, monkeypatch):
    """It is made up for by the next question."""

    def full(*_):
        raise TreegateError("no room")

    office.put("Smith/a", "x")
    with monkeypatch.context() as patched:
        patched.setattr(touched, "add", full)
        assert office.carried_out(move("a", "b")).state == "applied"
    assert went(only(office.gate.history("Smith/a"))) == ["Smith/a", "Smith/b"]


def test_paths_with_the_same_hash_are_told_apart(office, monkeypatch):
    """The line itself says which path it speaks of."""
    monkeypatch.setattr(touched, "key_of", lambda path: 7)
    for name in "ab":
        office.put(f"Smith/{name}", name)
        office.carried_out(move(name, f"{name}2"))
    assert went(only(office.gate.history("Smith/b"))) == ["Smith/b", "Smith/b2"]


def test_a_question_reads_only_the_lines_that_speak_of_its_path(office, monkeypatch):
    """Never all lines of a run, nor all runs."""
    for number in range(20):
        office.put(f"Smith/{number}", "x")
    office.carried_out(*(move(str(number), f"new/{number}") for number in range(20)))
    office.gate.history("Smith/1")
    read, real = [], receipts.read_line
    monkeypatch.setattr(receipts, "read_line", lambda path, at: read.append(at) or real(path, at))
    monkeypatch.setattr(receipts, "read_lines", None)
    assert went(only(office.gate.history("Smith/7"))) == ["Smith/7", "Smith/new/7"]
    assert len(set(read)) <= 2  # its own, and that of the folder that was made for it


# --- events ----------------------------------------------------------------------------------------------------


def test_the_newest_events_come_first_and_of_a_case_where_one_is_given(office):
    """Also those that name only a run of it."""
    office.put("Smith/a", "x")
    done = office.carried_out(delete("a"))
    office.submit({"op": "mkdir", "path": "new"}, case="Jones")
    office.undone(done.run)
    every = office.gate.log(limit=1000)
    assert [row.seq for row in every] == list(range(len(every), 0, -1))
    assert [row.seq for row in office.gate.log(limit=3)] == [row.seq for row in every[:3]]
    smith = [row.event for row in office.gate.log("Smith")]
    assert smith.count("submitted") == 2
    assert "vault-restored" in smith
    assert "adopted" not in smith
    assert [row.event for row in office.gate.log("Jones")] == ["previewed", "submitted"]
