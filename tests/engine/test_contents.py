"""engine.contents: a staged entry has the right bytes, proven, and looks as if made where it will lie."""

import errno
import hashlib
import io
import os
import stat
import subprocess
import sys
import textwrap

import pytest

from treegate.engine import contents, handles, posix
from treegate.engine.attributes import access_acl, finish_folder
from treegate.engine.contents import Stager
from treegate.errors import Denied, NotVerified, Stale
from treegate.model.capabilities import Capabilities
from treegate.model.table import Staged
from treegate.model.tree import Kind

NEW, CASE = 0, 1  # place numbers
NS = 1_709_283_600_000_000_001


def hexdigest(data):
    return hashlib.sha256(data).hexdigest()


class Place:
    """A case and a new-area in one filesystem, and a store of blobs."""

    def __init__(self, root, **caps):
        self.root, self.blobs = root, {}
        self.new, self.case = root / "new", root / "case"
        self.new.mkdir()
        self.case.mkdir()
        self.fds = {NEW: handles.open_root(str(self.new)), CASE: handles.open_root(str(self.case))}
        self.stager = Stager(self.fds.__getitem__, lambda name: io.BytesIO(self.blobs[name]), Capabilities(**caps))

    def blob(self, data):
        self.blobs[hexdigest(data)] = data
        return hexdigest(data)

    def row(self, name="n", kind="file", **more):
        return Staged(**{"number": 10, "parent": NEW, "name": os.fsencode(name), "kind": kind, "into": CASE} | more)

    def copy(self, source, **more):
        return self.row(source=(CASE, os.fsencode(source)), source_facts=posix.packed(self.fds[CASE], source), **more)

    def build(self, row):
        return self.stager.build(row)

    def add(self, name, data=b"old", mode=0o644):
        path = self.case / name
        path.write_bytes(data)
        path.chmod(mode)
        return path

    def close(self):
        for fd in self.fds.values():
            handles.close(fd)


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.close()


@pytest.fixture
def places():
    made = []

    def make(root, **caps):
        made.append(Place(root, **caps))
        return made[-1]

    yield make
    for place in made:
        place.close()


@pytest.fixture
def umask():
    old = os.umask(0o022)
    yield os.umask
    os.umask(old)


def ways():
    return [
        [contents._copy_by_reflink, contents._copy_in_kernel, contents._copy_through],
        [contents._copy_in_kernel, contents._copy_through],
        [contents._copy_through],
    ]


# -- contents


def test_a_blob_becomes_a_file_with_that_content(place):
    data = os.urandom(3 << 20)
    facts, digest = place.build(place.row(blob=place.blob(data), mode=0o640, mtime=NS))
    assert (place.new / "n").read_bytes() == data
    assert digest == hexdigest(data)
    assert (facts.mode & 0o7777, facts.mtime, facts.size) == (0o640, NS, len(data))
    assert facts == posix.facts(place.fds[NEW], "n")


def test_a_blob_that_is_not_its_name_is_refused_and_leaves_nothing(place):
    place.blobs["0" * 64] = b"something else"
    with pytest.raises(NotVerified, match="damaged"):
        place.build(place.row(blob="0" * 64))
    assert os.listdir(place.new) == []


@pytest.mark.parametrize("copies", ways(), ids=["reflink first", "in the kernel", "read and write"])
@pytest.mark.parametrize("size", [0, 1, (1 << 20) + 17])
def test_a_copy_keeps_content_mode_and_mtime(place, copies, size):
    data = os.urandom(size)
    old = place.add("a", data, 0o751)
    os.utime(old, ns=(1, NS))
    place.stager._copies = list(copies)
    facts, digest = place.build(place.copy("a"))
    assert (place.new / "n").read_bytes() == data
    assert (digest, facts.mode & 0o7777, facts.mtime) == (hexdigest(data), 0o751, NS)
    assert facts.ino != old.stat().st_ino


def test_a_copy_by_reflink_shares_blocks_on_xfs(loop, places):
    place = places(loop("xfs", "-m", "reflink=1"), reflinks=True)
    data = os.urandom(1 << 20)
    place.add("a", data)
    os.sync()
    before = os.statvfs(place.root).f_bfree
    place.build(place.copy("a"))
    assert place.stager._copies[0] is contents._copy_by_reflink
    assert (place.new / "n").read_bytes() == data
    assert before - os.statvfs(place.root).f_bfree < 64


def test_a_way_of_copying_that_fails_halfway_leaves_no_trace_in_the_next(place):
    place.add("a", b"the content")

    def half(source, fd):
        os.lseek(source, 3, os.SEEK_SET)
        posix.write(fd, b"rubbish that is longer than the content")
        raise OSError(errno.EOPNOTSUPP, "not here")

    place.stager._copies = [half, contents._copy_through]
    place.build(place.copy("a"))
    assert (place.new / "n").read_bytes() == b"the content"


@pytest.mark.parametrize("change", ["edit", "touch", "replace", "remove", "to a link", "to a fifo"])
@pytest.mark.parametrize("when", ["before", "while copying"])
def test_a_source_that_changes_before_or_during_the_copy_is_stale(place, change, when):
    old = place.add("a", b"first")
    status = old.stat()
    row = place.copy("a")

    def happen():
        if change == "edit":
            old.write_bytes(b"other")
            os.utime(old, ns=(status.st_atime_ns, status.st_mtime_ns))  # same inode, size and mtime
        elif change == "touch":
            os.utime(old)
        else:
            old.unlink()
            if change == "replace":
                place.add("a", b"first")
            if change == "to a link":
                old.symlink_to("/etc/passwd")
            if change == "to a fifo":
                os.mkfifo(old)

    def copy(source, fd):
        contents._copy_through(source, fd)
        happen()

    if when == "before":
        happen()
    else:
        place.stager._copies = [copy]
    with pytest.raises(Stale):
        place.build(row)
    assert os.listdir(place.new) == []


def test_a_copy_that_does_not_read_back_equal_is_refused(place):
    place.add("a", b"content")
    place.stager._copies = [lambda source, fd: posix.write(fd, b"c0ntent")]
    with pytest.raises(NotVerified, match="read back"):
        place.build(place.copy("a"))
    assert os.listdir(place.new) == []


def test_a_full_disk_leaves_nothing_half_built(place, monkeypatch):
    def full(fd, data):
        os.write(fd, bytes(data[:10]))
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(posix, "write", full)
    with pytest.raises(OSError, match="full"):
        place.build(place.row(blob=place.blob(b"x" * 100)))
    assert os.listdir(place.new) == []


def test_a_half_built_file_does_not_have_its_final_mtime(place, monkeypatch):
    """What a crash leaves in the new-area cannot pass for the finished file."""
    seen = []
    digest_of = contents._sha256_of

    def look(fd):
        seen.extend(path.stat().st_mtime_ns for path in place.new.iterdir())
        return digest_of(fd)

    monkeypatch.setattr(contents, "_sha256_of", look)
    old = place.add("a")
    os.utime(old, ns=(1, NS))
    place.build(place.copy("a"))
    assert seen
    assert NS not in seen


def test_a_large_copy_takes_constant_memory(tmp_path):
    """300 MB are copied and hashed twice in 30 MB more than the process had before."""
    script = """
        import io, os, resource, sys
        from treegate.engine import contents, handles, posix
        from treegate.model.capabilities import Capabilities
        from treegate.model.table import Staged
        fds = {0: handles.open_root("new"), 1: handles.open_root("case")}
        stager = contents.Stager(fds.__getitem__, lambda _: io.BytesIO(), Capabilities())
        facts = posix.packed(fds[1], "big")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        stager._copies = [contents._copy_through]
        row = Staged(number=1, parent=0, name=b"n", kind="file", into=1, source=(1, b"big"), source_facts=facts)
        assert stager.build(row)[0].size == 300 << 20
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    (tmp_path / "new").mkdir()
    (tmp_path / "case").mkdir()
    with (tmp_path / "case" / "big").open("wb") as file:
        file.truncate(300 << 20)
        file.seek(100 << 20)
        file.write(os.urandom(1 << 20))
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 30_000  # KiB


def test_sha256_streams_a_file_and_refuses_the_rest(place):
    place.add("a", b"abc")
    assert contents.sha256(place.fds[CASE], "a") == hexdigest(b"abc")
    os.mkfifo(place.case / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        contents.sha256(place.fds[CASE], "fifo")


# -- links and folders


def test_a_link_has_exactly_its_target_and_its_own_mtime(place):
    target = b"../\xff/none"
    facts, digest = place.build(place.row(kind="link", target=target, mtime=NS))
    assert os.readlink(os.fsencode(place.new / "n")) == target
    assert (facts.kind, facts.mtime, digest) == (Kind.LINK, NS, "")


def test_a_folder_gets_its_mode_and_can_be_finished_after_its_children(place):
    row = place.row(kind="dir", mode=0o555, mtime=NS)
    facts, _ = place.build(row)
    assert facts.mode & 0o7777 == 0o755  # children can be put in
    with handles.closing(handles.open_child(place.fds[NEW], "n")) as fd:
        place.fds[10] = os.dup(fd)
        place.build(place.row("child", parent=10, into=10, blob=place.blob(b"x")))
        finish_folder(fd, row)
        finish_folder(fd, row)
        facts = posix.facts_of(fd)
    assert (facts.mode & 0o7777, facts.mtime) == (0o555, NS)


# -- as if made there


def test_new_entries_obey_the_umask(places, tmp_path, umask):
    umask(0o027)
    place = places(tmp_path)
    assert place.build(place.row(blob=place.blob(b"")))[0].mode & 0o7777 == 0o640
    assert place.build(place.row("d", "dir"))[0].mode & 0o7777 == 0o750


def test_a_setgid_folder_gives_its_group(places, tmp_path, umask):
    if os.geteuid():
        pytest.skip("needs root, to give a folder another group")
    place = places(tmp_path)
    os.chown(place.case, -1, 4242)
    place.case.chmod(0o2755)
    file, _ = place.build(place.row(blob=place.blob(b""), mode=0o600))
    folder, _ = place.build(place.row("d", "dir", mode=0o750))
    link, _ = place.build(place.row("l", "link", target=b"t"))
    assert file.gid == folder.gid == link.gid == 4242
    assert folder.mode & 0o7777 == 0o2750
    assert file.mode & 0o7777 == 0o600


def test_the_new_area_hands_nothing_down_that_the_destination_would_not(places, tmp_path, umask):
    if os.geteuid():
        pytest.skip("needs root, to give a folder another group")
    place = places(tmp_path)
    os.chown(place.new, -1, 4242)
    place.new.chmod(0o2755)
    set_default_acl(place.new, "d:u:4343:rwx")
    for row in (place.row(blob=place.blob(b"")), place.row("d", "dir")):
        facts, _ = place.build(row)
        assert facts.gid == os.getegid()
        assert not facts.mode & stat.S_ISGID
        assert posix.xattrs(place.fds[NEW], row.name) == {}


def set_default_acl(folder, *entries):
    done = subprocess.run(["setfacl", "-m", ",".join(entries), str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("needs setfacl and a filesystem with ACLs")


@pytest.mark.parametrize("entries", [["d:u:4343:rwx", "d:o::---"], ["d:u::rwx", "d:g::r-x", "d:o::---"]])
@pytest.mark.parametrize("kind", ["file", "dir"])
def test_a_default_acl_gives_what_the_kernel_gives(places, tmp_path, umask, entries, kind):
    """The oracle is an entry made in the destination itself."""
    place = places(tmp_path)
    try:
        set_default_acl(place.case, *entries)
    except FileNotFoundError:
        pytest.skip("needs setfacl")
    if kind == "dir":
        (place.case / "oracle").mkdir()
        place.build(place.row(kind="dir"))
    else:
        (place.case / "oracle").write_bytes(b"")
        place.build(place.row(blob=place.blob(b"")))
    wanted, got = posix.facts(place.fds[CASE], "oracle"), posix.facts(place.fds[NEW], "n")
    assert got.mode == wanted.mode
    assert posix.xattrs(place.fds[NEW], "n") == posix.xattrs(place.fds[CASE], "oracle")


def test_a_default_acl_without_a_mask_limits_the_group():
    entry = contents.attributes._ACL_ENTRY.pack
    default = b"\2\0\0\0" + entry(1, 7, 0xFFFFFFFF) + entry(4, 7, 0xFFFFFFFF) + entry(0x20, 7, 0xFFFFFFFF)
    assert access_acl(default, 0o640) == b"\2\0\0\0" + entry(1, 6, 0xFFFFFFFF) + entry(4, 4, 0xFFFFFFFF) + entry(
        0x20, 0, 0xFFFFFFFF
    )


def test_a_replacing_file_takes_mode_owner_and_attributes_of_the_old_one(places, tmp_path, umask):
    place = places(tmp_path)
    old = place.add("old", mode=0o604)
    os.setxattr(old, "user.tag", b"\0kept")
    if os.geteuid() == 0:
        os.chown(old, 4343, 4242)
        os.setxattr(old, "trusted.note", b"kept too")
        subprocess.run(["setfacl", "-m", "u:4444:r", str(old)], check=False)
    facts, _ = place.build(place.row(blob=place.blob(b"new"), like=(CASE, b"old")))
    was = posix.facts(place.fds[CASE], "old")
    assert (facts.mode, facts.uid, facts.gid) == (was.mode, was.uid, was.gid)
    assert posix.xattrs(place.fds[NEW], "n") == posix.xattrs(place.fds[CASE], "old")
    assert posix.xattrs(place.fds[NEW], "n")["user.tag"] == b"\0kept"


def test_file_capabilities_do_not_pass_to_new_bytes(place):
    if os.geteuid():
        pytest.skip("needs root, to set a file capability")
    old = place.add("old", mode=0o755)
    os.setxattr(old, "security.capability", bytes.fromhex("0100000202040000000000000000000000000000"))
    place.build(place.row(blob=place.blob(b"new"), like=(CASE, b"old")))
    assert "security.capability" not in posix.xattrs(place.fds[NEW], "n")


def test_a_copy_keeps_user_attributes_but_no_setuid(place):
    old = place.add("a", mode=0o4755)
    os.setxattr(old, "user.tag", b"v")
    facts, _ = place.build(place.copy("a"))
    assert facts.mode & 0o7777 == 0o755
    assert posix.xattrs(place.fds[NEW], "n") == {"user.tag": b"v"}


def test_an_owner_that_may_not_be_given_is_denied_and_leaves_nothing(place, monkeypatch):
    old = place.add("old")

    def refuse(*_):
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(posix, "set_owner", refuse)
    monkeypatch.setattr(contents.attributes.Dresser, "_owner", lambda *_: (old.stat().st_uid + 1, old.stat().st_gid))
    with pytest.raises(Denied, match="owner and group"):
        place.build(place.row(blob=place.blob(b"new"), like=(CASE, b"old")))
    assert os.listdir(place.new) == []


def test_a_mount_that_keeps_nothing_is_asked_for_nothing(places, tmp_path, monkeypatch):
    place = places(tmp_path, keeps_modes=False, keeps_times=False, xattrs=False, stable_inodes=False)
    place.add("a")

    def never(*_):
        raise OSError(errno.EPERM, "not here")

    for name in ("set_mode", "set_owner", "set_xattr", "set_mtime", "set_owner_of_link", "utime"):
        monkeypatch.setattr(posix, name, never)
    place.build(place.copy("a"))
    place.build(place.row("d", "dir", mode=0o700))
    place.build(place.row("l", "link", target=b"t", mtime=1))
    assert sorted(os.listdir(place.new)) == ["d", "l", "n"]


# -- space


def test_the_space_needed_covers_what_building_takes(place):
    place.add("a", b"x" * 5000)
    rows = [
        place.copy("a", name="copy"),
        place.row("blob", blob=place.blob(b"y" * 10_000)),
        place.row("dir", "dir"),
        place.row("link", "link", target=b"t"),
    ]
    space = place.stager.space_needed(rows)
    for row in rows:
        place.build(row)
    taken = sum(os.lstat(path).st_blocks * 512 for path in place.new.iterdir())
    assert space.inodes == 4
    assert taken <= space.size <= taken + 4 * 8192
