"""Undo through the gate: the old tree back byte for byte, also in part, and never over somebody's edit."""

from __future__ import annotations

import os
import subprocess

import pytest
from gatework import DAY, OLD, Office, copy, create, delete, move, plan, replace

from treegate.engine import vault
from treegate.engine.store import asking
from treegate.engine.store.records import Kept
from treegate.errors import Denied, NotFound, NotVerified, Stale
from treegate.model.actors import Role


def filled(office: Office) -> Office:
    """A tree with what undo has to bring back: modes, times, links, folders, bytes."""
    office.put("Smith/in/a.txt", "alpha\n", mode=0o604)
    office.put("Smith/in/b.txt", b"\x00\xff" * 5000, mtime=OLD + 7)
    office.put("Smith/in/deep/c.txt", "gamma\n", mode=0o755)
    office.put("Smith/notes.md", "old\n", mtime=1)
    office.put("Smith/run.sh", "true\n")
    office.put("Smith/tmp/x", "x")
    office.put("Smith/tmp/more/y", "yy")
    office.put("Smith/Ä name with spaces", "")
    office.path("Smith/latest").symlink_to("in/a.txt")
    office.path("Smith/tmp/broken").symlink_to("/no/where")
    return office


EVERYTHING = (
    {"op": "mkdir", "path": "Empty/Inside"},
    move("in/a.txt", "b.tmp"),
    move("in/b.txt", "in/a.txt"),
    move("b.tmp", "in/b.txt"),
    move("in/deep", "deep"),
    move("in", "deep/in"),
    copy("deep/c.txt", "copies/c.txt"),
    copy("tmp/more", "copies/more"),
    create("INDEX.md", "# Index\n"),
    replace("notes.md", "new notes\n"),
    delete("tmp", recursive=True),
    delete("latest"),
    {"op": "symlink", "path": "newest", "target": "deep"},
    {"op": "set", "path": "run.sh", "mode": "0700", "mtime": "2024-03-01T09:00:00.000000001Z"},
    {"op": "rename", "path": "Ä name with spaces", "name": "plain"},
)


@pytest.mark.parametrize("where", ["office", "disk"])
def test_undo_brings_the_tree_back_byte_for_byte(where, request):
    """Names, kinds, modes, contents, link targets and the mtimes of files are as they were."""
    office = filled(request.getfixturevalue(where))
    before = office.tree()
    run = office.carried_out(*EVERYTHING).run
    assert office.tree() != before
    undone = office.undone(run)
    assert office.tree() == before
    assert undone.receipt.undo_of == run
    assert office.story(run) == "undone"
    office.sound()


def test_the_undo_of_an_undo_does_it_again(office):
    """Undo is a plan like any other, so it can be undone; and that again."""
    before = filled(office).tree()
    run = office.carried_out(*EVERYTHING).run
    after = office.tree()
    undo = office.undone(run).run
    redo = office.undone(undo).run
    assert office.tree() == after
    assert (office.story(run), office.story(undo)) == ("applied", "undone")
    office.undone(redo)
    assert office.tree() == before
    office.sound()


def test_undo_takes_the_last_run_if_none_is_named(office):
    """Without a name, the newest run is meant."""
    office.put("Smith/a", "a")
    office.put("Smith/c", "c")
    office.carried_out(move("a", "b"))
    between = office.tree()
    office.carried_out(move("c", "d"))
    office.undone()
    assert office.tree() == between


def test_a_run_is_undone_once(office):
    """A second undo of the same run is refused, and so is that of a plan that never ran."""
    office.put("Smith/a", "a")
    run = office.carried_out(move("a", "b")).run
    office.undone(run)
    with pytest.raises(Denied) as refused:
        office.gate.undo(run)
    assert refused.value.code == "not-undoable"


def test_the_undo_of_many_deletions_reads_of_each_a_few_times(office, monkeypatch):
    """Not the whole vault for every entry that comes out of it."""
    for number in range(160):
        office.put(f"Smith/tmp/{number}", "x")
    office.carried_out(*(delete(f"tmp/{number}") for number in range(40)))
    read = []
    real = asking._as
    monkeypatch.setattr(asking, "_as", lambda record, row: read.append(record) or real(record, row))
    office.gate.undo()
    assert 40 <= read.count(Kept) < 5 * 40


def test_there_is_nothing_to_undo_in_a_new_workspace(office):
    """No run: not found (9)."""
    with pytest.raises(NotFound):
        office.gate.undo()


def test_undo_needs_an_approval_like_any_plan(firm):
    """Who asked for the undo may not approve it either."""
    firm.put("Smith/a", "a")
    ann, bob = firm.person("ann", Role.REVIEWER), firm.person("bob", Role.REVIEWER)
    done = firm.submit(move("a", "b"))
    ann.approve(done.id, done.digest)
    ann.apply(done.id)
    undo = ann.undo().submitted
    with pytest.raises(Denied):
        ann.approve(undo.id, undo.digest)
    assert bob.approve(undo.id, undo.digest).state == "approved"


def test_undo_of_a_mode_that_was_set_under_a_folder_that_moved(office):
    """The entry is found where it is by then."""
    office.put("Smith/in/c", "c", mode=0o755)
    before = office.tree()
    run = office.carried_out(move("in", "out"), {"op": "set", "path": "out/c", "mode": "0700"}).run
    office.undone(run)
    assert office.tree() == before


# In part


def test_undo_of_one_path_leaves_the_rest_done(office):
    """`--path` takes back what the run did there; the plan stays applied, and the rest can follow."""
    before = filled(office).tree()
    run = office.carried_out(replace("notes.md"), delete("tmp", recursive=True), create("INDEX.md")).run
    office.undone(run, "tmp")
    assert office.path("Smith/tmp/more/y").read_text() == "yy"
    assert office.path("Smith/notes.md").read_text() == "new\n"
    assert office.story(run) == "applied"
    office.undone(run)
    assert office.tree() == before
    assert office.story(run) == "undone"
    office.sound()


def test_undo_of_one_path_takes_along_what_stands_in_its_way(office):
    """One half of a swap cannot go back alone: the other is shown as having to go along."""
    office.put("Smith/a", "alpha")
    office.put("Smith/b", "beta")
    office.put("Smith/c", "gamma")
    before = office.tree()
    run = office.carried_out(move("a", "t"), move("b", "a"), move("t", "b"), move("c", "d")).run
    undo = office.gate.undo(run, ["Smith/a"])
    assert undo.also or undo.effects == 2
    office.gate.approve(undo.submitted.id, undo.submitted.digest)
    office.gate.apply(undo.submitted.id)
    left = office.tree()
    assert (left[b"Smith/a"], left[b"Smith/b"]) == (before[b"Smith/a"], before[b"Smith/b"])
    assert b"Smith/d" in left


def test_undo_of_a_path_that_the_run_did_not_touch_is_refused(office):
    """It names the path."""
    office.put("Smith/a", "a")
    run = office.carried_out(move("a", "b")).run
    with pytest.raises(NotFound, match="Smith/zzz"):
        office.gate.undo(run, ["Smith/zzz"])


def test_the_case_may_be_left_out_of_a_path(office):
    """Where the run touched one case, a path from there is understood, before or after the run, also under a
    folder."""
    for name in "abc":
        office.put(f"Smith/in/{name}", name)
    run = office.carried_out(move("in/a", "out/a"), move("in/b", "out/b")).run
    office.undone(run, "in/a")
    assert (office.path("Smith/in/a").exists(), office.path("Smith/out/b").exists()) == (True, True)


# Somebody edited since


@pytest.mark.parametrize("edit", ["content", "same size and time", "removed", "another file", "a folder"])
def test_24_undo_after_someone_edited_is_refused_for_that_path_and_both_are_kept(office, edit):
    """The edited path is named and nothing is done; the other paths can be undone by naming them."""
    office.put("Smith/notes.md", "old notes\n")
    office.put("Smith/a", "a")
    run = office.carried_out(replace("notes.md", "new notes\n"), move("a", "b")).run
    target = office.path("Smith/notes.md")
    seen = target.stat()
    if edit in ("removed", "another file", "a folder"):
        target.unlink()
    if edit == "a folder":
        target.mkdir()
    elif edit != "removed":
        target.write_text("xxx notes\n" if edit == "same size and time" else "edited\n")
        if edit == "same size and time":
            os.utime(target, ns=(seen.st_mtime_ns, seen.st_mtime_ns))
    edited = office.tree()
    with pytest.raises(Stale) as refused:
        office.gate.undo(run)
    assert (refused.value.code, refused.value.path) == ("undo-conflict", "Smith/notes.md")
    assert refused.value.next == f"treegate undo {run} --path Smith/b"
    assert office.tree() == edited
    kept = office.gate.list_vault(run)
    assert [one.path for one in kept] == ["Smith/notes.md"]
    office.undone(run, "Smith/b")
    assert office.path("Smith/a").read_text() == "a"


def test_a_setting_that_reaches_another_name_of_the_file_is_no_edit(office):
    """Hard links: the moved name shows the time that the plan gave the other one, and undo knows."""
    office.put("Smith/a", "shared")
    os.link(office.path("Smith/a"), office.path("Smith/b"))
    before = office.tree()
    run = office.carried_out(
        move("a", "c"), {"op": "set", "path": "b", "mode": "0600", "mtime": "2024-03-01T09:00:00Z"}
    ).run
    after = office.tree()
    again = office.undone(run).run
    assert office.tree() == before
    office.undone(again)
    assert office.tree() == after


def test_a_run_that_changed_nothing_has_nothing_to_undo(office):
    """It is said so, with another command to type; no empty plan is made."""
    office.put("Smith/a", "x")
    run = office.carried_out(move("a", "a")).run
    with pytest.raises(Denied) as refused:
        office.gate.undo(run)
    assert (refused.value.code, refused.value.next) == (
        "nothing-to-undo",
        f"treegate show {office.gate.list_plans()[0][0].id}",
    )


def test_24_the_command_that_undoes_the_rest_leaves_what_was_edited_and_what_holds_it(office):
    """A folder with an edited file in it is not named; where nothing is left to undo, what is kept is shown."""
    for name in ("a b", "c", "notes"):
        office.put(f"Smith/{name}", name)
    run = office.carried_out(move("a b", "New/a b"), move("c", "New/c"), replace("notes", "new")).run
    office.path("Smith/New/c").write_text("edited")
    with pytest.raises(Stale) as refused:
        office.gate.undo(run)
    assert refused.value.next == f"treegate undo {run} --path Smith/notes --path 'Smith/New/a b'"
    office.undone(run, "Smith/New/a b", "Smith/notes")
    with pytest.raises(Stale) as refused:
        office.gate.undo(run, ["Smith/New/c"])
    assert refused.value.next == f"treegate vault list {run}"


def test_24_an_edit_between_the_undo_and_its_approval_makes_it_stale(office):
    """The undo's own fingerprints are checked again before its first step."""
    office.put("Smith/notes.md", "old")
    run = office.carried_out(replace("notes.md", "new")).run
    undo = office.gate.undo(run).submitted
    office.gate.approve(undo.id, undo.digest)
    office.path("Smith/notes.md").write_text("edited")
    with pytest.raises(Stale):
        office.gate.apply(undo.id)
    assert office.path("Smith/notes.md").read_text() == "edited"
    assert [one.state for one in office.gate.list_vault(run)] == ["kept"]


def test_24_what_was_put_into_a_new_folder_is_not_lost_by_undo(office):
    """A folder that the run made, and somebody put a file into, is no run's to take away."""
    office.put("Smith/a", "a")
    run = office.carried_out(move("a", "new/a")).run
    office.put("Smith/new/theirs", "theirs")
    try:
        undo = office.gate.undo(run).submitted
        if undo.state == "pending":
            office.gate.approve(undo.id, undo.digest)
            office.gate.apply(undo.id)
    except Stale:
        pass
    kept = [one.path for one in office.gate.list_vault()]
    assert office.path("Smith/new/theirs").exists(), kept


def test_undo_of_a_deletion_when_the_place_is_taken_is_a_problem(office):
    """What is there now stays; the undo says that it cannot."""
    office.put("Smith/a", "old")
    run = office.carried_out(delete("a")).run
    office.put("Smith/a", "someone's")
    undo = office.gate.undo(run).submitted
    assert undo.state == "invalid"
    assert [problem.code for problem in undo.problems] == ["destination-exists"]
    assert office.path("Smith/a").read_text() == "someone's"


# The vault


def test_a_vault_entry_is_restored_elsewhere(office):
    """`vault restore` submits a plan; carried out, the vault keeps it no more."""
    before = office.put("Smith/a", "old").stat()
    run = office.carried_out(delete("a")).run
    (kept,) = office.gate.list_vault(run)
    done = office.gate.restore(run, [kept.entry], "Jones/back/a")
    assert done.state == "pending"
    office.gate.approve(done.id, done.digest)
    office.gate.apply(done.id)
    back = office.path("Jones/back/a").stat()
    assert (back.st_ino, back.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert office.gate.list_vault() == []
    with pytest.raises(NotFound):
        office.gate.restore(run, [kept.entry])
    office.sound()


def test_an_entry_that_the_vault_never_had_is_not_found(office):
    """It is named (9)."""
    office.put("Smith/a", "old")
    run = office.carried_out(delete("a")).run
    with pytest.raises(NotFound, match="999"):
        office.gate.restore(run, [999])


def test_retention_lets_go_of_nothing_before_its_time(office):
    """One millisecond early, nothing is due; then it is, and its bytes are gone."""
    office.put("Smith/a", "old")
    office.put("Smith/keep/b", "old")
    run = office.carried_out(delete("a"), delete("keep", recursive=True)).run
    (first, second) = office.gate.list_vault(run)
    office.clock.now = first.until - 1
    assert office.gate.prune().entries == []
    office.clock.now = first.until
    assert [one.path for one in office.gate.prune(dry=True).entries] == [first.path, second.path]
    assert len(office.gate.list_vault()) == 2
    assert len(office.gate.prune().entries) == 2
    assert office.gate.list_vault() == []
    assert list((office.root / ".treegate/vault").rglob("b")) == []
    office.sound()


def test_prune_never_takes_what_a_live_plan_names(office):
    """While a plan that restores an entry may still be carried out, the entry stays."""
    office.put("Smith/a", "a")
    office.put("Smith/b", "b")
    run = office.carried_out(delete("a"), delete("b")).run
    entry = next(one for one in office.gate.list_vault(run) if one.path == "Smith/a")
    waiting = office.gate.restore(run, [entry.entry])
    office.clock.now = entry.until + 1
    assert [one.path for one in office.gate.prune().entries] == ["Smith/b"]
    office.gate.approve(waiting.id, waiting.digest)
    office.gate.apply(waiting.id)
    assert office.path("Smith/a").read_text() == "a"


def test_after_pruning_an_undo_says_what_is_gone(office):
    """What the vault let go cannot come back; the error says so, and `show` does not offer it."""
    office.put("Smith/a", "a")
    run = office.carried_out(delete("a")).run
    office.clock.now = office.gate.list_vault(run)[0].until
    office.gate.prune()
    with pytest.raises(Denied) as refused:
        office.gate.undo(run)
    assert (refused.value.code, "pruned" in refused.value.message) == ("not-undoable", True)
    shown = office.gate.applied(run)
    assert (shown.kept, shown.receipt.vault.entries) == (0, 1)


def test_only_who_may_prune_prunes(firm):
    """An author has no right to."""
    with pytest.raises(Denied):
        firm.person("agent", Role.AUTHOR).prune()


# Health


def test_a_healthy_workspace_has_nothing_to_report(office):
    """fsck and doctor find no error after a run and its undo."""
    filled(office)
    office.undone(office.carried_out(*EVERYTHING).run)
    assert office.gate.fsck() == []
    assert [found for found in office.gate.doctor() if found.severity == "error"] == []


def test_fsck_finds_a_removed_vault_entry(office):
    """It names the run and the path."""
    office.put("Smith/a", "a")
    run = office.carried_out(delete("a")).run
    (entry,) = (office.root / ".treegate/vault" / run / "entries").iterdir()
    entry.unlink()
    (found,) = office.gate.fsck()
    assert (found.severity, run in found.title, "Smith/a" in found.title) == ("error", True, True)


def edited(path, content=b"forged"):
    """An edit in place, the length kept."""
    with open(path, "r+b") as file:
        file.write(content)


@pytest.mark.parametrize("kept", ["note.txt", "folder", "folder/deep", "replaced.txt"])
def test_what_was_edited_in_the_vault_is_found_and_not_put_back(office, kept):
    """fsck names it and undo refuses; the bytes that are there now come back only when asked for as such."""
    for path in ("note.txt", "folder/a.txt", "folder/deep/b.txt", "replaced.txt"):
        office.put(f"Smith/{path}", "authentic\n")
    run = office.carried_out(
        delete("note.txt"), move("folder/a.txt", "a.txt"), delete("folder", recursive=True), replace("replaced.txt")
    ).run
    assert office.gate.fsck() == []
    entries = {one.path: one.entry for one in office.gate.list_vault(run)}
    top = kept.partition("/")[0]
    place = office.root / ".treegate/vault" / run / "entries" / str(entries[f"Smith/{top}"])
    edited(place if place.is_file() else place / "deep/b.txt")
    (found,) = office.gate.fsck()
    assert (found.severity, run in found.title, f"Smith/{top}" in found.title) == ("error", True, True)
    before = office.tree()
    with pytest.raises(NotVerified) as refused:
        office.gate.undo(run)
    assert refused.value.code == "vault-altered"
    assert f"Smith/{top}" in refused.value.message
    assert office.tree() == before
    restored = office.gate.restore(run, [entries[f"Smith/{top}"]], "Smith/as it is now")
    assert "not as the run kept it" in office.gate.show(restored.id).preview.reason


def test_what_was_not_edited_can_be_undone_beside_what_was(office):
    """Only the entries that are asked for are looked at."""
    office.put("Smith/a", "a")
    office.put("Smith/b", "b")
    run = office.carried_out(delete("a"), delete("b")).run
    entries = {one.path: one.entry for one in office.gate.list_vault(run)}
    edited(office.root / ".treegate/vault" / run / "entries" / str(entries["Smith/a"]), b"x")
    office.undone(run, "Smith/b")
    assert office.path("Smith/b").read_text() == "b"


def test_a_folder_whose_file_has_another_name_elsewhere_is_still_known(office):
    """Moving that other name changes the file's change time in the vault, and nothing of its content."""
    office.put("Smith/folder/a", "a")
    os.link(office.path("Smith/folder/a"), office.path("Smith/b"))
    run = office.carried_out(move("b", "c"), delete("folder", recursive=True)).run
    office.carried_out(move("c", "d"))
    assert office.gate.fsck() == []
    office.undone(run, "Smith/folder")
    assert os.path.samefile(office.path("Smith/folder/a"), office.path("Smith/d"))


@pytest.mark.parametrize("name", ["manifest.json", "rollback.data", "rollback.sh"])
@pytest.mark.parametrize("damage", ["edited", "cut off", "gone"])
def test_fsck_makes_the_files_about_a_vault_anew(office, name, damage):
    """Manifest, script and its data are held against what the run wrote, and are byte for byte as before then."""
    filled(office)
    run = office.carried_out(*EVERYTHING).run
    path = office.root / ".treegate/vault" / run / name
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content.replace(b"run", b"ruf") if damage == "edited" else content[: len(content) // 2])
    damaged = path.read_bytes() if path.exists() else None
    (found,) = office.gate.fsck(dry=True)
    assert (found.severity, run in found.title) == ("error", True)
    assert damaged == (path.read_bytes() if path.exists() else None)
    (found,) = office.gate.fsck()
    assert (found.severity, run in found.title) == ("rebuilt", True)
    assert path.read_bytes() == content
    assert office.gate.fsck() == []


@pytest.mark.parametrize("lost", ["lines", "table"])
def test_a_rollback_script_is_not_made_of_a_record_that_is_not_whole(office, lost):
    """What cannot be made as the run wrote it is said to be so, and nothing is written."""
    filled(office)
    run = office.carried_out(*EVERYTHING).run
    (office.root / ".treegate/vault" / run / "rollback.data").unlink()
    (office.state / "receipts" / f"{run}.{lost}").write_bytes(b"")
    (said,) = (one for one in office.gate.fsck() if "rollback.data" in one.title)
    assert (said.severity, "anew" in said.title) == ("error", True)
    assert not (office.root / ".treegate/vault" / run / "rollback.data").exists()


def test_a_rollback_script_of_another_version_is_not_taken_for_the_runs_own(office, monkeypatch):
    """Only what has the SHA-256 that the receipt names is written."""
    office.put("Smith/a", "a")
    run = office.carried_out(delete("a")).run
    script = office.root / ".treegate/vault" / run / "rollback.sh"
    script.unlink()
    monkeypatch.setattr(vault, "script", lambda: b"another")
    (found,) = office.gate.fsck()
    assert (found.severity, "is not what its run wrote" in found.title) == ("error", True)
    assert not script.exists()


def test_a_vault_of_which_a_part_was_let_go_is_well(office):
    """After pruning, the manifest and the store still tell the same."""
    office.put("Smith/a", "a")
    run = office.carried_out(delete("a")).run
    office.clock.now += 1000 * DAY
    office.gate.prune()
    assert office.gate.fsck() == []
    assert office.story(run) == "applied"


def test_fsck_finds_a_changed_receipt(office):
    """One word of it is enough."""
    office.put("Smith/a", "a")
    run = office.carried_out(move("a", "b"), title="Tidy").run
    path = office.state / "receipts" / f"{run}.json"
    path.write_bytes(path.read_bytes().replace(b"Tidy", b"Tidi"))
    (found,) = office.gate.fsck()
    assert run in found.title


def test_fsck_finds_a_removed_receipt(office):
    """Its absence is an error too."""
    office.put("Smith/a", "a")
    run = office.carried_out(move("a", "b")).run
    (office.state / "receipts" / f"{run}.json").unlink()
    (found,) = office.gate.fsck()
    assert run in found.title


def test_fsck_finds_a_changed_audit_row(office):
    """The chain breaks at the row."""
    import sqlite3

    office.put("Smith/a", "a")
    office.carried_out(move("a", "b"))
    with sqlite3.connect(office.state / "treegate.db") as database:
        database.execute("update audit set actor = 'eve' where seq = 3")
    database.close()
    found = office.open().fsck()
    assert [("row 3" in one.title, one.severity) for one in found] == [(True, "error"), (False, "note")]


def test_fsck_finds_folders_of_no_known_run(office):
    """A vault, an area and a journal of runs that the store does not know are each named."""
    for folder in (office.root / ".treegate/vault", office.root / ".treegate/runs", office.state / "runs"):
        (folder / "run_x").mkdir(parents=True)
    assert sum("run_x" in found.title for found in office.gate.fsck()) == 3


def test_doctor_finds_an_open_state_directory(office):
    """Others must not enter it."""
    office.state.chmod(0o755)
    assert any("0755" in found.title for found in office.gate.doctor() if found.severity == "error")


# Tokens


def test_a_token_is_of_no_use_once_revoked_or_expired(office):
    """Denied (4), each with its own code; so is one that nobody made."""
    text = office.token("ann", Role.REVIEWER)
    assert office.open(text).actor.name == "ann"
    office.gate.revoke_token("ann")
    office.clock.now, now = 0, office.clock.now
    short = office.token("bob", Role.REVIEWER, expires_at=1)  # long ago
    office.clock.now = now
    for given, code in [
        (text, "token-revoked"),
        (short, "token-expired"),
        ("tg_nonsense", "token-unknown"),
    ]:
        with pytest.raises(Denied) as refused:
            office.open(given)
        assert (refused.value.code, refused.value.exit_status) == (code, 4)


def test_only_an_admin_makes_tokens(firm):
    """A reviewer could otherwise make a second self."""
    ann = firm.person("ann", Role.REVIEWER)
    with pytest.raises(Denied):
        ann.create_token("bob", Role.REVIEWER)
    with pytest.raises(Denied):
        ann.list_tokens()
    with pytest.raises(Denied):
        ann.revoke_token("ann")


def test_token_texts_are_kept_nowhere(office):
    """The database holds only their hashes."""
    text = office.token("ann", Role.REVIEWER)
    assert all(text.encode() not in path.read_bytes() for path in office.state.rglob("*") if path.is_file())


def test_a_single_folder_is_its_own_case(tmp_path):
    """With `single` the folder itself is the case, undo included, and what is treegate's own is no part of it."""
    root = tmp_path / "Taxes"
    root.mkdir()
    (root / "a").write_text("a")
    office = Office(root, tmp_path / "state", single=True)
    done = office.gate.submit(plan(move("a", "sub/b"), case="Taxes"))
    assert done.state == "pending", done.problems
    office.gate.approve(done.id, done.digest)
    run = office.gate.apply(done.id).run
    assert (root / "sub/b").read_text() == "a"
    office.undone(run)
    assert sorted(path.name for path in root.iterdir()) == [".treegate", "Database", "Reports", "a"]
    office.close()


# Which run, and what is still to be had


def test_undo_without_a_name_takes_the_last_run_that_changed_something(office):
    """Neither a run that found the tree changed nor one that had nothing to do stands in the way."""
    office.put("Smith/a", "a")
    office.put("Smith/b", "b")
    run = office.carried_out(move("a", "c")).run
    stale = office.approved(move("b", "d"))
    office.put("Smith/b", "edited since", mtime=OLD + 1)
    with pytest.raises(Stale):
        office.gate.apply(stale)
    office.carried_out(move("b", "b"))
    assert office.gate.undo().run == run


def test_what_a_vault_let_go_is_named_with_what_can_still_be_undone(office):
    """The command that is offered works."""
    office.put("Smith/a", "a")
    office.put("Smith/b", "b")
    run = office.carried_out(delete("a"), move("b", "c")).run
    office.clock.now += 1000 * DAY
    office.gate.prune()
    with pytest.raises(Denied) as refused:
        office.gate.undo(run)
    assert (refused.value.code, "pruned" in refused.value.message) == ("not-undoable", True)
    assert refused.value.next == f"treegate undo {run} --path Smith/c"
    office.undone(run, "Smith/c")
    assert office.path("Smith/b").read_text() == "b"


def test_what_was_restored_and_taken_away_again_does_not_send_undo_in_circles(office):
    """A restore that was undone put the entry into its own vault: that is said, and the rest can be undone."""
    office.put("Smith/a", "a")
    office.put("Smith/b", "b")
    run = office.carried_out(delete("a"), move("b", "c")).run
    (kept,) = office.gate.list_vault(run)
    restoring = office.gate.restore(run, [kept.entry])
    office.gate.approve(restoring.id, restoring.digest)
    holder = office.undone(office.gate.apply(restoring.id).run).run
    with pytest.raises(Denied) as refused:
        office.gate.undo(run)
    assert holder in refused.value.hint
    assert refused.value.next == f"treegate undo {run} --path Smith/c"
    office.undone(run, "Smith/c")
    (kept,) = office.gate.list_vault(holder)
    again = office.gate.restore(holder, [kept.entry])
    office.gate.approve(again.id, again.digest)
    office.gate.apply(again.id)
    assert (office.path("Smith/a").read_text(), office.path("Smith/b").read_text()) == ("a", "b")
    office.sound()


def test_a_file_whose_other_name_was_touched_is_still_what_the_vault_was_given(office):
    """A time that is set through another name shows in the vault as well; it is no edit."""
    office.put("Smith/a", "a")
    os.link(office.path("Smith/a"), office.path("Smith/b"))
    run = office.carried_out(delete("b")).run
    office.carried_out({"op": "set", "path": "a", "mtime": "2024-03-01T09:00:00Z"})
    assert office.gate.fsck() == []
    office.undone(run)
    assert os.path.samefile(office.path("Smith/a"), office.path("Smith/b"))


def test_what_rollback_sh_put_back_into_a_vault_is_well(office):
    """It was in the tree meanwhile, where files in it came and went."""
    office.put("Smith/folder/a", "a")
    office.put("Smith/folder/b", "b")
    run = office.carried_out(delete("folder", recursive=True)).run
    (kept,) = office.gate.list_vault(run)
    restoring = office.gate.restore(run, [kept.entry])
    office.gate.approve(restoring.id, restoring.digest)
    second = office.gate.apply(restoring.id).run
    os.rename(office.path("Smith/folder/a"), office.path("Smith/aside"))
    os.rename(office.path("Smith/aside"), office.path("Smith/folder/a"))
    script = office.root / ".treegate/vault" / second / "rollback.sh"
    assert subprocess.run(["sh", str(script)], capture_output=True, check=False).returncode == 0
    assert office.gate.fsck() == []
    office.undone(run)
    assert office.path("Smith/folder/a").read_text() == "a"
