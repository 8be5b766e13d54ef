"""engine.access: what is said of another user is what the kernel lets that user do."""

import itertools
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from treegate.engine import access
from treegate.engine.access import CHANGE, READ, SEARCH, WRITE, User, Way

NOBODY = User("nobody", 65534, frozenset({65534}))
MEMBER = User("daemon", 2, frozenset({2, 4343}))


@pytest.fixture
def place():
    """A folder that everybody can come to, owned by root."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to act as another user")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        if not access.reaches(NOBODY, Path(folder)):
            pytest.skip(f"needs temporary files where other users can come to, not {folder}")
        yield Path(folder)


def as_user(user, act):
    """Whether something works for another user: it is really tried, in a child with that user's rights."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setgroups(sorted(user.groups))
            os.setgid(min(user.groups))
            os.setuid(user.uid)
            act()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def writes(path):
    os.close(os.open(path, os.O_WRONLY))


def reads(path):
    os.close(os.open(path, os.O_RDONLY))


def adds(folder):
    path = folder / "added"
    path.touch()
    path.unlink()


def acl(path, *entries):
    done = subprocess.run(["setfacl", "-m", ",".join(entries), str(path)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("needs setfacl and a filesystem with ACLs")


@pytest.mark.parametrize("user", [NOBODY, MEMBER], ids=lambda user: user.name)
@pytest.mark.parametrize("mode", [0o600, 0o602, 0o604, 0o620, 0o640, 0o622, 0o626, 0o606])
@pytest.mark.parametrize("group", [0, 4343])
def test_modes_are_read_as_the_kernel_reads_them(place, user, mode, group):
    """The oracle is the open itself: a member of the group gets nothing from the others' bits."""
    path = place / "file"
    path.write_text("x")
    os.chown(path, 0, group)
    path.chmod(mode)
    assert bool(access.may(user, path, WRITE)) == as_user(user, lambda: writes(path))
    assert bool(access.may(user, path, READ)) == as_user(user, lambda: reads(path))


ENTRIES = [
    ("u:65534:rw",),
    ("u:65534:---", "o:rw"),
    ("u:65534:rw", "m:r"),
    ("g:4343:rw",),
    ("g:4343:r", "g:2:w"),
    ("g:4343:rw", "m:r"),
    ("g:4343:---", "o:rw"),
    ("g::rw", "u:2:r"),
    ("o:rw", "u:1:r"),
    ("u:65534:r", "g:2:r", "o:rw"),
]


@pytest.mark.parametrize("user", [NOBODY, MEMBER], ids=lambda user: user.name)
@pytest.mark.parametrize("entries", ENTRIES, ids=",".join)
def test_acls_are_read_as_the_kernel_reads_them(place, user, entries):
    """Named users come before groups, groups before all others, and the mask cuts both; an empty mask is no ACL."""
    path = place / "file"
    path.write_text("x")
    os.chown(path, 0, 4343 if "g::rw" in entries else 0)
    path.chmod(0o600)
    acl(path, *entries)
    assert bool(access.may(user, path, WRITE)) == as_user(user, lambda: writes(path))
    assert bool(access.may(user, path, READ)) == as_user(user, lambda: reads(path))
    both = READ | WRITE
    assert bool(access.may(user, path, both)) == as_user(user, lambda: os.close(os.open(path, os.O_RDWR)))


@pytest.mark.parametrize(
    ("outer", "inner"), [*itertools.product([0o700, 0o701, 0o755, 0o770], [0o700, 0o703, 0o702])]
)
def test_the_folders_on_the_way_count(place, outer, inner):
    """A folder that everybody may write is out of reach behind one that lets nobody through."""
    folder = place / "outer/inner"
    folder.mkdir(parents=True)
    folder.chmod(inner)
    folder.parent.chmod(outer)
    assert bool(access.may(NOBODY, folder, CHANGE)) == as_user(NOBODY, lambda: adds(folder))


def test_an_owner_counts_as_allowed(place):
    """For it can change the mode."""
    path = place / "file"
    path.write_text("x")
    os.chown(path, NOBODY.uid, 0)
    path.chmod(0o400)
    assert access.may(NOBODY, path, WRITE) is Way.OWNER
    assert as_user(NOBODY, lambda: (path.chmod(0o600), writes(path)))


@pytest.mark.parametrize("mode", [0o755, 0o757, 0o1757, 0o1777])
@pytest.mark.parametrize("owner", [0, NOBODY.uid])
def test_what_can_be_put_in_place_of_a_folder(place, mode, owner):
    """Whoever may write a folder above can; a sticky one keeps what is not the user's own."""
    folder = place / "above/state"
    folder.mkdir(parents=True)
    os.chown(folder, owner, 0)
    folder.parent.chmod(mode)
    found = access.replaces(NOBODY, folder)
    assert (found is not None) == as_user(NOBODY, lambda: folder.rename(folder.with_name("aside")))
    assert found is None or (found.path, found.way) == (folder.parent, Way.OTHER)


def test_a_link_on_the_way_is_seen(place):
    """Who may write the folder that a link stands in can point it elsewhere."""
    (place / "real/state").mkdir(parents=True)
    (place / "open").mkdir()
    (place / "open").chmod(0o777)
    (place / "open/link").symlink_to(place / "real")
    assert access.replaces(NOBODY, place / "real/state") is None
    found = access.replaces(NOBODY, place / "open/link/state")
    assert found is not None
    assert found.path == place / "open"


def test_what_is_not_there_yet_is_taken_as_made_by_us(place):
    """A state directory still to be made in a sticky folder is nobody else's."""
    (place / "sticky").mkdir()
    (place / "sticky").chmod(0o1777)
    assert access.replaces(NOBODY, place / "sticky/state") is None
    (place / "sticky").chmod(0o777)
    assert access.replaces(NOBODY, place / "sticky/state") is not None


def test_the_walk_finds_all_that_is_open_and_no_more(place):
    """Files and folders, no links; nothing behind a closed folder, or left out by name."""
    for name, mode in (("a", 0o666), ("b", 0o644), ("open/c", 0o602), ("closed/d", 0o666), (".treegate/e", 0o666)):
        path = place / "case" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        path.chmod(mode)
    for name, mode in (("open", 0o777), ("closed", 0o700), ("", 0o755), (".treegate", 0o777)):
        (place / "case" / name).chmod(mode)
    (place / "case/link").symlink_to("a")
    (place / "case/folder-link").symlink_to("open")
    found = {
        one.path.relative_to(place / "case").as_posix()
        for one in access.openings(NOBODY, place / "case", frozenset({".treegate"}))
    }
    assert found == {"a", "open", "open/c"}


def test_root_may_do_all(tmp_path):
    """No bit keeps root out."""
    tmp_path.chmod(0o000)
    assert access.allowed(User("root", 0, frozenset({0})), tmp_path, SEARCH) is Way.ROOT
    tmp_path.chmod(0o700)


def test_a_user_has_its_groups():
    """As the system's own tables give them; who is not there is a KeyError."""
    name = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    groups = subprocess.run(["id", "-G", name], capture_output=True, text=True, check=True).stdout.split()
    assert access.user_named(name).groups == {int(one) for one in groups}
    with pytest.raises(KeyError):
        access.user_named("no-such-user-here")
