"""The private copy: what is in it, what it refuses to copy, and what is told of what became of it."""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from treegate.engine.blobs import Blobs
from treegate.engine.sandbox import copy, dating, identities, mounting, originals, recognition
from treegate.engine.sandbox.copy import ENTRY, PrivateCopy
from treegate.engine.sandbox.difference import Changed
from treegate.engine.sandbox.order import Case, Finding
from treegate.engine.sandbox.recognition import CopyCapture
from treegate.errors import Denied, UsageError
from treegate.model.capture import Entry, Gone, Still
from treegate.model.draft import moment

OLD = 1_600_000_000_123_456_789
ROOM = 1 << 30
SHM = "/dev/shm"


class Scene:
    """A case, its copy, and where contents are kept."""

    def __init__(self, folder: Path, copies: Path) -> None:
        self.folder, self.copies = folder, copies
        self.case = folder / "projects" / "Case"
        self.case.mkdir(parents=True)
        copies.mkdir()
        self.made: list[PrivateCopy] = []

    def put(self, path: str, content: bytes = b"content", mode: int = 0o640) -> Path:
        target = self.case / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(mode)
        os.utime(target, ns=(OLD, OLD))
        return target

    def copy(self, limit: int = ROOM, **more) -> Path:
        """Where the copy is."""
        case = Case(name="Case", folder=str(self.case), hidden=(".treegate", "Reports"))
        self.made.append(PrivateCopy([case], str(self.copies), limit, **more))
        return self.copies / "Case"

    def differences(self, **more) -> list:
        keeper = Blobs(self.folder / "blobs")
        return list(CopyCapture(self.made[-1], keeper, **more))

    def entries(self) -> dict[str, Entry]:
        return {one.path: one for one in self.differences() if isinstance(one, Entry)}

    def codes(self) -> set[tuple[str, str]]:
        return {(one.code, one.path) for one in self.differences() if isinstance(one, Finding)}

    def changed(self, **more) -> set[str]:
        return {one.path for one in self.differences(**more) if isinstance(one, Changed)}

    def said(self) -> set[tuple[str, str]]:
        return {(one.code, one.path) for one in self.made[-1].findings}


@pytest.fixture(params=["disk", "memory"])
def scene(request, tmp_path):
    """A case on a disk, to be copied to that disk, or into memory."""
    if request.param == "disk":
        made = Scene(tmp_path, tmp_path / "copies")
        yield made
    else:
        if not os.access(SHM, os.W_OK):
            pytest.skip(f"needs {SHM}")
        with tempfile.TemporaryDirectory(dir=SHM) as folder:
            made = Scene(tmp_path, Path(folder) / "copies")
            yield made
    for each in made.made:
        each.close()


def looks(path: Path) -> tuple:
    facts = path.lstat()
    held = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
    return stat.S_IMODE(facts.st_mode), facts.st_mtime_ns, held


# -- what is in it


def test_a_copy_is_like_the_case_and_nothing_is_told_of_it(scene):
    """Kinds, contents, modes and times to the nanosecond, of folders, too; an unchanged copy is no difference."""
    scene.put("a/b/file", b"x" * 200_000, 0o440)
    scene.put("a/\udcff odd\n", b"")
    (scene.case / "a" / "link").symlink_to("/etc/passwd")
    scene.put("shut/inside").parent.chmod(0o555)
    os.utime(scene.case / "a", ns=(OLD, OLD + 1))
    os.utime(scene.case / "a" / "link", ns=(OLD, OLD + 2), follow_symlinks=False)
    seen = scene.copy()
    for path in ("", "a", "a/b", "a/b/file", "a/\udcff odd\n", "a/link", "shut", "shut/inside"):
        assert looks(seen / path) == looks(scene.case / path)
    assert scene.differences() == []


def test_what_comes_after_the_copy_is_dated_later(scene):
    """Else a write within the same tick of the clock could not be told from none."""
    scene.put("a/file")
    scene.copy()
    homes = scene.made[-1].homes
    assert dating.now() > max(homes.looks(number).ctime for number in range(len(homes)))


def test_what_is_treegates_own_is_not_in_it(scene):
    """Names that a case hides are hidden directly in it, and nowhere else."""
    scene.put("Reports/x")
    scene.put("a/Reports/x")
    seen = scene.copy()
    assert [path.name for path in seen.iterdir()] == ["a"]
    assert (seen / "a" / "Reports" / "x").exists()
    assert scene.differences() == []


def test_hard_links_are_links_in_it_and_said(scene):
    """So the script sees what it would see; an edit through one name is told of both."""
    os.link(scene.put("one"), scene.case / "two")
    seen = scene.copy()
    assert (seen / "one").samefile(seen / "two")
    assert scene.said() == {("several-hard-links", "Case/two")}
    (seen / "two").write_bytes(b"other")
    found = scene.entries()
    assert found["Case/one"].sha256 == found["Case/two"].sha256 != ""
    assert found["Case/one"].home == "Case/one"


def test_fifos_are_left_out_and_said(scene):
    """Nothing waits for who would write to one."""
    os.mkfifo(scene.case / "pipe")
    seen = scene.copy()
    assert list(seen.iterdir()) == []
    assert scene.said() == {("sandbox-special-file", "Case/pipe")}
    assert scene.differences() == []


def test_extended_attributes_are_said_once(scene):
    """They are not in the copy, and so a script that sees none has not removed them."""
    for name in ("one", "two"):
        try:
            os.setxattr(scene.put(name), "user.colour", b"red")
        except OSError:
            pytest.skip("no user attributes here")
    scene.copy()
    assert [one.code for one in scene.made[-1].findings] == ["sandbox-xattr"]
    assert scene.differences() == []


def test_holes_stay_holes(scene):
    """A file of mostly nothing takes mostly nothing, and reads the same."""
    with open(scene.case / "sparse", "wb") as file:
        file.seek(40 << 20)
        file.write(b"end")
        file.truncate(50 << 20)
    seen = scene.copy()
    assert (seen / "sparse").stat().st_blocks * 512 < 1 << 20
    assert (seen / "sparse").read_bytes() == (scene.case / "sparse").read_bytes()
    assert scene.differences() == []


def test_paths_may_be_longer_than_one_call_takes(scene):
    """Folders in folders in folders: beyond PATH_MAX."""
    fd = os.open(scene.case, os.O_RDONLY)
    for _ in range(40):
        os.mkdir(b"n" * 200, dir_fd=fd)
        below = os.open(b"n" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open(b"file", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    os.close(fd)
    seen = scene.copy()
    assert scene.differences() == []
    os.rename(seen / ("n" * 200), seen / "short")
    assert set(scene.entries()) == {"Case/short"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")
def test_all_of_it_is_the_owners(scene):
    """The command's user may change what the case's owner could, folders and links too."""
    scene.put("a/file", mode=0o600)
    (scene.case / "a" / "link").symlink_to("file")
    seen = scene.copy(owner=(60123, 60123))
    for path in ("", "a", "a/file", "a/link"):
        facts = (seen / path).lstat()
        assert (facts.st_uid, facts.st_gid) == (60123, 60123)


# -- what is not copied


def test_a_case_that_is_too_large_is_refused_with_its_size(scene):
    """Said before anything runs: how much it is, all of it, and what the limit is."""
    for number in range(5):
        scene.put(f"a/{number}", b"x" * 100_000)
    with pytest.raises(UsageError) as refused:
        scene.copy(limit=150_000)
    assert refused.value.code == "case-too-large-to-copy"
    assert f"{5 * 100_000 + 6 * ENTRY:,}" in refused.value.message
    assert "150,000" in refused.value.message


@contextlib.contextmanager
def seen_at(target: Path, source: Path) -> Iterator[None]:
    """A folder at another place, too, for a block."""
    mounting.attach(mounting.clone(str(source)), str(target))
    try:
        yield
    finally:
        mounting.unmount(str(target), lazily=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
def test_a_mount_inside_is_refused(scene):
    """Also one of the very same filesystem, which no device number betrays."""
    inside = scene.case / "a" / "inside"
    inside.mkdir(parents=True)
    with seen_at(inside, scene.put("other/file").parent), pytest.raises(UsageError) as refused:
        scene.copy()
    assert (refused.value.code, refused.value.path) == ("case-has-mount", "Case/a/inside")


def test_what_cannot_be_read_is_refused(scene, monkeypatch):
    """A copy without it would let the script believe that it is not there."""
    scene.put("a/secret")

    def forbidden(folder, name):
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr(copy.handles, "open_file", forbidden)
    with pytest.raises(Denied) as refused:
        scene.copy()
    assert (refused.value.code, refused.value.path) == ("not-readable", "Case/a/secret")


# -- what is told


def test_a_folder_that_was_renamed_is_one_entry(scene):
    """What it holds went along, and is not spoken of."""
    for number in range(5):
        scene.put(f"a/b/{number}")
    seen = scene.copy()
    (seen / "a").rename(seen / "z")
    (one,) = scene.differences()
    assert (one.path, one.home, one.kind) == ("Case/z", "Case/a", "dir")


def test_what_is_written_through_memory_is_seen(scene):
    """Where such a write leaves no trace in a file's times, its content is looked at."""
    scene.put("file", b"a" * 8192)
    seen = scene.copy()
    with open(seen / "file", "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        assert memory[0] == ord("a")
        memory[0] = ord("b")
    assert scene.entries()["Case/file"].sha256


def test_a_file_with_its_old_time_and_size_is_seen_to_be_another(scene):
    """Only its change time differs, which nobody can set."""
    scene.put("file", b"one")
    seen = scene.copy()
    (seen / "file").write_bytes(b"two")
    os.utime(seen / "file", ns=(OLD, OLD))
    one = scene.entries()["Case/file"]
    assert one.sha256
    assert (one.mtime, one.was_mtime) == (OLD, OLD)


def test_a_file_that_was_only_touched_keeps_its_content(scene):
    """A new time is a new time, whatever was written to get it."""
    scene.put("file", b"one")
    seen = scene.copy()
    (seen / "file").write_bytes(b"one")
    one = scene.entries()["Case/file"]
    assert (one.sha256, one.was_mtime) == ("", OLD)
    assert one.mtime != OLD


def test_what_is_written_beside_and_put_in_place_is_the_same_file_written_anew(scene):
    """That is how editors save: a replacement, not a deletion."""
    scene.put("file", b"one")
    seen = scene.copy()
    (seen / "file.tmp").write_bytes(b"two")
    (seen / "file.tmp").replace(seen / "file")
    (one,) = [one for one in scene.differences() if not isinstance(one, Still)]
    assert (one.path, one.home, bool(one.sha256)) == ("Case/file", "Case/file", True)


def test_a_new_file_where_one_was_that_moved_is_a_new_one(scene):
    """The file itself is where it went."""
    scene.put("file", b"one")
    seen = scene.copy()
    (seen / "file").rename(seen / "kept")
    (seen / "file").write_bytes(b"two")
    found = scene.entries()
    assert found["Case/kept"].home == "Case/file"
    assert found["Case/file"].home == ""


def test_a_folder_made_again_is_a_new_one(scene):
    """What was in it is gone with it, in one go."""
    scene.put("a/b/file")
    seen = scene.copy()
    (seen / "a/b/file").unlink()
    (seen / "a/b").rmdir()
    (seen / "a").rmdir()
    (seen / "a").mkdir()
    found = scene.differences()
    assert [one for one in found if isinstance(one, Gone)] == [Gone("Case/a", True)]
    assert [one.home for one in found if isinstance(one, Entry)] == [""]


def test_a_copy_that_a_script_makes_is_told_as_one(scene):
    """By its content, whatever its name and time; nothing of it goes to the blobs."""
    scene.put("a/file", b"content")
    scene.put("other", b"CONTENT")
    seen = scene.copy()
    (seen / "copy").write_bytes(b"content")
    assert scene.entries()["Case/copy"].copied == "Case/a/file"
    assert not list((scene.folder / "blobs").glob("*/*"))


def test_copies_beyond_some_are_told_with_their_content(scene, monkeypatch):
    """All copies are held until a plan is written; so a script that makes a million costs no memory."""
    monkeypatch.setattr(originals, "MOST_COPIES", 2)
    scene.put("file", b"content")
    seen = scene.copy()
    for number in range(4):
        (seen / f"copy {number}").write_bytes(b"content")
    told = [bool(one.copied) for one in scene.entries().values() if one.home == ""]
    assert told == [True, True, False, False]


def test_a_name_of_a_file_with_several_that_was_written_anew_is_told_with_its_content(scene):
    """Even where it is the old content: to date it otherwise would date the file at its other names, too."""
    os.link(scene.put("one", b"content"), scene.case / "two")
    seen = scene.copy()
    (seen / "two").unlink()
    (seen / "two").write_bytes(b"content")
    found = scene.entries()
    assert found["Case/two"].home == "Case/two"
    assert found["Case/two"].sha256
    assert "Case/one" not in found


def test_oddities_are_said_and_left_out(scene):
    """Set-ID bits, attributes, FIFOs, hard links, the case's own mode."""
    scene.put("file")
    seen = scene.copy()
    (seen / "file").chmod(0o4755)
    os.mkfifo(seen / "pipe")
    os.link(seen / "file", seen / "second")
    seen.chmod(0o711)
    expected = {
        ("sandbox-setuid", "Case/file"),
        ("sandbox-special-file", "Case/pipe"),
        ("sandbox-hard-link", "Case/second"),
        ("sandbox-setuid", "Case/second"),
        ("sandbox-case-folder", "Case"),
    }
    assert scene.codes() == expected


def test_attributes_that_were_set_are_said(scene):
    """No plan can set them."""
    scene.put("file")
    seen = scene.copy()
    try:
        os.setxattr(seen / "file", "user.colour", b"red")
    except OSError:
        pytest.skip("no user attributes here")
    assert scene.codes() == {("sandbox-xattr", "Case/file")}


@pytest.mark.parametrize("year", [-40_000_000_000, 300_000_000_000])
def test_a_time_that_no_plan_can_say_is_said(scene, year):
    """Some filesystems keep the year 11476; a plan does not."""
    scene.put("file")
    seen = scene.copy()
    os.utime(seen / "file", (year, year))
    if os.stat(seen / "file").st_mtime != year:
        pytest.skip("this filesystem does not keep such times")
    assert scene.codes() == {("sandbox-time", "Case/file")}
    assert len(moment(scene.entries()["Case/file"].mtime)) == len("2026-01-01T00:00:00.000000000Z")


def test_what_goes_away_while_it_is_copied_is_not_in_it(scene, monkeypatch):
    """A folder, a file, a link, gone between the listing and the copy; the others are there."""
    scene.put("a/file")
    scene.put("folder/inside")
    scene.put("rest/file")
    (scene.case / "a" / "link").symlink_to("file")
    listed = PrivateCopy._list

    def vanishing(self, folder, source):
        found = listed(self, folder, source)
        if folder.path == b"Case/a":
            (scene.case / "a" / "file").unlink()
            (scene.case / "a" / "link").unlink()
        if folder.path == b"Case":
            (scene.case / "folder" / "inside").unlink()
            (scene.case / "folder").rmdir()
        return found

    monkeypatch.setattr(PrivateCopy, "_list", vanishing)
    seen = scene.copy()
    assert (seen / "rest" / "file").exists()
    assert list((seen / "a").iterdir()) == []
    assert scene.differences() == []


def test_without_file_handles_entries_are_known_by_birth(scene, monkeypatch):
    """Weaker, and said."""
    scene.put("a/file")
    for module in (copy, recognition):
        monkeypatch.setattr(module, "identifier", lambda folder, name: identities.by_birth)
    seen = scene.copy()
    assert ("sandbox-weak-identities", "") in scene.said()
    (seen / "a").rename(seen / "b")
    (seen / "b/file").rename(seen / "file")
    found = scene.entries()
    assert (found["Case/b"].home, found["Case/file"].home) == ("Case/a", "Case/a/file")


# -- what others change meanwhile


def test_what_others_changed_of_what_the_script_touched_is_told(scene):
    """Edited, moved, deleted; of a folder that was deleted also what is in it."""
    paths = ("edited", "moved", "gone/deep/file", "untouched", "carried/file", "original")
    for path in paths:
        scene.put(path, path.encode())
    seen = scene.copy()
    (seen / "edited").write_bytes(b"x")
    (seen / "moved").rename(seen / "elsewhere")
    (seen / "gone/deep/file").unlink()
    (seen / "gone/deep").rmdir()
    (seen / "gone").rmdir()
    (seen / "carried").rename(seen / "taken")
    (seen / "copied").write_bytes(b"original")
    assert scene.changed() == set()
    for path in paths:
        scene.put(path, path.encode())  # the same bytes, size and time: only the change time tells
    # What was copied is either told of, or its content is kept as that of any other file.
    assert scene.changed() - {"Case/original"} == {"Case/edited", "Case/moved", "Case/gone/deep/file"}
    assert ("Case/original" in scene.changed()) == bool(scene.entries()["Case/copied"].copied)


def test_what_a_script_read_counts_on_request(scene):
    """A file that was opened and read, not one that was only listed."""
    scene.put("read", b"x")
    scene.put("unread", b"x")
    seen = scene.copy()
    (seen / "read").read_bytes()
    for name in ("read", "unread"):
        scene.put(name, b"y")
    assert scene.changed(reads=True) == {"Case/read"}
    assert scene.changed() == set()
