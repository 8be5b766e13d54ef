"""engine.scan: the tree as it is, without following, blocking or leaving; and a digest that misses nothing."""

import errno
import hashlib
import os
import shutil
import subprocess

import pytest

from treegate.engine import handles, posix, scan
from treegate.engine.scan import DiskTree, totals_of
from treegate.model.capabilities import Capabilities
from treegate.model.tree import MOUNT_ROOT, Kind, unpack


@pytest.fixture
def projects(tmp_path):
    root = tmp_path / "projects"
    for folder in ("Smith/Notes", "Smith/.treegate/vault", "Jones", ".treegate"):
        (root / folder).mkdir(parents=True)
    (root / "Smith" / "a.txt").write_text("hello")
    (root / "Smith" / "Notes" / "b.txt").write_text("hi")
    os.symlink("/etc/passwd", root / "Smith" / "link")
    os.mkfifo(root / "Smith" / "fifo")
    (root / "stray.txt").write_text("no case")
    os.symlink("Smith", root / "linked-case")
    return root


@pytest.fixture
def tree(projects):
    with DiskTree(str(projects)) as made:
        yield made


# -- names and facts


def test_only_folders_are_cases(tree):
    assert tree.names("") == {"Smith": Kind.DIR, "Jones": Kind.DIR}


def test_names_have_their_kinds_and_the_area_is_hidden(tree):
    assert tree.names("Smith") == {"Notes": Kind.DIR, "a.txt": Kind.FILE, "link": Kind.LINK, "fifo": Kind.OTHER}
    assert tree.facts("Smith", ".treegate") is None
    with pytest.raises(FileNotFoundError):
        tree.names("Smith/.treegate/vault")
    with pytest.raises(FileNotFoundError):
        tree.names(".treegate")


def test_the_area_is_hidden_only_directly_in_a_case(tree, projects):
    (projects / "Smith" / "Notes" / ".treegate").mkdir()
    assert ".treegate" in tree.names("Smith/Notes")
    assert tree.facts("Smith/Notes", ".treegate")


def test_names_come_in_the_order_of_the_directory(tree, projects):
    for number in range(300):
        (projects / "Jones" / f"{number * 7919 % 1000}").write_text("")
    assert list(tree.names("Jones")) == os.listdir(projects / "Jones")
    assert list(tree.names("Jones")) == os.listdir(projects / "Jones")


def test_names_that_are_not_utf8_come_and_go(tree, projects):
    name = os.fsdecode(b"\xff\xfe.txt")
    (projects / "Jones" / name).write_text("x")
    assert tree.names("Jones") == {name: Kind.FILE}
    assert unpack(tree.facts("Jones", name)).size == 1
    assert tree.sha256(f"Jones/{name}") == hashlib.sha256(b"x").hexdigest()


def test_facts_are_those_of_the_entry_itself(tree, projects):
    assert unpack(tree.facts("Smith", "a.txt")).ino == (projects / "Smith" / "a.txt").stat().st_ino
    assert unpack(tree.facts("Smith", "link")).kind is Kind.LINK
    assert unpack(tree.facts("", "Smith")).kind is Kind.DIR
    assert tree.facts("Smith", "none") is None
    assert tree.facts("Smith/none", "x") is None
    assert tree.facts("Smith", "n" * 300) is None


def test_a_link_is_never_followed(tree, projects):
    os.symlink("Notes", projects / "Smith" / "folder-link")
    for path in ("linked-case", "Smith/folder-link", "linked-case/Notes"):
        with pytest.raises(NotADirectoryError):
            tree.names(path)
    with pytest.raises(OSError, match="regular file"):
        tree.sha256("Smith/link")
    assert tree.target("Smith/link") == "/etc/passwd"


def test_errors_are_those_that_the_protocol_names(tree, projects):
    with pytest.raises(FileNotFoundError):
        tree.names("Smith/none")
    with pytest.raises(FileNotFoundError):
        tree.names("Smith/" + "n" * 300)
    with pytest.raises(NotADirectoryError):
        tree.names("Smith/a.txt")
    with pytest.raises(OSError, match="regular file"):
        tree.sha256("Smith/fifo")


def test_more_folders_than_handles_are_held(tree, projects, monkeypatch):
    monkeypatch.setattr(scan, "HELD", 4)
    for number in range(20):
        (projects / "Jones" / f"d{number}").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        for number in range(20):
            assert tree.names(f"Jones/d{number}") == {}
    assert len(os.listdir("/proc/self/fd")) <= before + 4


def test_closing_gives_all_handles_back(projects):
    before = len(os.listdir("/proc/self/fd"))
    with DiskTree(str(projects)) as tree:
        list(tree.walk(""))
        tree.totals("Smith")
    assert len(os.listdir("/proc/self/fd")) == before


# -- the folder that is itself the one case


def test_a_single_case_is_the_folder_itself(projects):
    with DiskTree(str(projects / "Smith"), single="Smith", hidden=["Reports"]) as tree:
        (projects / "Smith" / "Reports").mkdir()
        assert tree.names("") == {"Smith": Kind.DIR}
        assert set(tree.names("Smith")) == {"Notes", "a.txt", "link", "fifo"}
        assert tree.names("Smith/Notes") == {"b.txt": Kind.FILE}
        assert unpack(tree.facts("", "Smith")).ino == (projects / "Smith").stat().st_ino
        assert tree.facts("", "Jones") is None
        assert tree.facts("Smith", "Reports") is None
        assert unpack(tree.facts("Smith/Notes", "b.txt")).size == 2
        assert [path for path, _ in tree.walk("")][:3] == ["Smith", "Smith/Notes", "Smith/Notes/b.txt"]
        for path in ("Jones", "Smith/Reports", "Smith/.treegate"):
            with pytest.raises(FileNotFoundError):
                tree.names(path)


def test_names_hidden_in_the_root_are_no_cases(projects):
    with DiskTree(str(projects), hidden=["Jones"]) as tree:
        assert tree.names("") == {"Smith": Kind.DIR}
        assert tree.facts("", "Jones") is None
        with pytest.raises(FileNotFoundError):
            tree.names("Jones")


def test_a_folder_that_holds_no_cases_hides_nothing(projects):
    with DiskTree(str(projects), of_cases=False) as tree, handles.closing(handles.open_root(str(projects))) as fd:
        assert set(tree.names("")) == {"Smith", "Jones", ".treegate", "stray.txt", "linked-case"}
        assert ".treegate" in tree.names("Smith")
        assert tree.names("Smith/.treegate") == {"vault": Kind.DIR}
        assert tree.facts("Smith", ".treegate")
        assert tree.totals("") == totals_of(fd)


# -- other mounts


def test_a_case_on_another_filesystem_is_read(projects, loop):
    mounted = loop("ext4", "-q")
    case = mounted.name
    with DiskTree(str(mounted.parent)) as tree:
        (mounted / "sub").mkdir()
        (mounted / "sub" / "f").write_text("x")
        assert set(tree.names(case)) == {"lost+found", "sub"}
        assert tree.names(f"{case}/sub") == {"f": Kind.FILE}
        assert unpack(tree.facts("", case)).attrs & MOUNT_ROOT
        assert tree.totals(case).mounts == ()
        assert tree.totals(case).files == 1


def test_a_mount_inside_a_case_is_named_and_not_entered(tree, projects, bind):
    (projects / "Smith" / "Notes" / "deeper").mkdir()
    bind(projects / "Jones", projects / "Smith" / "Notes" / "deeper")
    (projects / "Jones" / "seen-through").write_text("x")
    assert tree.totals("Smith").mounts == ("Notes/deeper",)
    assert tree.totals("Smith").files == 3
    assert [path for path, _ in tree.walk("Smith/Notes")] == ["b.txt", "deeper"]
    with pytest.raises(PermissionError) as caught:
        tree.names("Smith/Notes/deeper")
    assert caught.value.errno == errno.EXDEV


def test_a_btrfs_subvolume_inside_is_a_mount(loop):
    """No mount point, and yet nothing can be renamed out of it."""
    mounted = loop("btrfs", "-q")
    (mounted / "folder").mkdir()
    volume = mounted / "folder" / "volume"
    subprocess.run(["btrfs", "subvolume", "create", str(volume)], check=True, capture_output=True)
    (volume / "f").write_text("x")
    with DiskTree(str(mounted.parent)) as tree:
        totals = tree.totals(f"{mounted.name}/folder")
        assert (totals.mounts, totals.files) == (("volume",), 0)


def test_a_file_mounted_on_a_file_is_a_mount(tree, projects, bind):
    bind(projects / "stray.txt", projects / "Smith" / "a.txt")
    assert tree.totals("Smith").mounts == ("a.txt",)


# -- walking


def test_a_walk_is_depth_first_and_in_byte_order(tree, projects):
    for name in ("b", "a", "a.d", "B", "é", os.fsdecode(b"\xff")):
        (projects / "Jones" / name).mkdir()
    (projects / "Jones" / "a" / "z").write_text("123")
    walked = list(tree.walk("Jones"))
    assert [path for path, _ in walked] == ["B", "a", "a/z", "a.d", "b", "é", os.fsdecode(b"\xff")]
    assert walked[2] == ("a/z", Kind.FILE)


@pytest.mark.parametrize(("name", "depth"), [("d", 1200), ("d" * 250, 40)])
def test_a_deep_tree_is_walked_and_counted(tree, projects, name, depth):
    """Deeper than Python recurses or files may be open, and longer than PATH_MAX."""
    fd = handles.open_root(str(projects / "Jones"))
    for _ in range(depth):
        posix.mkdir(fd, name)
        below = handles.open_child(fd, name)
        handles.close(fd)
        fd = below
    handles.close(fd)
    try:
        assert sum(1 for _ in tree.walk("Jones")) == depth
        assert tree.totals("Jones").folders == depth
    finally:
        subprocess.run(["rm", "-rf", str(projects / "Jones")], check=True)


# -- totals


def test_totals_count_what_is_there(tree, projects):
    (projects / "Smith" / "Notes" / "c").write_text("12345")
    os.link(projects / "Smith" / "a.txt", projects / "Smith" / "Notes" / "second")
    totals = tree.totals("Smith")
    assert (totals.files, totals.folders, totals.size) == (5, 1, 5 + 5 + 2 + 5)  # a link counts as a file
    assert (totals.specials, totals.mounts, totals.multilinks) == (("fifo",), (), 2)


def edit_in_place(root):
    """The same inode, size and mtime."""
    path = root / "Notes" / "b.txt"
    status = path.stat()
    path.write_text("ho")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace_alike(root):
    path = root / "Notes" / "b.txt"
    status = path.stat()
    (root / "new").write_text("hi")
    os.utime(root / "new", ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(root / "new", path)


def swap(root):
    os.rename(root / "a.txt", root / "t")
    os.rename(root / "Notes" / "b.txt", root / "a.txt")
    os.rename(root / "t", root / "Notes" / "b.txt")


def replace_folder(root):
    (root / "new").mkdir()
    os.rename(root / "Notes" / "b.txt", root / "new" / "b.txt")
    (root / "Notes").rmdir()
    os.rename(root / "new", root / "Notes")


def retarget(root):
    (root / "link").unlink()
    os.symlink("/etc/shadow", root / "link")


CHANGES = {
    "a file is added": lambda root: (root / "Notes" / "new").write_text(""),
    "a folder is added": lambda root: (root / "Notes" / "new").mkdir(),
    "a file is removed": lambda root: (root / "Notes" / "b.txt").unlink(),
    "a file is edited": lambda root: (root / "Notes" / "b.txt").write_text("longer"),
    "a file is edited and its mtime set back": edit_in_place,
    "a file is replaced by its like": replace_alike,
    "two files swap names": swap,
    "a file is renamed": lambda root: os.rename(root / "Notes" / "b.txt", root / "Notes" / "c.txt"),
    "a file moves up": lambda root: os.rename(root / "Notes" / "b.txt", root / "b.txt"),
    "a folder is replaced by its like": replace_folder,
    "a mode changes": lambda root: (root / "a.txt").chmod(0o600),
    "a folder's mode changes": lambda root: (root / "Notes").chmod(0o700),
    "a link points elsewhere": retarget,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_digest_notices(tree, projects, change):
    before = tree.totals("Smith").digest
    change(projects / "Smith")
    assert tree.totals("Smith").digest != before


def test_the_digest_notices_another_empty_folder_of_the_same_name(tree, projects):
    """The inode may be the same one, used again at once: then the birth time tells."""
    empty = projects / "Smith" / "Notes" / "empty"
    empty.mkdir()
    before = tree.totals("Smith").digest
    empty.rmdir()
    empty.mkdir()
    assert tree.totals("Smith").digest != before


def test_the_digest_is_the_same_when_nothing_happened(tree, projects):
    before = tree.totals("Smith")
    (projects / "Smith" / "Notes" / "t").write_text("come and gone: only the folder's own times change")
    (projects / "Smith" / "Notes" / "t").unlink()
    (projects / "Smith" / "a.txt").read_text()
    (projects / "Smith" / ".treegate" / "hidden").write_text("")
    assert tree.totals("Smith") == before
    with DiskTree(str(projects)) as fresh:
        assert fresh.totals("Smith") == before


def test_the_digest_stays_when_the_folder_itself_moves(tree, projects):
    before = tree.totals("Smith/Notes")
    os.rename(projects / "Smith" / "Notes", projects / "Jones" / "Other")
    assert tree.totals("Jones/Other") == before


def test_totals_by_handle_are_the_same(tree, projects):
    with handles.closing(handles.open_root(str(projects / "Smith" / "Notes"))) as fd:
        assert totals_of(fd) == tree.totals("Smith/Notes")
    with handles.closing(handles.open_root(str(projects / "Smith"))) as fd:
        assert totals_of(fd, hidden=[b".treegate"]) == tree.totals("Smith")


def test_without_stable_inodes_the_digest_rests_on_size_and_mtime(projects):
    caps = {"Smith": Capabilities(stable_inodes=False)}
    with DiskTree(str(projects), caps=caps) as tree:
        before = tree.totals("Smith").digest
        replace_alike(projects / "Smith")
        assert tree.totals("Smith").digest == before
        (projects / "Smith" / "Notes" / "b.txt").write_text("longer")
        assert tree.totals("Smith").digest != before


def test_a_folder_that_may_not_be_read_is_an_error_and_not_empty(tree, monkeypatch):
    """As root every folder may be read, so the refusal is made here."""
    opened = handles.open_dir

    def refuse(fd, path):
        if os.fsencode(path).endswith(b"Notes"):
            raise PermissionError(errno.EACCES, "no", path)
        return opened(fd, path)

    monkeypatch.setattr(handles, "open_dir", refuse)
    with pytest.raises(PermissionError):
        tree.totals("Smith")
    with pytest.raises(PermissionError):
        list(tree.walk("Smith"))


def test_a_folder_that_goes_meanwhile_is_as_good_as_empty(tree, projects):
    walk = tree.walk("Smith")
    assert next(walk) == ("Notes", Kind.DIR)
    shutil.rmtree(projects / "Smith" / "Notes")
    assert [path for path, _ in walk] == ["a.txt", "fifo", "link"]
