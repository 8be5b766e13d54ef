"""engine.probe: capabilities are what the mount does, found without a trace; findings are what people can act on."""

import errno
import os
import subprocess

import pytest

from treegate.engine import handles, mounts, posix, probe
from treegate.engine.mounts import Mount, is_local, mount_of
from treegate.errors import UsageError
from treegate.model.capabilities import Capabilities


def workspace(root):
    (root / ".treegate").mkdir()
    (root / "case").mkdir()
    return str(root / ".treegate"), str(root / "case")


def mount(kind, source="x", options=()):
    return Mount(kind, source, "/m", frozenset(options))


# -- by doing


def test_a_probe_leaves_no_trace_and_writes_nothing_into_the_case(tmp_path):
    area, case = workspace(tmp_path)
    before = os.stat(case)
    probe.probe(area, case)
    assert os.listdir(area) == os.listdir(case) == []
    assert (os.stat(case).st_mtime_ns, os.stat(case).st_ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns)


@pytest.mark.parametrize(
    ("kind", "options", "reflinks"),
    [("ext4", ["-q"], False), ("xfs", ["-m", "reflink=1"], True), ("btrfs", ["-q"], True)],
)
def test_a_good_local_disk_promises_all(loop, kind, options, reflinks):
    area, case = workspace(loop(kind, *options))
    caps = probe.probe(area, case)
    assert caps == Capabilities(filesystem=kind, reflinks=reflinks)
    assert caps.weaknesses() == []


def test_a_case_on_another_filesystem_is_not_renamed_into_this_area(tmp_path, elsewhere):
    area, _ = workspace(tmp_path)
    caps = probe.probe(area, str(elsewhere))
    assert caps.filesystem == "tmpfs"
    assert not caps.rename_across


def test_a_case_on_a_bind_mount_of_the_same_filesystem_is_not_either(tmp_path, bind):
    """The device numbers are equal, and rename is EXDEV."""
    area, case = workspace(tmp_path)
    assert probe.probe(area, case).rename_across
    (tmp_path / "bound").mkdir()
    bind(case, tmp_path / "bound")
    assert os.stat(area).st_dev == os.stat(tmp_path / "bound").st_dev
    assert not probe.probe(area, str(tmp_path / "bound")).rename_across


def test_a_case_that_is_a_btrfs_subvolume_is_not_either(loop):
    mounted = loop("btrfs", "-q")
    area, _ = workspace(mounted)
    done = subprocess.run(["btrfs", "subvolume", "create", str(mounted / "volume")], capture_output=True)
    assert done.returncode == 0
    assert not probe.probe(area, str(mounted / "volume")).rename_across


def test_folders_of_an_overlay_are_not_taken_to_be_renamed_in_one_act(tmp_path):
    """A trial's own folder would be renamed, for it is in the upper layer; one of the lower layer is not."""
    for name in ("lower/case/old", "upper", "work", "merged"):
        (tmp_path / name).mkdir(parents=True)
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work,redirect_dir=off"
    command = ["mount", "-t", "overlay", "overlay", "-o", options, str(tmp_path / "merged")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs root and overlay mounts: {done.stderr.strip()}")
    try:
        (tmp_path / "merged" / ".treegate").mkdir()
        with (
            handles.closing(handles.open_root(str(tmp_path / "merged" / "case"))) as fd,
            pytest.raises(OSError) as no,
        ):
            posix.rename(fd, "old", fd, "new")
        assert no.value.errno == errno.EXDEV
        caps = probe.probe(str(tmp_path / "merged" / ".treegate"), str(tmp_path / "merged" / "case"))
        assert caps.filesystem == "overlay"
        assert not caps.directory_rename
        found = probe.findings(caps, mount_of(str(tmp_path / "merged")))
        assert any("redirect_dir=on" in finding.advice for finding in found)
    finally:
        subprocess.run(["umount", "-l", str(tmp_path / "merged")], check=True)


def test_a_read_only_mount_is_not_writable_and_no_error(loop):
    mounted = loop("ext4", "-q")
    area, case = workspace(mounted)
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    caps = probe.probe(area, case)
    assert not caps.writable
    assert [finding.severity for finding in probe.findings(caps, mount_of(case))] == ["error"]


def test_a_mount_that_is_read_only_for_the_case_alone_is_not_writable(tmp_path, bind):
    area, case = workspace(tmp_path)
    bind(case, case)
    subprocess.run(["mount", "-o", "remount,bind,ro", case], check=True)
    assert not probe.probe(area, case).writable


def test_a_full_disk_is_said_and_not_taken_for_a_weak_mount(tmp_path):
    (tmp_path / "m").mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=200", "tmpfs", str(tmp_path / "m")]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs root, to mount a small tmpfs")
    try:
        area, case = workspace(tmp_path / "m")
        (tmp_path / "m" / "filler").write_bytes(b"x" * (64 << 10))
        with pytest.raises(UsageError) as caught:
            probe.probe(area, case)
        assert caught.value.code == "no-space"
        assert os.listdir(area) == []
    finally:
        subprocess.run(["umount", "-l", str(tmp_path / "m")], check=True)


def test_an_area_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UsageError) as caught:
        probe.probe(str(tmp_path / ".treegate"), str(tmp_path))
    assert caught.value.code == "area-missing"


# What a weak mount answers, put in front of a good one.


def refuse(number):
    def call(*_, **__):
        raise OSError(number, os.strerror(number))

    return call


def clobber(src_fd, src, dst_fd, dst):
    os.rename(src, dst, src_dir_fd=src_fd, dst_dir_fd=dst_fd)


def folding(exists):
    return lambda fd, name: exists(fd, name) or name.lower() in [known.decode() for known in posix.names(fd)]


@pytest.mark.parametrize(
    ("function", "answer", "field"),
    [
        ("rename", refuse(errno.EINVAL), "noreplace"),
        ("rename", clobber, "noreplace"),
        ("exchange", refuse(errno.EINVAL), "exchange"),
        ("link", refuse(errno.ENOSYS), "hard_links"),
        ("symlink", refuse(errno.EPERM), "symlinks"),
        ("set_xattr", refuse(errno.ENOTSUP), "xattrs"),
        ("chmod", lambda *_: None, "keeps_modes"),
        ("chmod", refuse(errno.EPERM), "keeps_modes"),
        ("utime", lambda *_: None, "keeps_times"),
        ("fsync", refuse(errno.EINVAL), "directory_fsync"),
    ],
)
def test_what_is_refused_or_only_pretended_is_not_promised(tmp_path, monkeypatch, function, answer, field):
    area, case = workspace(tmp_path)
    assert getattr(probe.probe(area, case), field)
    monkeypatch.setattr(posix, function, answer)
    assert not getattr(probe.probe(area, case), field)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOMEM, errno.EUCLEAN])
@pytest.mark.parametrize("function", ["rename", "exchange", "link", "fsync", "set_xattr"])
def test_a_disk_that_fails_is_not_taken_for_a_weak_one(tmp_path, monkeypatch, function, number):
    """8: the error is told; what is found out is remembered for long."""
    area, case = workspace(tmp_path)
    monkeypatch.setattr(posix, function, refuse(number))
    with pytest.raises(OSError, match=os.strerror(number)):
        probe.probe(area, case)
    assert os.listdir(area) == []


def test_rclone_says_that_a_disk_fails_where_it_cannot_do_a_thing(tmp_path, monkeypatch):
    """A program answers for a FUSE mount, with that error for links and attributes."""
    area, case = workspace(tmp_path)
    monkeypatch.setattr(probe, "mount_of", lambda path: mount("fuse.rclone"))
    monkeypatch.setattr(posix, "symlink", refuse(errno.EIO))
    assert not probe.probe(area, case).symlinks


@pytest.mark.parametrize("function", ["rename", "exchange", "link", "mkdir", "make_file", "utime", "fsync"])
def test_a_trial_that_is_interrupted_is_made_anew(tmp_path, monkeypatch, function):
    """12: a signal says nothing of the mount: what was found out is the same, and is remembered for long."""
    area, case = workspace(tmp_path)
    wanted, real, times = probe.probe(area, case), getattr(posix, function), [0]

    def interrupted(*given):
        times[0] += 1
        if times[0] == 3:
            raise InterruptedError(errno.EINTR, "Interrupted system call")
        return real(*given)

    monkeypatch.setattr(posix, function, interrupted)
    assert probe.probe(area, case) == wanted
    assert os.listdir(area) == []


def test_folders_that_are_copied_instead_of_renamed_are_noticed(tmp_path, monkeypatch):
    area, case = workspace(tmp_path)
    checked = posix.rename_checked

    def files_only(src_fd, src, dst_fd, dst):
        if posix.facts(src_fd, src).kind == "dir":
            raise OSError(errno.EMFILE, "rename-dir-limit")
        checked(src_fd, src, dst_fd, dst)

    monkeypatch.setattr(posix, "rename_checked", files_only)
    caps = probe.probe(area, case)
    assert (caps.directory_rename, caps.rename_across) == (False, True)


def test_names_that_fold_are_noticed(tmp_path, monkeypatch):
    area, case = workspace(tmp_path)
    assert not probe.probe(area, case).folds_case
    monkeypatch.setattr(posix, "exists", folding(posix.exists))
    assert probe.probe(area, case).folds_case


# -- by type


@pytest.mark.parametrize(
    ("kind", "source", "rules"),
    [
        ("fuse.gcsfuse", "bucket", ("posix", "gcs")),
        ("fuse.rclone", "remote:bucket", ("posix", "s3")),
        ("fuse.s3fs", "s3fs", ("posix", "s3")),
        ("fuse", "mountpoint-s3", ("posix", "s3")),
        ("fuse.blobfuse2", "blobfuse2", ("posix", "azure")),
        ("exfat", "/dev/sda1", ("posix", "windows")),
        ("ext4", "/dev/rclone", ("posix",)),
    ],
)
def test_names_obey_the_store_behind_the_mount(kind, source, rules):
    assert mount(kind, source).name_rules == rules


def test_a_bucket_mount_is_not_durable_nor_of_stable_inodes_whatever_the_trial_says(tmp_path, monkeypatch):
    area, case = workspace(tmp_path)
    monkeypatch.setattr(probe, "mount_of", lambda _: mount("fuse.gcsfuse"))
    caps = probe.probe(area, case)
    assert (caps.filesystem, caps.durable_fsync, caps.stable_inodes) == ("fuse.gcsfuse", False, False)
    assert not caps.directory_rename
    found = probe.findings(caps, mount("fuse.gcsfuse"))
    assert any("ttl-secs:0" in finding.advice for finding in found)
    assert any("power cut" in finding.title for finding in found)
    assert not probe.assume(case).noreplace


def test_a_good_disk_has_no_findings_and_others_only_their_own():
    assert probe.findings(Capabilities(), mount("ext4")) == []
    assert ["hard" in f.advice for f in probe.findings(Capabilities(), mount("nfs4", options=["soft"]))] == [
        False,
        True,
    ]
    assert [f.title for f in probe.findings(Capabilities(), mount("ext4", options=["nobarrier"]))] != []
    (finding,) = probe.findings(Capabilities(rename_across=False), mount("ext4"))
    assert finding.severity == "error"


# -- mounts


def test_the_mount_of_a_path_is_found(tmp_path, loop):
    mounted = loop("ext4", "-q")
    found = mount_of(str(mounted / "not" / "made" / "yet"))
    assert (found.type, found.point) == ("ext4", str(mounted))
    assert "rw" in found.options


def test_mountinfo_is_read_with_its_escapes_and_optional_fields():
    line = r"36 35 98:0 /mnt1 /a\040b\134c rw,noatime master:1 shared:2 - fuse.s3fs s3fs\040x rw,user_id=0" + "\n"
    assert mounts.parse(line) == Mount("fuse.s3fs", "s3fs x", "/a b\\c", frozenset(("rw", "noatime", "user_id=0")))


@pytest.mark.parametrize("kind", ["fuse", "fuse.gcsfuse", "fuse.sshfs", "nfs", "nfs4", "cifs"])
def test_the_state_directory_is_refused_on_fuse_and_network(monkeypatch, kind):
    monkeypatch.setattr(mounts, "mount_of", lambda _: mount(kind))
    monkeypatch.setattr(probe, "mount_of", lambda _: mount(kind))
    assert not is_local("/anywhere")
    assert [finding.severity for finding in probe.state_findings("/anywhere")] == ["error"]


def test_a_local_place_that_is_not_made_yet_is_local(tmp_path, elsewhere):
    assert is_local(str(tmp_path / "state" / "new"))
    assert probe.state_findings(str(tmp_path / "state")) == []
    assert [finding.severity for finding in probe.state_findings(str(elsewhere))] == ["warning"]
