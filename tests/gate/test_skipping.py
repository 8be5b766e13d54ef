"""Plans that skip what is stale: what changed since is left alone with all that depends on it, and told of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from gatework import OLD, Office, copy, create, delete, die, move, replace

from treegate.engine import receipts
from treegate.errors import Stale
from treegate.gate import ending, runs
from treegate.gate.ending import Applied
from treegate.model.effects import untagged


def results(office: Office, run: str) -> dict[str, str]:
    """What became of each approved effect, by its path."""
    lines = receipts.read_lines(office.state / "receipts" / f"{run}.lines")
    return {str(untagged(line.effect.path)).removeprefix("Smith/"): line.result for line in lines}


def names(office: Office, folder: str = "Smith") -> set[str]:
    top = office.path(folder)
    return {str(path.relative_to(top)) for path in top.rglob("*")}


def skipped(office: Office, *operations: dict[str, Any], change: Any) -> Applied:
    """A plan approved, then something changed, then applied."""
    plan = office.approved(*operations, on_stale="skip")
    change()
    return office.gate.apply(plan)


def edit(path: Path, text: str = "edited by someone") -> None:
    path.write_text(text)


def test_an_edited_file_stays_where_it_is_and_the_rest_is_done(office: Office):
    """The edited one is not touched; the receipt has a line for it, and a note."""
    for name in "abc":
        office.put(f"Smith/{name}", name)
    done = skipped(
        office, *(move(name, f"Sorted/{name}") for name in "abc"), change=lambda: edit(office.path("Smith/b"))
    )
    assert names(office) == {"b", "Sorted", "Sorted/a", "Sorted/c"}
    assert office.path("Smith/b").read_text() == "edited by someone"
    assert results(office, done.run) == {
        "Sorted": "done", "Sorted/a": "done", "Sorted/c": "done", "Sorted/b": "left"
    }  # fmt: skip
    assert done.receipt is not None
    assert (done.receipt.touched, done.receipt.counts.moved) == (3, 2)
    assert "left alone: 'Smith/b' (not moved to 'Smith/Sorted/b'): was changed" in done.receipt.notes
    office.sound()


def test_without_skip_nothing_is_done(office: Office):
    """The same change fails a plan that does not say so."""
    for name in "abc":
        office.put(f"Smith/{name}", name)
    plan = office.approved(*(move(name, f"Sorted/{name}") for name in "abc"))
    edit(office.path("Smith/b"))
    before = office.tree()
    with pytest.raises(Stale):
        office.gate.apply(plan)
    assert office.tree() == before
    office.sound()


def test_undo_takes_back_only_what_was_done(office: Office):
    """Afterwards the tree is as it was right before the run, edit and all; and the run is undone as a whole."""
    for name in "abc":
        office.put(f"Smith/{name}", name)
    office.put("Smith/d", "d")
    done = skipped(
        office,
        *(move(name, f"Sorted/{name}") for name in "abc"),
        delete("d"),
        change=lambda: edit(office.path("Smith/b")),
    )
    office.undone(done.run)
    assert names(office) == {"a", "b", "c", "d"}
    assert office.path("Smith/b").read_text() == "edited by someone"
    assert office.path("Smith/a").stat().st_mtime_ns == OLD
    assert office.story(done.run) == "undone"
    office.sound()


def test_a_target_that_is_taken_now_is_left_to_who_took_it(office: Office):
    """What would have gone there stays at home."""
    office.put("Smith/a", "a")
    office.put("Smith/b", "b")
    done = skipped(office, move("a", "x"), move("b", "y"), change=lambda: office.put("Smith/x", "another"))
    assert names(office) == {"a", "x", "y"}
    assert office.path("Smith/x").read_text() == "another"
    assert results(office, done.run) == {"x": "left", "y": "done"}


def test_what_wants_the_slot_of_one_left_stays_too(office: Office):
    """A chain a -> b -> c stays from the changed one backwards; a swap stays whole."""
    for name in ["a", "b", "p", "q", "z"]:
        office.put(f"Smith/{name}", name)
    swap = [move("p", "t"), move("q", "p"), move("t", "q")]

    def change() -> None:
        edit(office.path("Smith/b"))
        edit(office.path("Smith/q"))

    done = skipped(office, move("b", "c"), move("a", "b"), *swap, move("z", "w"), change=change)
    assert names(office) == {"a", "b", "p", "q", "w"}
    assert results(office, done.run) == {"b": "left", "c": "left", "p": "left", "q": "left", "w": "done"}


def test_a_folder_to_be_deleted_that_was_added_to_stays(office: Office):
    """What somebody put into it meanwhile was never approved for deletion."""
    office.put("Smith/tmp/one", "1")
    office.put("Smith/old/one", "1")
    done = skipped(
        office,
        delete("tmp", recursive=True),
        delete("old", recursive=True),
        change=lambda: office.put("Smith/tmp/two", "2"),
    )
    assert names(office) == {"tmp", "tmp/one", "tmp/two"}
    assert results(office, done.run) == {"tmp": "left", "old": "done"}
    assert [kept.path for kept in office.gate.list_vault()] == ["Smith/old"]


def test_a_folder_stays_if_what_was_to_leave_it_stays(office: Office):
    """Deleting it would delete what was to be kept."""
    office.put("Smith/box/keep", "k")
    office.put("Smith/box/junk", "j")
    office.put("Smith/a", "a")
    done = skipped(
        office,
        move("box/keep", "kept"),
        delete("box", recursive=True),
        move("a", "b"),
        change=lambda: edit(office.path("Smith/box/keep")),
    )
    assert names(office) == {"box", "box/keep", "box/junk", "b"}
    assert results(office, done.run) == {"kept": "left", "box": "left", "b": "done"}


def test_nothing_goes_into_a_folder_that_does_not_come(office: Office):
    """A folder of somebody else's by the same name is not the one that was approved."""
    office.put("Smith/a", "a")
    office.put("Smith/b", "b")
    done = skipped(office, move("a", "New/a"), move("b", "c"), change=lambda: office.path("Smith/New").mkdir())
    assert names(office) == {"a", "New", "c"}
    assert results(office, done.run) == {"New": "left", "New/a": "left", "c": "done"}


def test_a_folder_put_in_place_of_another_takes_nothing(office: Office):
    """The same name is not the same folder."""
    office.put("Smith/In/kept", "k")
    for name in "abc":
        office.put(f"Smith/{name}", name)

    def change() -> None:
        office.path("Smith/In").rename(office.path("Smith/Elsewhere"))
        office.path("Smith/In").mkdir()

    done = skipped(office, move("a", "In/a"), move("b", "In/b"), move("c", "d"), change=change)
    assert names(office) == {"a", "b", "d", "In", "Elsewhere", "Elsewhere/kept"}
    assert results(office, done.run) == {"In/a": "left", "In/b": "left", "d": "done"}


def test_copies_replacements_and_new_files_are_left_or_done_as_approved(office: Office):
    """What was edited is neither copied nor replaced; a file that is replaced keeps its mode."""
    for name in ["a", "b", "c", "d"]:
        office.put(f"Smith/{name}", name, mode=0o604)

    def change() -> None:
        edit(office.path("Smith/a"))
        edit(office.path("Smith/c"))

    done = skipped(
        office,
        copy("a", "a2"),
        copy("b", "b2"),
        replace("c", "new"),
        replace("d", "new"),
        create("e", "new", mode="0600"),
        change=change,
    )
    assert results(office, done.run) == {"a2": "left", "b2": "done", "c": "left", "d": "done", "e": "done"}
    assert office.path("Smith/c").read_text() == "edited by someone"
    assert office.path("Smith/d").read_text() == "new"
    assert office.path("Smith/d").stat().st_mode & 0o777 == 0o604
    assert office.path("Smith/e").stat().st_mode & 0o777 == 0o600
    office.undone(done.run)
    assert names(office) == {"a", "b", "c", "d"}
    assert office.path("Smith/d").read_text() == "d"
    office.sound()


def test_a_copied_folder_is_left_if_the_plan_also_changes_what_it_holds(office: Office):
    """Its effect does not say in which order; so it is left rather than made otherwise than approved."""
    office.put("Smith/box/one", "1")
    office.put("Smith/box/two", "2")
    office.put("Smith/a", "a")
    operations = [move("box/one", "one"), copy("box", "box2"), move("a", "b")]
    done = skipped(office, *operations, change=lambda: edit(office.path("Smith/a")))
    assert names(office) == {"a", "one", "box", "box/two"}
    assert results(office, done.run) == {"b": "left", "box2": "left", "one": "done"}


def test_if_everything_is_stale_nothing_is_done(office: Office):
    """That is a stale plan like any other."""
    office.put("Smith/a", "a")
    plan = office.approved(move("a", "b"), on_stale="skip")
    edit(office.path("Smith/a"))
    with pytest.raises(Stale):
        office.gate.apply(plan)
    assert office.gate.show(plan).plan.state == "stale"
    office.sound()


def test_if_nothing_is_stale_all_is_done(office: Office):
    """The plan's own table is used."""
    office.put("Smith/a", "a")
    done = skipped(office, move("a", "b"), change=lambda: None)
    assert results(office, done.run) == {"b": "done"}
    assert done.receipt is not None
    assert not [note for note in done.receipt.notes if note.startswith("left")]


def test_an_edit_between_the_look_and_the_seal_is_not_taken_for_approved(office: Office, monkeypatch: Any):
    """The second look holds the approved fingerprints against the tree once more."""
    for name in "abc":
        office.put(f"Smith/{name}", name)
    plan = office.approved(*(move(name, f"{name}2") for name in "abc"), on_stale="skip")
    edit(office.path("Smith/a"))
    real = runs.plans.previewed

    def meddled(*args: Any) -> Any:
        if office.path("Smith/b").read_text() == "b":
            edit(office.path("Smith/b"), "B")  # of the same size: the effect would say the same
        return real(*args)

    monkeypatch.setattr(runs.plans, "previewed", meddled)
    done = office.gate.apply(plan)
    assert results(office, done.run) == {"a2": "left", "b2": "left", "c2": "done"}


def test_a_crash_after_the_steps_is_recovered_with_the_same_lines(office: Office):
    """What is left alone is settled before the run begins, and known to its recovery."""
    for name in "abc":
        office.put(f"Smith/{name}", name)
    plan = office.approved(*(move(name, f"Sorted/{name}") for name in "abc"), on_stale="skip")
    edit(office.path("Smith/b"))
    office.crash(lambda gate: gate.apply(plan), (ending, "conclude", die))
    office.reopen()
    (done,) = office.gate.recover()
    assert done.state == "applied"
    assert results(office, done.run)["Sorted/b"] == "left"
    assert names(office) == {"b", "Sorted", "Sorted/a", "Sorted/c"}
    office.sound()


def test_a_later_file_that_a_glob_would_match_is_listed(office: Office):
    """It stays where it is; both with `fail` and with `skip`."""
    for on_stale in ("fail", "skip"):
        office.put("Smith/Scans/1.pdf", "1")
        plan = office.approved(
            {"op": "move", "match": "Scans/*.pdf", "to": f"{on_stale}/"}, on_stale=on_stale, title=on_stale
        )
        office.put("Smith/Scans/late.pdf", "late")
        office.put("Smith/Scans/other.txt", "other")
        done = office.gate.apply(plan)
        assert done.receipt is not None
        assert [note for note in done.receipt.notes if "came after" in note] == [
            "'Smith/Scans/late.pdf' came after the preview and was left where it is"
        ]
        assert office.path("Smith/Scans/late.pdf").exists()
        os.unlink(office.path("Smith/Scans/late.pdf"))


def test_what_was_moved_to_where_the_glob_matches_is_no_latecomer(office: Office):
    """Only twenty are named; and what the run put there itself is none of them."""
    office.put("Smith/Scans/1.pdf", "1")
    plan = office.approved({"op": "move", "match": "Scans/*.pdf", "to": "Scans/x {name}"})
    for number in range(25):
        office.put(f"Smith/Scans/late {number:02}.pdf", "late")
    done = office.gate.apply(plan)
    assert done.receipt is not None
    notes = [note for note in done.receipt.notes if "came after" in note]
    assert len(notes) == 21
    assert notes[-1] == "5 more came after the preview and were left where they are"
    assert not any("'Smith/Scans/x" in note for note in notes)


def test_what_was_put_into_a_folder_can_be_undone_after_the_folder_moved_back(office: Office):
    """A partial undo changes the paths of what is still to be undone."""
    office.put("Smith/d/x", "x")
    office.put("Smith/y", "y")
    before = office.tree()
    done = office.carried_out(move("d", "e"), move("y", "e/y"))
    office.undone(done.run, "d")
    assert names(office) == {"d", "d/x", "d/y"}
    office.undone(done.run)
    assert office.tree() == before
    assert office.story(done.run) == "undone"


def test_a_kept_file_that_takes_anothers_place_is_noted_as_restored(office: Office):
    """It is not in the vault any more, and the store knows; undo keeps it again."""
    office.put("Smith/a", "first")
    first = office.carried_out(delete("a"))
    (kept,) = office.gate.list_vault()
    office.put("Smith/b", "second")
    restore = {"op": "restore", "run": first.run, "entry": kept.entry, "to": "t"}
    second = office.carried_out(restore, move("t", "b", if_exists="replace"))
    assert office.path("Smith/b").read_text() == "first"
    assert [one.path for one in office.gate.list_vault()] == ["Smith/b"]
    office.sound()
    office.undone(second.run)
    assert office.path("Smith/b").read_text() == "second"
    office.sound()


def verified(office: Office, *operations: dict[str, Any], change: Any) -> Applied:
    """As `skipped`, proved by content."""
    plan = office.approved(*operations, on_stale="skip")
    change()
    return office.gate.apply(plan, verify=True)


def test_what_was_left_alone_does_not_count_in_the_proof(office: Office):
    """Before and brought = after and vault, over what was done; edited ones are neither missing nor unexpected."""
    for name in "abcd":
        office.put(f"Smith/{name}", name)
    done = verified(
        office,
        *(move(name, f"Sorted/{name}") for name in "ab"),
        delete("c"),
        replace("d", "new"),
        change=lambda: (edit(office.path("Smith/b")), edit(office.path("Smith/c"))),
    )
    assert done.receipt is not None
    assert done.receipt.verified == "3 contents: before and brought = after and vault"
    assert names(office) == {"b", "c", "d", "Sorted", "Sorted/a"}


def test_what_went_away_does_not_count_in_the_proof(office: Office):
    """A source that is gone when the proof begins is told by the run, not by a failed read."""
    for name in "abc":
        office.put(f"Smith/{name}", name)
    done = verified(
        office, *(move(name, f"Sorted/{name}") for name in "abc"), change=lambda: office.path("Smith/b").unlink()
    )
    assert done.receipt is not None
    assert done.receipt.verified == "2 contents: before and brought = after and vault"
    plan = office.approved(move("Sorted/a", "a"))
    office.path("Smith/Sorted/a").unlink()
    with pytest.raises(Stale):
        office.gate.apply(plan, verify=True)


def test_of_a_swap_the_file_that_was_edited_is_named(office: Office):
    """Not the place it was to go to, where another file is as it was."""
    office.put("Smith/a", "a")
    office.put("Smith/b", "b")
    office.put("Smith/c", "c")
    swap = (move("a", "t"), move("b", "a"), move("t", "b"), move("c", "d"))
    done = skipped(office, *swap, change=lambda: edit(office.path("Smith/a")))
    assert done.receipt is not None
    assert "left alone: 'Smith/a' (not moved to 'Smith/b'): was changed" in done.receipt.notes
    assert names(office) == {"a", "b", "d"}
