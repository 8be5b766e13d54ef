"""A gate on a folder that is taken for a bucket mount: what needs no bucket to be shown."""

from __future__ import annotations

import errno
import os

import pytest
from gatework import Office, create, delete, die, move, replace

from treegate.engine import posix, staging, workspace
from treegate.engine.caselist import Unreadable
from treegate.model.capabilities import Capabilities

BUCKET = Capabilities(
    noreplace=False,
    exchange=False,
    directory_rename=False,
    durable_fsync=False,
    stable_inodes=False,
    birth_times=False,
)


@pytest.fixture
def office(tmp_path, monkeypatch):
    monkeypatch.setattr(workspace, "probe", lambda area, case: BUCKET)
    office = Office(tmp_path / "ws", tmp_path / "state")
    office.configure(policy_weak_mounts="allow", policy_limits_delete_share="1")
    for name in ("a.txt", "b.txt", "old.txt", "in/one", "in/deep/two", "gone/three"):
        office.put(f"Smith/{name}", f"content of {name}\n")
    yield office
    office.close()


OPERATIONS = [
    move("in", "out"),
    move("a.txt", "A.txt"),
    replace("old.txt"),
    delete("gone", recursive=True),
    create("made/new.txt"),
]


def test_a_run_is_undone_though_no_inode_lasted(office):
    before = office.tree("Smith")
    run = office.carried_out(*OPERATIONS).run
    for path in [path for path in office.path("Smith").rglob("*") if path.is_file()]:
        aside = path.with_name(f"{path.name}.aside")
        aside.write_bytes(path.read_bytes())
        aside.chmod(path.stat().st_mode)
        os.utime(aside, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
        aside.replace(path)  # the same to look at, in another inode
    office.undone(run)
    assert office.tree("Smith") == before
    office.sound()


def test_what_somebody_edited_there_is_not_undone(office):
    run = office.carried_out(*OPERATIONS).run
    office.path("Smith/A.txt").write_text("edited since\n")
    with pytest.raises(Exception, match="changed since"):
        office.gate.undo(run)


@pytest.mark.parametrize("number", [errno.ENOTCONN, errno.ECONNABORTED])
def test_a_mount_that_is_gone_leaves_a_run_that_goes_on(office, monkeypatch, number):
    plan = office.approved(*OPERATIONS)
    real, calls = posix.rename_linked, []

    def rename(*given):
        calls.append(given)
        if len(calls) >= 3:
            raise OSError(number, os.strerror(number))
        real(*given)

    monkeypatch.setattr(posix, "rename_linked", rename)
    with pytest.raises(Exception, match="mounted there is gone") as stopped:
        office.gate.apply(plan)
    assert (stopped.value.code, stopped.value.exit_status) == ("halted-mount-gone", 7)
    monkeypatch.setattr(posix, "rename_linked", real)
    assert [one.state for one in office.reopen().recover()] == ["applied"]
    assert office.path("Smith/out/deep/two").read_text() == "content of in/deep/two\n"
    office.sound()


def test_a_mount_that_counts_no_inodes_is_no_full_disk(office, monkeypatch):
    class Uncounted:
        f_bavail, f_frsize, f_files, f_favail = 1 << 40, 4096, 1_000_000_000, 0

    monkeypatch.setattr(staging.os, "fstatvfs", lambda fd: Uncounted)
    assert office.carried_out(create("new.txt")).state == "applied"


def test_a_workspace_that_cannot_be_read_is_told_as_such(office, monkeypatch):
    def gone(path, *_, **__):
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN), str(path))

    monkeypatch.setattr(workspace.Path, "read_text", gone)
    with pytest.raises(Unreadable) as told:
        workspace.generation(office.root)
    assert "mount" in told.value.hint


def test_a_file_that_was_moved_and_not_yet_given_its_date_back_gets_it_in_the_recovery(office):
    plan, real = office.approved(move("a.txt", "A.txt")), posix.rename_linked
    date = office.path("Smith/a.txt").stat().st_mtime_ns

    def dating(src, old, dst, new):
        real(src, old, dst, new)
        os.utime(new, dir_fd=dst)

    office.crash(lambda gate: gate.apply(plan), (posix, "rename_linked", dating), (posix, "utime", die))
    office.reopen().recover()
    assert office.path("Smith/A.txt").stat().st_mtime_ns == date
