"""Many renames, and many looks, at once: the native part and the Python that stands in for it do the same."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import sys
import threading

import pytest

from treegate.engine import handles, many, native, posix
from treegate.errors import NeedsRecovery
from treegate.model.tree import pack, unpack


@pytest.fixture(params=["python", "native"], autouse=True)
def form(request):
    """Which of the two is tried."""
    if request.param == "python":
        request.getfixturevalue("in_python")
    elif native.rename_each is None:
        pytest.skip("the native part is not installed (make native)")
    return request.param


@pytest.fixture
def two(tmp_path):
    """Two folders, and their handles."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with contextlib.ExitStack() as held:
        fds = [held.enter_context(handles.closing(handles.open_root(str(tmp_path / name)))) for name in ("a", "b")]
        yield tmp_path, *fds


def files(folder, *names):
    """Files, each with its name as content; their inodes."""
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(name)
    return [os.lstat(folder / os.fsdecode(name)).st_ino for name in names]


def test_files_are_renamed_each_to_its_free_name(two):
    """Any name of a file is carried as it is."""
    root, a, b = two
    names = [b"x", b"caf\xe9", b"line\nbreak", b"-rf", b" ", b"n" * 255]
    moves = [
        (a, name, b, b"to-" + name[:200], ino) for name, ino in zip(names, files(root / "a", *names), strict=True)
    ]
    assert many.rename_each(moves) == (6, None)
    assert os.listdir(a) == []
    assert {(root / "b" / os.fsdecode(b"to-" + name[:200])).read_bytes() for name in names} == set(names)


def test_a_taken_name_stops_it_and_is_not_replaced(two):
    """20: what came before is made, what comes after is not."""
    root, a, b = two
    inodes = files(root / "a", b"1", b"2", b"3")
    files(root / "b", b"2")
    (root / "b/2").write_text("somebody's")
    made, error = many.rename_each([(a, n, b, n, i) for n, i in zip([b"1", b"2", b"3"], inodes, strict=True)])
    assert (made, error.errno) == (1, errno.EEXIST)
    assert (root / "b/2").read_text() == "somebody's"
    assert sorted(os.listdir(a)) == ["2", "3"]


def test_a_missing_file_stops_it(two):
    """The number of the error is the kernel's."""
    root, a, b = two
    (inode,) = files(root / "a", b"1")
    made, error = many.rename_each([(a, b"1", b, b"1", inode), (a, b"gone", b, b"x", 1)])
    assert (made, error.errno) == (1, errno.ENOENT)


def test_another_entry_that_comes_along_stops_it(two):
    """27: it has been moved, and is not counted: whoever called puts it back."""
    root, a, b = two
    inodes = files(root / "a", b"1", b"2", b"3")
    moves = [(a, b"1", b, b"1", inodes[0]), (a, b"2", b, b"2", inodes[0]), (a, b"3", b, b"3", inodes[2])]
    assert many.rename_each(moves) == (1, None)
    assert sorted(os.listdir(b)) == ["1", "2"]


def test_of_very_many_the_others_stay_where_they_are(two):
    """27: those behind the one that is another are where they were, in whatever folder and however many are there."""
    root, a, b = two
    files(root / "b", *(b"old-%d" % number for number in range(500)))
    names = [b"caf\xe9-%d" % number for number in range(120)]
    inodes = files(root / "a", *names)
    inodes[70] = 1
    assert many.rename_each([(a, n, b, n, i) for n, i in zip(names, inodes, strict=True)]) == (70, None)
    assert {name for name in map(os.fsencode, os.listdir(b)) if name in names} == set(names[:71])
    assert set(map(os.fsencode, os.listdir(a))) == set(names[71:])


def test_one_that_somebody_takes_away_at_once_stops_it(two, monkeypatch, in_python):
    """27: as it arrived and is gone again, the call says that it is not there."""
    root, a, b = two
    names = [b"%d" % number for number in range(40)]
    inodes = files(root / "a", *names)
    real = posix.rename

    def rename(src_fd, src, dst_fd, dst):
        real(src_fd, src, dst_fd, dst)
        if dst == b"20":
            os.unlink(root / "b/20")

    monkeypatch.setattr(posix, "rename", rename)
    made, error = many.rename_in_python([(a, n, b, n, i) for n, i in zip(names, inodes, strict=True)])
    assert (made, error.errno) == (20, errno.ENOENT)
    assert sorted(map(int, os.listdir(a))) == list(range(21, 40))


def test_where_a_folder_cannot_be_listed_each_file_is_looked_at(two, monkeypatch):
    """What was renamed before is not forgotten for that."""
    root, a, b = two
    names = [b"%d" % number for number in range(40)]
    inodes = files(root / "a", *names)

    def inodes_of(*_):
        raise OSError(errno.EIO, "the disk fails")

    monkeypatch.setattr(posix, "inodes", inodes_of)
    assert many.rename_each([(a, n, b, n, i) for n, i in zip(names, inodes, strict=True)]) == (40, None)


def test_what_cannot_come_back_is_left_to_a_recovery(two, monkeypatch, in_python):
    """20, 27: somebody took the name that a file came from; nothing of theirs is replaced."""
    root, a, b = two
    inodes = files(root / "a", b"1", b"2", b"3")
    real = posix.rename

    def rename(src_fd, src, dst_fd, dst):
        real(src_fd, src, dst_fd, dst)
        (root / "a" / os.fsdecode(src)).write_text("somebody's")

    monkeypatch.setattr(posix, "rename", rename)
    with pytest.raises(NeedsRecovery, match="could not be brought to an end"):
        many.rename_in_python([(a, b"1", b, b"1", 1), (a, b"2", b, b"2", inodes[1])])
    assert (root / "a/2").read_text() == "somebody's"
    assert (root / "b/2").read_bytes() == b"2"


def test_nothing_to_do_is_done(two):
    """An empty list is no error."""
    assert many.rename_each([]) == (0, None)
    assert many.look_each([]) == []
    assert many.recognise_each([]) == []


@pytest.mark.parametrize("bad", [b"", b".", b"..", b"a/b", b"/", b"x\0y"])
def test_what_is_no_single_name_is_refused_before_anything_is_made(two, bad, form):
    """30: nothing here can leave the folder whose handle it was given."""
    root, a, b = two
    (inode,) = files(root / "a", b"1")
    with pytest.raises(ValueError, match="not a single name"):
        many.rename_each([(a, bad, b, b"x", inode)])
    with pytest.raises(ValueError, match="not a single name"):
        many.rename_each([(a, b"1", b, bad, inode)])
    assert os.listdir(a) == ["1"]


def test_what_was_touched_is_told_by_number(two):
    """19: edited in place with its time put back, replaced, gone; what was only read is as it was."""
    root, a, _ = two
    names = [b"read", b"edited", b"replaced", b"gone", b"left"]
    files(root / "a", *names)
    looks = [(a, name, posix.packed(a, name)) for name in names]
    now = os.stat(root / "a/edited")
    (root / "a/read").read_bytes()
    (root / "a/edited").write_bytes(b"EDITED")
    os.utime(root / "a/edited", ns=(now.st_atime_ns, now.st_mtime_ns))
    (root / "a/other").write_bytes(b"replaced")
    (root / "a/other").rename(root / "a/replaced")
    (root / "a/gone").unlink()
    assert many.look_each(looks) == [1, 2, 3]


def test_what_is_not_plainly_the_known_entry_is_told_by_number(two):
    """Edited and moved is still known; another kind, inode or birth is not, nor what nobody saw being born."""
    root, a, b = two
    names = [b"as it was", b"edited", b"moved", b"replaced", b"gone", b"reborn", b"unborn", b"a folder"]
    files(root / "a", *names)
    if not posix.facts(a, b"moved").btime:
        pytest.skip("the filesystem of temporary folders keeps no birth times")
    facts = [posix.packed(a, name) for name in names]
    facts[5] = pack(unpack(facts[5])._replace(btime=1))
    facts[6] = pack(unpack(facts[6])._replace(btime=0))
    facts[7] = pack(unpack(facts[7])._replace(mode=stat.S_IFDIR | 0o755))
    (root / "a/edited").write_bytes(b"longer than before")
    (root / "a/moved").rename(root / "b/moved")
    (root / "a/other").write_bytes(b"replaced")
    (root / "a/other").rename(root / "a/replaced")
    (root / "a/gone").unlink()
    folders = [b if name == b"moved" else a for name in names]
    assert many.recognise_each(list(zip(folders, names, facts, strict=True))) == [3, 4, 5, 6, 7]


def test_the_facts_of_an_entry_are_those_that_the_system_tells(two):
    """Of any kind; a link's own, a time before 1970, a size beyond 32 bits, a name that is not UTF-8."""
    root, a, _ = two
    (root / "a/folder").mkdir(mode=0o751)
    (root / "a/link").symlink_to("nowhere")
    os.mkfifo(root / "a/fifo")
    files(root / "a", b"caf\xe9", b"large", b"old")
    os.truncate(root / "a/large", 5 << 30)
    os.utime(root / "a/old", ns=(0, -1_234_567_890_123_456_789))
    os.link(root / "a/old", root / "a/another")
    for name in os.listdir(os.fsencode(root / "a")):
        facts, now = unpack(posix.packed(a, name)), os.lstat(name, dir_fd=a)
        seen = (facts.mode, facts.nlink, facts.uid, facts.gid, facts.ino, facts.size, facts.mtime, facts.ctime)
        told = (now.st_mode, now.st_nlink, now.st_uid, now.st_gid, now.st_ino, now.st_size, now.st_mtime_ns)
        assert seen == (*told, now.st_ctime_ns)
        assert posix.packed(a, name) == posix._looked(a, os.fsencode(name))
        assert posix.packed_as_listed(a, name) == posix.packed(a, os.fsdecode(name))


def test_what_is_not_there_has_no_facts(two):
    """The error names it, as any other call's does."""
    _, a, _ = two
    with pytest.raises(FileNotFoundError) as missing:
        posix.packed(a, b"gone")
    assert os.fsencode(missing.value.filename) == b"gone"
    with pytest.raises(ValueError, match="not a single name"):
        posix.packed(a, b"..")


def test_other_threads_go_on_meanwhile(two):
    """The interpreter is not held up by the kernel's calls."""
    root, a, b = two
    names = [b"%d" % number for number in range(2000)]
    inodes = files(root / "a", *names)
    counted: list[int] = []
    done = threading.Event()
    thread = threading.Thread(target=lambda: (counted.append(1), done.set()))
    thread.start()
    assert many.rename_each([(a, n, b, n, i) for n, i in zip(names, inodes, strict=True)]) == (2000, None)
    assert done.wait(60)
    thread.join()


def test_the_native_part_can_be_left_aside():
    """TREEGATE_NATIVE=0 leaves everything to Python."""
    asked = "from treegate.engine import native; print(native.rename_each)"
    environ = {**os.environ, "TREEGATE_NATIVE": "0"}
    done = subprocess.run([sys.executable, "-c", asked], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"
