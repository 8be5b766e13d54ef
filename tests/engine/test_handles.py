"""engine.handles: nothing is followed, no other mount is entered, nothing but what was named is opened."""

import errno
import os
import threading

import pytest

from treegate.engine import handles, posix, syscalls
from treegate.model.tree import MOUNT_ROOT


def write(path, text="x"):
    path.write_text(text)
    return path


def reason(call, *arguments):
    with pytest.raises(OSError) as caught:
        call(*arguments)
    return errno.errorcode[caught.value.errno]


@pytest.fixture(params=["openat2", "walk"])
def open_dir(request, monkeypatch):
    if request.param == "walk":

        def absent(*_):
            raise OSError(errno.ENOSYS, "no openat2")

        monkeypatch.setattr(syscalls, "openat2", absent)
    return handles.open_dir


def test_a_folder_below_is_opened_by_its_path(here, open_dir):
    folder, fd = here
    (folder / "a" / "b").mkdir(parents=True)
    with handles.closing(open_dir(fd, "a/b")) as found:
        assert os.path.samestat(os.fstat(found), (folder / "a" / "b").stat())
        assert not os.get_inheritable(found)
    with handles.closing(open_dir(fd, b"")) as same:
        assert os.path.samestat(os.fstat(same), folder.stat())


def test_a_link_on_the_way_is_never_followed(here, open_dir):
    folder, fd = here
    (folder / "real" / "sub").mkdir(parents=True)
    os.symlink("real", folder / "link")
    assert reason(open_dir, fd, "link") == "ELOOP"
    assert reason(open_dir, fd, "link/sub") == "ELOOP"


def test_a_path_that_leaves_is_refused(here, open_dir):
    _, fd = here
    for path in ("..", "a/../..", "/etc", "a\0"):
        with pytest.raises(ValueError, match="not a path below"):
            open_dir(fd, path)


def test_what_is_no_folder_says_so(here, open_dir):
    folder, fd = here
    write(folder / "file")
    os.mkfifo(folder / "fifo")
    assert reason(open_dir, fd, "file") == "ENOTDIR"
    assert reason(open_dir, fd, "fifo") == "ENOTDIR"
    assert reason(open_dir, fd, "none") == "ENOENT"


def test_another_filesystem_is_not_entered(loop, open_dir):
    mounted = loop("ext4", "-q")
    with handles.closing(handles.open_root(str(mounted.parent))) as fd:
        assert reason(open_dir, fd, mounted.name) == "EXDEV"
        assert posix.facts(fd, mounted.name).attrs & MOUNT_ROOT


def test_a_bind_mount_of_the_same_filesystem_is_not_entered(here, bind):
    folder, fd = here
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    bind(folder / "a", folder / "b")
    assert reason(handles.open_dir, fd, "b") == "EXDEV"


def test_a_path_longer_than_path_max_is_walked(here):
    _, fd = here
    deep, part = fd, "d" * 250
    for _ in range(20):
        posix.mkdir(deep, part)
        below = handles.open_child(deep, part)
        if deep != fd:
            handles.close(deep)
        deep = below
    with handles.closing(deep), handles.closing(handles.open_dir(fd, "/".join([part] * 20))) as found:
        assert os.path.samestat(os.fstat(found), os.fstat(deep))


def test_a_link_swapped_in_meanwhile_never_lets_an_open_escape(here, open_dir):
    """A folder and a link that points out change places all the time; every open lands inside or fails."""
    folder, fd = here
    outside = folder.parent / f"{folder.name}-outside"
    (outside / "sub").mkdir(parents=True)
    (folder / "inside" / "d" / "sub").mkdir(parents=True)
    os.symlink(outside, folder / "inside" / "l")
    with handles.closing(handles.open_dir(fd, "inside")) as inside:
        escaped = opened = 0
        stop = threading.Event()

        def swap():
            while not stop.is_set():
                posix.exchange(inside, "d", inside, "l")

        thread = threading.Thread(target=swap)
        thread.start()
        try:
            for _ in range(20_000):
                try:
                    found = open_dir(fd, "inside/d/sub")
                except OSError as error:
                    if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                        raise
                    continue
                opened += 1
                escaped += os.readlink(f"/proc/self/fd/{found}").startswith(str(outside))
                handles.close(found)
        finally:
            stop.set()
            thread.join()
    assert (escaped, opened > 0) == (0, True)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (os.mkfifo, "EINVAL"),
        (os.mkdir, "EISDIR"),
        (lambda path: os.symlink("/etc/passwd", path), "ELOOP"),
    ],
)
def test_only_regular_files_are_opened_and_nothing_blocks(here, make, code):
    folder, fd = here
    make(folder / "x")
    assert reason(handles.open_file, fd, "x") == code


def test_an_interrupted_close_is_a_close(monkeypatch):
    def interrupted(_):
        raise InterruptedError

    monkeypatch.setattr(os, "close", interrupted)
    handles.close(99)
