"""engine.piecemeal: what is moved object by object can stop anywhere and go on, and no byte is lost on the way."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from treegate.engine import handles, piecemeal, posix
from treegate.errors import NeedsRecovery

TIME = 1_600_000_000_000_000_000
TREE = {"one": b"1", "deep/two": b"22", "deep/er/three": b"333", "four": b"4444"}


@pytest.fixture
def top(tmp_path):
    """A folder `old` with files of different depths, beside nothing."""
    for name, content in TREE.items():
        put(tmp_path / "old" / name, content)
    with handles.closing(handles.open_root(str(tmp_path))) as fd:
        yield Top(tmp_path, fd)


class Top:
    def __init__(self, path: Path, fd: int) -> None:
        self.path, self.fd = path, fd

    def move(self, rename: posix.Rename = posix.rename_checked) -> None:
        piecemeal.move(rename, self.fd, "old", self.fd, "new", folder=True)

    def finish(self) -> bool:
        return piecemeal.finish(posix.rename_checked, self.fd, "old", self.fd, "new")

    def held(self, name: str) -> dict[str, bytes]:
        folder = self.path / name
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(TIME, TIME))


def failing(number: int, error: int, real: posix.Rename = posix.rename_checked):
    """A rename that fails from its call of this number on."""
    calls = [0]

    def rename(*given) -> None:
        calls[0] += 1
        if calls[0] >= number:
            raise OSError(error, os.strerror(error))
        real(*given)

    return rename


def test_a_folder_arrives_whole_with_its_mode_and_its_files_times(top):
    (top.path / "old/deep").chmod(0o751)
    top.move()
    assert top.held("new") == TREE
    assert not (top.path / "old").exists()
    assert (top.path / "new/deep").stat().st_mode & 0o777 == 0o751
    assert (top.path / "new/deep/two").stat().st_mtime_ns == TIME


def test_a_taken_place_is_refused_with_nothing_moved(top):
    (top.path / "new").mkdir()
    with pytest.raises(FileExistsError):
        top.move()
    assert top.held("old") == TREE


def test_a_mount_that_dates_what_it_moves_is_given_the_old_times(top):
    def dating(src, old, dst, new) -> None:
        posix.rename_checked(src, old, dst, new)
        os.utime(new, dir_fd=dst)

    top.move(dating)
    assert {path.stat().st_mtime_ns for path in (top.path / "new").rglob("*") if path.is_file()} == {TIME}


@pytest.mark.parametrize("number", range(1, len(TREE) + 1))
def test_what_an_error_stops_midway_is_brought_back(top, number):
    calls = [0]

    def rename(*given) -> None:
        calls[0] += 1
        if calls[0] == number:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        posix.rename_checked(*given)

    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        top.move(rename)
    assert top.held("old") == TREE
    assert not (top.path / "new").exists()


def test_what_cannot_be_brought_back_either_needs_recovery(top):
    with pytest.raises(NeedsRecovery) as stuck:
        top.move(failing(3, errno.EIO))
    assert stuck.value.code == "half-moved"
    assert {**top.held("old"), **top.held("new")} == TREE


@pytest.mark.parametrize("number", range(1, len(TREE) + 1))
def test_a_move_that_stopped_anywhere_goes_on(top, number):
    with pytest.raises(OSError, match=os.strerror(errno.ENOTCONN)):
        top.move(failing(number, errno.ENOTCONN))
    assert top.finish()
    assert top.held("new") == TREE
    assert not (top.path / "old").exists()


def test_an_object_that_is_at_both_places_loses_the_old_one_only_if_both_read_alike(top):
    put(top.path / "new/one", TREE["one"])
    assert top.finish()
    assert top.held("new") == TREE


def test_a_copy_that_was_not_finished_is_begun_again(top):
    put(top.path / "new/deep/er/three", TREE["deep/er/three"][:2])
    assert top.finish()
    assert top.held("new") == TREE


@pytest.mark.parametrize("content", [b"344", b"3333", b"4"])
def test_what_is_no_copy_stays_and_so_does_the_source(top, content):
    put(top.path / "new/deep/er/three", content)
    with pytest.raises(FileExistsError):
        top.finish()
    assert top.held("new")["deep/er/three"] == content
    assert top.held("old")["deep/er/three"] == TREE["deep/er/three"]


@pytest.mark.parametrize("content", [b"same", b"sa", b""])
def test_a_file_at_both_places_is_brought_together(top, content):
    put(top.path / "a", b"same")
    put(top.path / "b", content)
    assert piecemeal.finish(posix.rename_checked, top.fd, "a", top.fd, "b")
    assert (top.path / "b").read_bytes() == b"same"
    assert not (top.path / "a").exists()


def test_a_stranger_at_a_files_new_place_is_left_alone(top):
    put(top.path / "a", b"same")
    put(top.path / "b", b"else")
    assert not piecemeal.finish(posix.rename_checked, top.fd, "a", top.fd, "b")
    assert ((top.path / "a").read_bytes(), (top.path / "b").read_bytes()) == (b"same", b"else")


def test_a_move_that_has_not_begun_or_has_ended_is_left_as_it_is(top):
    assert not top.finish()
    assert top.held("old") == TREE
    top.move()
    assert top.finish()
    assert top.held("new") == TREE


def test_an_empty_folder_that_a_bucket_forgot_is_made_at_its_new_place(top):
    piecemeal.move(posix.rename_checked, top.fd, "forgotten", top.fd, "kept", folder=True)
    assert (top.path / "kept").is_dir()


def test_a_file_that_is_gone_is_no_folder_to_be_made(top):
    with pytest.raises(FileNotFoundError):
        piecemeal.move(posix.rename_checked, top.fd, "missing", top.fd, "kept", folder=False)


def test_the_folders_of_a_path_are_made_as_far_as_they_are_missing(top):
    for _ in range(2):
        piecemeal.stand(top.fd, b"old/deep/new/folder")
    assert (top.path / "old/deep/new/folder").is_dir()
    assert top.held("old") == TREE
