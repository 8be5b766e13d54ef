"""Backups before moves: a copy of every file that moves lies in the run's vault before the first step."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from gatework import DAY, OLD, Office, delete, die, dies_after, move

from treegate.engine import contents, posix
from treegate.engine.carry import Carrier
from treegate.engine.course import Course
from treegate.errors import NotFound, Stale
from treegate.gate.proof import apply_verified
from treegate.render import words


@pytest.fixture
def careful(office):
    """An office that copies before it moves, with files to move on their own and in folders."""
    office.configure(policy_backup_before_moves="copy")
    office.put("Smith/a", "aaa")
    office.put("Smith/box/one", "one!")
    office.put("Smith/box/deep/two", "twotwo", mode=0o400)
    office.put("Smith/box/out", "leaves")
    office.put("Smith/box/gone", "deleted")
    os.symlink("one", office.path("Smith/box/link"))
    return office


MOVES = (move("box/out", "out"), delete("box/gone"), move("box", "chest"), move("a", "chest/b"))


def backups(office, run):
    """The backups of a run: original path -> content in the vault."""
    entries = office.root / ".treegate/vault" / run / "entries"
    kept = office.gate.list_vault(run)
    return {one.path: (entries / str(one.entry)).read_text() for one in kept if one.kind == "backup"}


def test_every_file_that_moves_is_in_the_vault_as_it_was(careful):
    """Also those in a folder that moves whole, once each; no link, and what was deleted is there anyway."""
    run = careful.carried_out(*MOVES).run
    assert backups(careful, run) == {
        "Smith/a": "aaa",
        "Smith/box/one": "one!",
        "Smith/box/deep/two": "twotwo",
        "Smith/box/out": "leaves",
    }
    assert {one.path for one in careful.gate.list_vault(run)} == {*backups(careful, run), "Smith/box/gone"}
    assert careful.path("Smith/chest/deep/two").read_text() == "twotwo"
    careful.sound()


def test_a_backup_keeps_mode_and_time_and_shares_no_inode(careful):
    run = careful.carried_out(move("box", "chest")).run
    kept = next(one for one in careful.gate.list_vault(run) if one.path == "Smith/box/deep/two")
    there = (careful.root / ".treegate/vault" / run / "entries" / str(kept.entry)).stat()
    moved = careful.path("Smith/chest/deep/two").stat()
    assert (there.st_mode, there.st_mtime_ns, there.st_size) == (moved.st_mode, OLD, 6)
    assert there.st_ino != moved.st_ino


def test_the_preview_says_how_many_files_how_many_bytes_and_what_is_free(careful):
    shown = careful.gate.check(careful.document(*MOVES))
    assert (shown.backup.mode, shown.backup.files, shown.backup.size) == ("copy", 4, 19)
    assert shown.backup.free > 0
    assert words.backup(shown.backup).startswith("copies of 4 files (19 bytes) are laid into the vault before")


def test_without_the_policy_nothing_is_copied(office):
    office.put("Smith/a", "a")
    assert office.gate.check(office.document(move("a", "b"))).backup is None
    assert office.gate.list_vault(office.carried_out(move("a", "b")).run) == []


def test_a_copy_that_would_not_fit_is_an_error_of_the_preview(careful):
    """A file with a hole is as large as it says."""
    free = os.statvfs(careful.root)
    with open(careful.put("Smith/huge"), "r+b") as file:
        file.truncate(min(free.f_bavail * free.f_frsize + (1 << 30), 1 << 42))
    shown = careful.gate.check(careful.document(move("huge", "large")))
    assert "no-space" in [one.code for one in shown.problems]


def test_a_mount_without_reflinks_is_an_error_where_policy_wants_them(office, monkeypatch):
    """It is never quietly a full copy, nor no backup."""
    office.put("Smith/a", "a")
    office.configure(policy_backup_before_moves="reflink")
    if office.gate.core.workspace.capabilities("Smith").reflinks:
        pytest.skip("this mount has reflinks")
    (found,) = office.gate.check(office.document(move("a", "b"))).problems
    assert (found.code, found.severity, '"copy"' in found.hint) == ("no-reflink", "error", True)


def test_a_file_that_changed_since_the_approval_is_not_backed_up_but_refused(careful):
    """The copy is of what was approved, also deep in a folder that moves; nothing is done otherwise."""
    id = careful.approved(move("box", "chest"))
    careful.path("Smith/box/one").write_text("edit")
    before = careful.tree()
    with pytest.raises(Stale):
        careful.gate.apply(id)
    assert careful.tree() == before
    assert list((careful.root / ".treegate/vault").iterdir()) == []
    careful.sound()


def test_a_backup_is_restored_to_where_the_file_was_or_elsewhere(careful):
    run = careful.carried_out(*MOVES).run
    numbers = {one.path: one.entry for one in careful.gate.list_vault(run)}
    for path, to in (("Smith/a", ""), ("Smith/box/deep/two", "Smith/found")):
        done = careful.gate.restore(run, [numbers[path]], to)
        careful.gate.approve(done.id, done.digest)
        careful.gate.apply(done.id)
    assert careful.path("Smith/a").read_text() == "aaa"
    assert careful.path("Smith/found").read_text() == "twotwo"
    careful.sound()


def test_undo_takes_back_the_run_and_leaves_its_backups(careful):
    before = careful.tree()
    run = careful.carried_out(*MOVES).run
    careful.undone(run)
    assert careful.tree() == before
    assert len(backups(careful, run)) == 4
    careful.sound()


def test_a_backup_edited_in_the_vault_is_found(careful):
    run = careful.carried_out(move("a", "b")).run
    (kept,) = careful.gate.list_vault(run)
    (careful.root / ".treegate/vault" / run / "entries" / str(kept.entry)).write_text("bad")
    (found,) = careful.gate.fsck()
    assert "Smith/a" in found.title


def test_backups_go_by_the_same_retention(careful):
    run = careful.carried_out(move("a", "b")).run
    careful.clock.now += 200 * DAY
    assert [(one.path, one.kind) for one in careful.gate.prune().entries] == [("Smith/a", "backup")]
    assert backups(careful, run) == {}
    careful.sound()


def test_a_verified_run_holds_with_backups(careful):
    """`apply --verify` accounts for every content, and a backup is none of the tree's."""
    apply_verified(careful.gate.core, careful.approved(*MOVES))
    careful.sound()


@pytest.mark.parametrize(
    ("owner", "name", "made"),
    [
        (contents.Stager, "build", 1),
        (contents.Stager, "build", 3),
        (Course, "append", 1),
        (Carrier, "carry", 1),
        (Course, "end", 1),
    ],
)
def test_a_crash_at_any_point_ends_with_all_backups_or_none(careful, owner, name, made):
    """Gone back, nothing is left in the vault; gone forward, each file that moved has its backup."""
    before = careful.tree()
    id = careful.approved(*MOVES)
    careful.crash(lambda gate: gate.apply(id), (owner, name, dies_after(getattr(owner, name), made)))
    (ended,) = careful.gate.recover()
    if ended.state == "applied":
        assert len(backups(careful, ended.run)) == 4
    else:
        assert (ended.state, careful.tree()) == ("rolled-back", before)
        assert list((careful.root / ".treegate/vault").iterdir()) == []
    careful.sound()


@pytest.mark.parametrize("made", range(1, 9))
@pytest.mark.parametrize("back", [False, True])
def test_a_crash_after_any_rename_ends_with_all_backups_or_none(careful, made, back):
    """Four backups come first, then what moves; every rename between them is one at which the process dies."""
    before = careful.tree()
    id = careful.approved(*MOVES)
    real, left = posix.renamer, [made]

    def renamer(caps):
        rename = real(caps)

        def counted(*args):
            done = rename(*args)
            left[0] -= 1
            return done if left[0] else die()

        return counted

    careful.crash(lambda gate: gate.apply(id), (posix, "renamer", renamer))
    (ended,) = careful.gate.recover(back=back)
    if back:
        assert (ended.state, careful.tree()) == ("rolled-back", before)
        assert list((careful.root / ".treegate/vault").iterdir()) == []
    else:
        assert (ended.state, len(backups(careful, ended.run))) == ("applied", 4)
    careful.sound()


def test_a_run_that_is_taken_back_leaves_no_backups(careful):
    """Asked for, after a crash in the middle of its steps."""
    before = careful.tree()
    id = careful.approved(*MOVES)
    careful.crash(lambda gate: gate.apply(id), (Carrier, "sync", die))
    (ended,) = careful.gate.recover(back=True)
    assert (ended.state, careful.tree()) == ("rolled-back", before)
    assert list((careful.root / ".treegate/vault").iterdir()) == []
    careful.sound()


def test_rollback_sh_takes_the_run_back_and_sets_its_backups_aside(careful):
    """They are what the run made: they lie in `undone/` then, and the list no longer has them."""
    before = careful.tree()
    run = careful.carried_out(*MOVES).run
    vault = careful.root / ".treegate/vault" / run
    subprocess.run(["sh", str(vault / "rollback.sh")], check=True, capture_output=True)
    assert careful.tree() == before
    assert careful.gate.fsck() == []
    assert careful.gate.list_vault(run) == []
    assert sorted(path.read_text() for path in (vault / "undone").iterdir()) == ["aaa", "leaves", "one!", "twotwo"]


def test_what_is_left_alone_as_stale_is_not_backed_up(careful):
    """The rest is."""
    id = careful.approved(move("a", "b"), move("box/out", "out"), on_stale="skip")
    careful.path("Smith/a").write_text("edited meanwhile")
    run = careful.gate.apply(id).run
    assert backups(careful, run) == {"Smith/box/out": "leaves"}
    careful.sound()


def test_a_file_that_moves_to_another_case_is_backed_up_where_it_was(careful):
    run = careful.carried_out(move("Smith/a", "Jones/a"), case=None).run
    (kept,) = careful.gate.list_vault(run)
    assert (kept.case, kept.path, kept.kind) == ("Smith", "Smith/a", "backup")


def test_a_full_copy_shares_no_blocks(careful, monkeypatch):
    """The kernel's own ways to copy may share them, so they are not used for it."""
    careful.gate.check(careful.document(move("a", "b")))  # by now the mount was probed
    monkeypatch.setattr(posix, "reflink", refuse)
    monkeypatch.setattr(posix, "copy_range", refuse)
    assert backups(careful, careful.carried_out(move("a", "b")).run) == {"Smith/a": "aaa"}


def refuse(*_):
    raise AssertionError("blocks may be shared")


def test_a_restore_of_a_whole_run_leaves_its_backups_out(careful):
    """What moved is still in the tree; a backup comes back where it is named."""
    run = careful.carried_out(*MOVES).run
    done = careful.gate.restore(run)
    assert [op.to for op in careful.gate.document(done.id).operations] == ["Smith/box/gone"]
    other = careful.carried_out(move("out", "outside")).run
    with pytest.raises(NotFound) as refused:
        careful.gate.restore(other)
    assert "only backups" in refused.value.message


def test_backups_by_reflink_take_next_to_no_space(tmp_path, mount):
    """Where the mount shares blocks, a large file's backup has its content and leaves what was free nearly so."""
    if not shutil.which("mkfs.xfs"):
        pytest.skip("needs mkfs.xfs")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(400 << 20)
    subprocess.run(["mkfs.xfs", "-m", "reflink=1", str(image)], check=True, capture_output=True)
    folder = mount(tmp_path / "xfs", "-o", "loop", str(image))
    office = Office(folder, tmp_path / "state")
    office.put("Smith/a", os.urandom(20 << 20))
    office.configure(policy_backup_before_moves="reflink")
    os.sync()
    free = os.statvfs(folder).f_bavail
    run = office.carried_out(move("a", "b")).run
    (kept,) = office.gate.list_vault(run)
    copy = folder / ".treegate/vault" / run / "entries" / str(kept.entry)
    assert copy.read_bytes() == office.path("Smith/b").read_bytes()
    assert (free - os.statvfs(folder).f_bavail) * os.statvfs(folder).f_frsize < 5 << 20
    office.sound()
    office.close()
