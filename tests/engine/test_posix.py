"""engine.posix: nothing is clobbered, nothing is followed, nothing is left through a side door."""

import errno
import inspect
import os
import threading

import pytest

from treegate.engine import handles, posix, syscalls
from treegate.model.capabilities import Capabilities
from treegate.model.tree import Kind, pack

RENAMERS = [posix.rename, posix.rename_linked, posix.rename_checked]


def write(path, text="x"):
    path.write_text(text)
    return path


def reason(call, *arguments):
    with pytest.raises(OSError) as caught:
        call(*arguments)
    return errno.errorcode[caught.value.errno]


# -- renames


@pytest.mark.parametrize("rename", RENAMERS)
@pytest.mark.parametrize("taken", ["file", "dir", "dangling link"])
def test_a_taken_name_is_never_replaced(here, rename, taken):
    folder, fd = here
    write(folder / "a", "mine")
    target = folder / "b"
    {"file": write, "dir": os.mkdir, "dangling link": lambda p: os.symlink("nowhere", p)}[taken](target)
    before = posix.packed(fd, "b")
    assert reason(rename, fd, "a", fd, "b") == "EEXIST"
    assert posix.packed(fd, "b") == before
    assert (folder / "a").read_text() == "mine"


@pytest.mark.parametrize("rename", RENAMERS)
@pytest.mark.parametrize("kind", ["file", "full folder", "link"])
def test_a_rename_keeps_the_entry(here, rename, kind):
    folder, fd = here
    if kind == "full folder":
        (folder / "a").mkdir()
        write(folder / "a" / "inside")
    elif kind == "link":
        os.symlink("nowhere", folder / "a")
    else:
        write(folder / "a")
    (folder / "sub").mkdir()
    before = posix.facts(fd, "a")
    with handles.closing(handles.open_child(fd, "sub")) as sub:
        rename(fd, "a", sub, b"b\xff")
        after = posix.facts(sub, b"b\xff")
    assert (after.ino, after.btime, after.mtime, after.nlink) == (
        before.ino,
        before.btime,
        before.mtime,
        before.nlink,
    )
    assert not os.path.lexists(folder / "a")


@pytest.mark.parametrize(("names", "others", "failed"), [
    ([b"1", b"2", b"3"], [b"x", b"taken", b"y"], ("EEXIST", "taken")),
    ([b"1", b"gone", b"3"], [b"x", b"y", b"z"], ("ENOENT", "gone")),
    ([b"1", b"2", b"3"], [b"x", b"y", b"z"], None),
])  # fmt: skip
def test_many_are_renamed_up_to_the_first_that_fails(here, names, others, failed):
    """How many were made is told, and with which name it stopped; those behind it stay."""
    folder, fd = here
    for name in ("1", "2", "3", "taken"):
        write(folder / name, name)
    made, error = posix.rename_each(fd, names, fd, others)
    assert made == (1 if failed else 3)
    assert failed == (error and (errno.errorcode[error.errno], error.filename))
    assert (folder / "x").read_text() == "1"
    assert (folder / "taken").read_text() == "taken"
    assert (folder / "3").exists() == bool(failed)


def test_a_rename_onto_another_link_of_the_same_file_is_refused(here):
    """os.rename succeeds there and leaves both names (facts/faults.md)."""
    folder, fd = here
    os.link(write(folder / "a"), folder / "b")
    for rename in RENAMERS:
        assert reason(rename, fd, "a", fd, "b") == "EEXIST"


def test_an_exchange_swaps_a_file_and_a_folder(here):
    folder, fd = here
    write(folder / "a")
    (folder / "b").mkdir()
    posix.exchange(fd, "a", fd, "b")
    assert (posix.facts(fd, "a").kind, posix.facts(fd, "b").kind) == (Kind.DIR, Kind.FILE)
    assert reason(posix.exchange, fd, "a", fd, "none") == "ENOENT"


def test_a_file_that_may_not_be_linked_is_renamed_after_a_look(here, monkeypatch):
    folder, fd = here
    write(folder / "a")

    def refuse(*_):
        raise OSError(errno.EPERM, "protected_hardlinks")

    monkeypatch.setattr(posix, "link", refuse)
    posix.rename_linked(fd, "a", fd, "b")
    assert os.listdir(folder) == ["b"]


def test_the_renamer_is_the_strongest_that_the_mount_has():
    assert posix.renamer(Capabilities()) is posix.rename
    assert posix.renamer(Capabilities(noreplace=False)) is posix.rename_linked
    assert posix.renamer(Capabilities(noreplace=False, hard_links=False)) is posix.rename_checked


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "a\0b", b"a\0", b"../x"])
def test_a_name_that_is_a_path_is_refused_by_every_call(here, name):
    """A NUL would silently cut the name off in C, a slash would leave the folder."""
    _, fd = here
    calls = [
        lambda: posix.rename(fd, "a", fd, name),
        lambda: posix.rename(fd, name, fd, "a"),
        lambda: posix.exchange(fd, name, fd, "a"),
        lambda: posix.packed(fd, name),
        lambda: posix.mkdir(fd, name),
        lambda: posix.make_file(fd, name),
        lambda: posix.symlink(b"t", fd, name),
        lambda: posix.unlink(fd, name),
        lambda: posix.rmdir(fd, name),
        lambda: posix.chmod(fd, name, 0o600),
        lambda: posix.utime(fd, name, 0),
        lambda: handles.open_child(fd, name),
        lambda: handles.open_file(fd, name),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="not a single name"):
            call()


# -- facts


def test_facts_are_those_of_lstat(here):
    folder, fd = here
    write(folder / "f", "hello")
    os.symlink("f", folder / "l")
    for name in ("f", "l"):
        said, facts = os.lstat(folder / name), posix.facts(fd, name)
        assert facts[:4] == (said.st_mode, said.st_nlink, said.st_uid, said.st_gid)
        assert facts[5:9] == (said.st_ino, said.st_size, said.st_mtime_ns, said.st_ctime_ns)
        assert pack(facts) == posix.packed(fd, name)
    with handles.closing(handles.open_file(fd, "f")) as held:
        assert posix.facts_of(held) == posix.facts(fd, "f")


def test_times_before_1970_and_to_the_nanosecond_are_kept(here):
    folder, fd = here
    write(folder / "f")
    os.symlink("f", folder / "l")
    accessed = os.stat(folder / "f").st_atime_ns
    for name, mtime in (("f", -1), ("l", 1_709_283_600_000_000_001)):
        posix.utime(fd, name, mtime)
        assert posix.facts(fd, name).mtime == os.lstat(folder / name).st_mtime_ns == mtime
    assert os.stat(folder / "f").st_atime_ns == accessed


def test_a_missing_entry_is_file_not_found(here):
    _, fd = here
    assert reason(posix.packed, fd, "none") == "ENOENT"
    assert not posix.exists(fd, "none")


def test_the_mount_id_tells_mounts_apart(here, loop):
    _, fd = here
    with handles.closing(handles.open_root(str(loop("ext4", "-q")))) as other:
        assert posix.mount_id(fd) != posix.mount_id(other)
    assert posix.mount_id(fd) == posix.mount_id(fd) > 0
    assert len(posix.boot_id()) == 36


# -- modes, contents


def test_chmod_does_not_follow_a_link(here):
    folder, fd = here
    write(folder / "f").chmod(0o644)
    os.symlink("f", folder / "l")
    assert reason(posix.chmod, fd, "l", 0o600) == "ELOOP"
    posix.chmod(fd, "f", 0o4751)
    assert posix.facts(fd, "f").mode & 0o7777 == 0o4751


def test_make_file_does_not_write_through_a_dangling_link(here):
    folder, fd = here
    os.symlink(folder / "elsewhere", folder / "l")
    assert reason(posix.make_file, fd, "l") == "EEXIST"
    assert os.listdir(folder) == ["l"]


def test_write_goes_on_after_a_short_write():
    reader, writer = os.pipe()
    os.set_blocking(writer, True)
    data = os.urandom(300_000)
    got = bytearray()

    def drain():
        while chunk := os.read(reader, 65536):
            got.extend(chunk)

    thread = threading.Thread(target=drain)
    thread.start()
    posix.write(writer, data)
    handles.close(writer)
    thread.join()
    handles.close(reader)
    assert bytes(got) == data


def test_names_come_as_bytes_whatever_they_are(here):
    _, fd = here
    wanted = {b"plain", b"\xff\xfe", "é".encode(), b"new\nline"}
    for name in wanted:
        handles.close(posix.make_file(fd, name))
    assert set(posix.names(fd)) == wanted == set(posix.names(fd))


def test_the_umask_is_read_without_being_changed():
    old = os.umask(0o027)
    try:
        assert posix.umask() == 0o027
    finally:
        assert os.umask(old) == 0o027


def test_interrupted_renames_and_mkdirs_surface(here, monkeypatch):
    """EINTR does not say whether it was done: the caller looks."""
    _, fd = here

    def interrupted(*_, **__):
        raise InterruptedError(errno.EINTR, "interrupted")

    monkeypatch.setattr(os, "mkdir", interrupted)
    monkeypatch.setattr(syscalls, "renameat2", interrupted)
    assert reason(posix.mkdir, fd, "a") == "EINTR"
    assert reason(posix.rename, fd, "a", fd, "b") == "EINTR"


def test_every_call_that_changes_something_is_listed():
    """A crash harness patches MUTATING; a function missing there would go untested."""
    looking = {
        *("renamer", "packed", "packed_as_listed", "facts", "packed_of", "facts_of", "exists", "names", "inodes"),
        *("readlink", "xattrs", "xattrs_of", "umask", "device", "mount_id", "boot_id"),
    }
    functions = {
        name
        for name, value in vars(posix).items()
        if inspect.isfunction(value) and value.__module__ == posix.__name__ and not name.startswith("_")
    }
    assert functions == looking | set(posix.MUTATING) | set(posix.TOGETHER)
    assert not looking & set(posix.MUTATING)


def test_a_time_is_set_where_a_mount_passes_over_one_that_comes_alone(here, monkeypatch):
    folder, fd = here
    write(folder / "a")
    accessed = (folder / "a").stat().st_atime_ns
    monkeypatch.setattr(syscalls, "set_mtime", lambda *_: None)
    monkeypatch.setattr(syscalls, "set_mtime_of", lambda *_: None)
    posix.utime(fd, "a", 1_600_000_000_123_456_789)
    assert (folder / "a").stat().st_mtime_ns == 1_600_000_000_123_456_789
    with handles.closing(handles.open_file(fd, "a")) as file:
        posix.set_mtime(file, 1_600_000_000_123_456_788)
    assert (folder / "a").stat().st_mtime_ns == 1_600_000_000_123_456_788
    assert (folder / "a").stat().st_atime_ns == accessed


def test_a_time_after_2262_is_the_last_that_there_is_room_for(here):
    """Ext4 keeps times until 2446; nanoseconds since 1970 in 64 bits end before."""
    folder, fd = here
    write(folder / "a")
    os.utime(folder / "a", ns=(0, 10_000_000_000 * 1_000_000_000))
    if (folder / "a").stat().st_mtime < 10_000_000_000:
        pytest.skip("this filesystem does not keep such times")
    assert posix.facts(fd, "a").mtime == (1 << 63) - 1
