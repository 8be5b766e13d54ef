"""A run makes every step or none; whatever does not hold is found before the first."""

import errno
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from treegate.engine import apply, journal, posix
from treegate.errors import Denied, NeedsRecovery, Stale
from treegate.model.capabilities import Capabilities
from treegate.model.tree import Level

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from tables import RUN, Site, everything

needs_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")


@pytest.fixture
def site(tmp_path):
    return everything(tmp_path)


@pytest.fixture
def two(tmp_path):
    """Two files that go into a folder, one after the other."""
    s = Site(tmp_path)
    s.file("a")
    s.file("b")
    s.file("to/x")
    s.move("a", (s.place("to"), "a"))
    s.move("b", (s.place("to"), "b"))
    s.seal()
    return s


def test_everything_comes_to_lie_where_the_table_says(site):
    """21: a swap, a cycle of three, a folder inversion, a folder that moves under another."""
    text = {path: (site.case / path).read_text() for path in ("b.txt", "c.txt", "c1", "c2", "c3", "p1", "p2")}
    result = apply.run(site.context())
    case = site.case
    assert (result.outcome, result.reason, result.steps) == ("applied", None, len(site.steps))
    assert (case / "b.txt").read_text() == text["c.txt"]
    assert (case / "c.txt").read_text() == text["b.txt"]
    assert [(case / n).read_text() for n in ("c2", "c3", "c1")] == [text["c1"], text["c2"], text["c3"]]
    assert (case / "p1").read_text() == text["p2"]
    assert (case / "in/out/renamed").read_text() == "content of out/file\n"
    assert (case / "in/leaf").exists()
    assert (case / "sub/folder/one").exists()
    assert not (case / "sub/folder/two/three").exists()
    assert (case / "old.txt").read_text() == "the successor\n"
    assert (case / "made/inside.txt").read_text() == "built inside\n"
    assert (case / "made").stat().st_mode & 0o777 == 0o750
    assert (case / "run.sh").stat().st_mode & 0o777 == 0o755
    assert os.readlink(case / "latest") == "sub"
    assert (case / "h1").stat().st_ino == (case / "h3").stat().st_ino
    assert (site.roots[b"vault:"] / str(site.number("gonedir")) / "deep/y").exists()
    assert not site.leftovers()
    assert {entry.sha256 for entry in result.built.values()} >= {site.blob("# Index\n")}
    assert journal.read(site.directory, RUN).outcome == "applied"


@pytest.mark.parametrize("level", [Level.CONTENT, Level.EXACT])
def test_a_source_edited_after_approval_is_stale(tmp_path, level):
    """19: nothing is done, and the file is named."""
    s = Site(tmp_path)
    s.file("a")
    s.file("b")
    s.move("b", (s.root, "c"))
    s.move("a", (s.root, "z"), level=level)
    s.seal()
    (s.case / "a").write_text("edited")
    before = s.picture()
    with pytest.raises(Stale, match=r"Case/a: was changed"):
        apply.run(s.context())
    assert s.picture() == before
    assert journal.read(s.directory, RUN).outcome == "rolled-back"


def test_same_inode_size_and_mtime_with_other_bytes_is_found_where_content_goes_away(tmp_path):
    """19: only ctime tells, and it is looked at for what is deleted."""
    s = Site(tmp_path)
    s.file("a", "one")
    s.delete("a")
    s.seal()
    time = (s.case / "a").stat().st_mtime_ns
    (s.case / "a").write_text("two")
    os.utime(s.case / "a", ns=(time, time))
    with pytest.raises(Stale):
        apply.run(s.context())


def test_a_target_that_appeared_is_never_replaced(two):
    """20: found by the listing before the first step."""
    (two.case / "to/b").write_text("mine")
    before = two.picture()
    with pytest.raises(Stale, match="another entry is there now"):
        apply.run(two.context())
    assert two.picture() == before


def test_a_target_that_appears_during_the_run_is_never_replaced(two, monkeypatch, in_python):
    """20: found by the rename itself, and what was done is taken back."""
    rename, before = posix.rename, two.picture()

    def appearing(*args):
        if args[1] == b"b":
            (two.case / "to/b").write_text("mine")
        rename(*args)

    monkeypatch.setattr(posix, "rename", appearing)
    result = apply.run(two.context())
    assert result.outcome == "rolled-back"
    assert isinstance(result.reason, Stale)
    assert (two.case / "to/b").read_text() == "mine"
    (two.case / "to/b").unlink()
    assert two.picture().keys() == before.keys()


def test_another_entry_swapped_in_is_put_back_and_the_run_halts(two, monkeypatch, in_python):
    """27: between the last check and the rename."""
    rename = posix.rename

    def swapping(*args):
        if args[1] == b"b" and not (two.case / "aside").exists():
            os.rename(two.case / "b", two.case / "aside")
            (two.case / "b").write_text("an impostor")
        rename(*args)

    monkeypatch.setattr(posix, "rename", swapping)
    result = apply.run(two.context())
    assert result.outcome == "rolled-back"
    assert (two.case / "b").read_text() == "an impostor"
    assert (two.case / "aside").read_text() == "content of b\n"
    assert (two.case / "a").exists()
    assert os.listdir(two.case / "to") == ["x"]


def test_of_a_folder_that_is_another_now_each_file_that_was_to_move_is_told(tmp_path):
    """Not the first alone: whoever reads it sees all that the run would have needed."""
    s = Site(tmp_path)
    for name in ("d/a", "d/b", "d/c", "to/x"):
        s.file(name)
    for name in ("a", "b", "c"):
        s.move(f"d/{name}", (s.place("to"), name))
    s.seal()
    os.rename(s.case / "d", s.case / "aside")
    (s.case / "d").mkdir()
    with pytest.raises(Stale) as caught:
        apply.run(s.context())
    assert [name in caught.value.message for name in ("d/a:", "d/b:", "d/c:")] == [True] * 3
    assert os.listdir(s.case / "to") == ["x"]


def test_a_file_added_under_a_folder_to_be_deleted_is_stale(tmp_path):
    """26: after the deletion was approved."""
    s = Site(tmp_path)
    s.file("d/x")
    s.delete("d")
    s.seal()
    (s.case / "d/new").write_text("new")
    with pytest.raises(Stale):
        apply.run(s.context())
    assert (s.case / "d/new").exists()


def test_files_that_change_places_by_way_of_parking_take_one_rename_a_step(tmp_path, monkeypatch, in_python):
    """Many of them, so that the folders are held open: each is looked at where a step brings it before it goes on."""
    s = Site(tmp_path)
    for number in range(20):
        s.file(f"a{number}")
        s.file(f"b{number}")
        s.move(f"a{number}", (s.park, str(number)))
        s.move(f"b{number}", (s.root, f"a{number}"), free=False)
        s.move(f"a{number}", (s.root, f"b{number}"), at=(s.park, str(number)), free=False)
    s.seal()
    made, real = [], posix.rename
    monkeypatch.setattr(posix, "rename", lambda *slots: made.append(slots) or real(*slots))
    assert apply.run(s.context()).outcome == "applied"
    assert (s.case / "a7").read_text() == "content of b7\n"
    assert len(made) == 60


def test_a_link_swapped_in_for_a_folder_leads_nowhere(two, tmp_path):
    """31: the folder is opened without following links."""
    (tmp_path / "elsewhere").mkdir()
    os.rename(two.case / "to", two.case / "kept")
    os.symlink(tmp_path / "elsewhere", two.case / "to")
    with pytest.raises(Stale):
        apply.run(two.context())
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_file_held_open_while_it_moves_loses_no_byte(two):
    """25: the writer's handle stays good."""
    with open(two.case / "a", "a") as file:
        assert apply.run(two.context()).outcome == "applied"
        file.write("written afterwards\n")
    assert (two.case / "to/a").read_text() == "content of a\nwritten afterwards\n"


def test_all_that_is_stale_is_told_at_once(tmp_path):
    s = Site(tmp_path)
    for n in range(30):
        s.file(f"f{n:02}")
        s.move(f"f{n:02}", (s.root, f"g{n:02}"))
    s.seal()
    for n in range(30):
        (s.case / f"f{n:02}").unlink()
    with pytest.raises(Stale, match="and 10 more"):
        apply.run(s.context())


def test_a_run_stopped_on_request_is_taken_back(site):
    before, asked = site.picture(), []
    result = apply.run(site.context(cancelled=lambda: bool(asked), progress=lambda *_: asked.append(1)))
    assert result.outcome == "rolled-back"
    assert result.reason.code == "cancelled"
    assert site.picture() == before
    assert not site.leftovers()


def test_an_error_in_the_last_setting_takes_everything_back(site, monkeypatch):
    before, calls = site.picture(), []

    def failing(*args):
        calls.append(args)
        raise OSError(errno.EIO, "no")

    utime = posix.utime
    monkeypatch.setattr(posix, "utime", lambda *args: failing() if not calls else utime(*args))
    result = apply.run(site.context())
    assert result.outcome == "rolled-back"
    assert site.picture() == before


def test_a_full_disk_while_staging_begins_nothing(site, monkeypatch):
    """9: what was built is cleared away."""
    before, write = site.picture(), posix.write

    def full(fd, data):
        if "/.treegate/" in os.readlink(f"/proc/self/fd/{fd}"):
            raise OSError(errno.ENOSPC, "full")
        write(fd, data)

    monkeypatch.setattr(posix, "write", full)
    result = apply.run(site.context())
    assert (result.outcome, result.reason.errno) == ("rolled-back", errno.ENOSPC)
    assert site.picture() == before
    assert not site.leftovers()


def test_a_full_disk_under_the_journal_is_found_before_the_first_step(site, monkeypatch):
    """10: nothing happened at all."""
    before = site.picture()

    def full(fd, data):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(posix, "write", full)
    assert apply.run(site.context()).outcome == "nothing-happened"
    assert site.picture() == before
    assert journal.read(site.directory, RUN).begin is None


def test_a_failed_sync_leaves_a_note_and_needs_recovery(two, monkeypatch):
    """8: whatever follows must not trust the page cache."""
    synced = []

    def failing(fd):
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        if synced[-1].endswith("/to"):
            raise OSError(errno.EIO, "gone")

    monkeypatch.setattr(posix, "fsync", failing)
    with pytest.raises(NeedsRecovery) as caught:
        apply.run(two.context())
    assert caught.value.code == "sync-failed"
    assert synced[-1].endswith("/to")
    assert (two.directory / "halted.1").exists()


def test_names_too_long_for_the_mount_are_denied(two):
    with pytest.raises(Denied, match="too long"):
        apply.run(two.context(volumes={"": Capabilities(path_max=10)}))


@pytest.mark.parametrize("links", [True, False])
def test_a_mount_without_noreplace_is_served_by_the_fallback(two, links):
    caps = Capabilities(noreplace=False, hard_links=links)
    assert apply.run(two.context(volumes={"": caps})).outcome == "applied"
    assert (two.case / "to/a").read_text() == "content of a\n"


def test_more_folders_than_handles_are_opened_and_closed(tmp_path, monkeypatch):
    from treegate.engine import places

    monkeypatch.setattr(places, "MOST", 4)
    s = Site(tmp_path)
    for n in range(12):
        s.file(f"from{n}/f")
        (s.case / f"to{n}").mkdir()
        s.move(f"from{n}/f", (s.place(f"to{n}"), "f"))
    s.seal()
    before = len(os.listdir("/proc/self/fd"))
    assert apply.run(replace(s.context(), batch=100)).outcome == "applied"
    assert all((s.case / f"to{n}/f").exists() for n in range(12))
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_step_that_was_made_though_nobody_could_look_is_taken_back_too(two, monkeypatch, in_python):
    """Neither the look behind it nor the one that follows an error tells: what is made is found out later."""
    lstat, before, failed = os.lstat, two.picture(), []

    def blind(path, *, dir_fd=None):
        now = lstat(path, dir_fd=dir_fd)
        if path == b"b" and len(failed) < 2 and (two.case / "to").stat().st_ino == os.fstat(dir_fd).st_ino:
            failed.append(path)
            raise OSError(errno.EIO, "no")
        return now

    monkeypatch.setattr(os, "lstat", blind)
    result = apply.run(two.context())
    monkeypatch.undo()
    assert failed
    assert result.outcome == "rolled-back"
    assert two.picture() == before


def test_another_folder_put_in_a_folders_place_between_batches_gets_nothing(two, monkeypatch):
    """27, 31: handles are opened anew each batch, and must be of the folder that was approved."""
    syncs, fsync = [], posix.fsync

    def swapping(fd):
        fsync(fd)
        if os.readlink(f"/proc/self/fd/{fd}").endswith("/to") and not syncs:
            syncs.append(fd)
            os.rename(two.case / "to", two.case / "kept")
            (two.case / "to").mkdir()

    monkeypatch.setattr(posix, "fsync", swapping)
    with pytest.raises(NeedsRecovery):
        apply.run(replace(two.context(), batch=1))
    assert os.listdir(two.case / "to") == []
    assert sorted(os.listdir(two.case / "kept")) == ["a", "x"]
