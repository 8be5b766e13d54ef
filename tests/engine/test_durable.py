"""A failed sync is told as one whatever else fails with it, and is waited for until the mount is another."""

import errno
import os

import pytest

from treegate.engine import durable, handles, posix
from treegate.errors import NeedsRecovery


@pytest.fixture
def folder(tmp_path):
    with handles.closing(handles.open_root(str(tmp_path))) as fd:
        yield fd


def broken(*_):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture
def shut_down(monkeypatch):
    """What xfs does when it cannot write its log: the sync fails, and from then on so does every other call."""

    def fsync(fd):
        monkeypatch.setattr(posix, "mount_id", broken)
        broken()

    monkeypatch.setattr(posix, "fsync", fsync)


def test_a_sync_that_takes_its_filesystem_down_is_a_failed_sync(folder, shut_down):
    """8: the run halts over it, and does not try to go back."""
    with pytest.raises(durable.SyncFailed) as failed:
        durable.sync_folder(folder)
    assert failed.value.mount > 0


def test_a_mount_that_tells_nothing_is_the_one_in_doubt(folder, tmp_path):
    """8: after a failed sync, a filesystem that has shut itself down is to be mounted anew, as one that has not."""
    durable.note(tmp_path, durable.SyncFailed(OSError(errno.EIO, "x"), posix.mount_id(folder)))
    with pytest.raises(NeedsRecovery) as refused:
        durable.must_be_mounted_anew(tmp_path, map(broken, [folder]))
    assert refused.value.code == "remount-needed"


def test_without_a_failed_sync_an_unreadable_mount_is_its_own_error(tmp_path):
    """8: nobody is told to mount anew what only cannot be read."""
    with pytest.raises(OSError, match="Input/output error"):
        durable.must_be_mounted_anew(tmp_path, map(broken, [1]))


def test_another_mount_is_not_in_doubt(folder, tmp_path):
    """8: once it was mounted anew, recovery goes on."""
    mount = posix.mount_id(folder)
    durable.note(tmp_path, durable.SyncFailed(OSError(errno.EIO, "x"), mount))
    durable.must_be_mounted_anew(tmp_path, [mount + 1])
    with pytest.raises(NeedsRecovery):
        durable.must_be_mounted_anew(tmp_path, [mount + 1, mount])
