"""The vault's folder of a run: what is written there, what is let go, what is never touched."""

import json
import os
import shutil
import subprocess

import pytest

from treegate.engine import handles, posix, tablefile, vault
from treegate.engine.context import APPLIED, Result
from treegate.engine.journal import Entry
from treegate.engine.store.records import Kept
from treegate.errors import Denied, NotVerified
from treegate.gate import Gate
from treegate.model.lifecycle import State

OPERATIONS = [
    {"op": "move", "from": "a.txt", "to": "Sorted/a.txt"},
    {"op": "move", "from": "b.txt", "to": "t"},
    {"op": "move", "from": "c.txt", "to": "b.txt"},
    {"op": "move", "from": "t", "to": "c.txt"},
    {"op": "rename", "path": "folder", "name": "renamed"},
    {"op": "rename", "path": "caf%E9", "name": "cafe", "raw": True},
    {"op": "delete", "path": "gone.txt"},
    {"op": "delete", "path": "tree", "recursive": True},
    {"op": "delete", "path": "line%0Abreak%FF", "raw": True},
    {"op": "replace", "path": "old.txt", "content": "new"},
    {"op": "create", "path": "index.md", "content": "# Index"},
    {"op": "copy", "from": "keep.txt", "to": "Sorted/copy.txt"},
    {"op": "symlink", "path": "latest", "target": "Sorted"},
    {"op": "set", "path": "keep.txt", "mode": "0600"},
]


class Office:
    """A workspace with one case, and one applied run in it."""

    def __init__(self, folder):
        self.case = folder / "ws/projects/Case"
        (self.case / "tree/deep").mkdir(parents=True)
        (self.case / "folder").mkdir()
        files = (
            "a.txt",
            "b.txt",
            "c.txt",
            "gone.txt",
            "old.txt",
            "keep.txt",
            "tree/x",
            "tree/deep/y",
            "folder/inside",
        )
        for name in files:
            (self.case / name).write_text(f"content of {name}")
        for name in (b"caf\xe9", b"line\nbreak\xff"):
            with open(os.fsencode(self.case) + b"/" + name, "wb") as file:
                file.write(name)
        self.gate = Gate.init(folder / "ws", solo=True, environ={"TREEGATE_STATE": str(folder / "state")})
        self.workspace = self.gate.core.workspace

    def apply(self, operations=OPERATIONS, **head):
        plan = {"version": 1, "operations": operations, **(head or {"case": "Case"})}
        self.plan = self.gate.submit(json.dumps(plan))
        assert not self.plan.problems
        self.gate.approve(self.plan.id, self.plan.digest)
        self.run = self.gate.apply(self.plan.id).run
        self.vault = self.workspace.vault("", self.run)
        return self

    def picture(self):
        found = {}
        for folder, folders, files in os.walk(os.fsencode(self.case)):
            for name in folders + files:
                path = os.path.join(folder, name)
                now = os.lstat(path)
                content = None
                if os.path.islink(path):
                    content = os.readlink(path)
                elif name in files:
                    with open(path, "rb") as file:
                        content = file.read()
                mtime = None if name in folders else now.st_mtime_ns
                found[os.path.relpath(path, os.fsencode(self.case))] = (now.st_mode, mtime, content)
        return found

    def script(self, shell="dash"):
        return subprocess.run([*shell.split(), str(self.vault / "rollback.sh")], capture_output=True, text=True)


@pytest.fixture
def office(tmp_path):
    made = Office(tmp_path)
    made.before = made.picture()
    return made.apply()


# -- written


def test_the_manifest_names_everything_kept_by_its_entry_number(office):
    """Manifest, `vault list` and the folder itself agree; names that are not UTF-8 are tagged."""
    text = (office.vault / "manifest.json").read_text()
    manifest = json.loads(text)
    entries = {entry.pop("entry"): entry for entry in manifest.pop("entries")}
    assert manifest["format"] == 1
    assert manifest["run"] == office.run
    assert manifest["workspace"] == office.workspace.id
    assert manifest["created"] < manifest["until"]
    assert set(entries) == {kept.entry for kept in office.gate.list_vault()}
    assert {str(entry) for entry in entries} == set(os.listdir(office.vault / "entries"))
    paths = [entry["path"] for entry in entries.values()]
    assert sorted(path for path in paths if isinstance(path, str)) == ["Case/gone.txt", "Case/old.txt", "Case/tree"]
    assert {"raw": "Case/line%0Abreak%FF"} in paths
    tree = next(entry for entry in entries.values() if entry["path"] == "Case/tree")
    assert (tree["kind"], tree["files"], tree["case"]) == ("dir", 2, "Case")
    assert len(text.splitlines()) == 2 + len(entries)


def test_the_vault_is_closed_to_others(office):
    assert office.vault.stat().st_mode & 0o777 == 0o700
    assert all((office.vault / name).stat().st_mode & 0o077 == 0 for name in os.listdir(office.vault))


@pytest.mark.parametrize("shell", ["dash", "busybox sh", "bash"])
def test_the_script_undoes_what_a_gate_applied_and_the_gate_takes_note(office, shell):
    """A real run of every operation comes back byte for byte, and `fsck` then knows that it is undone."""
    if not shutil.which(shell.split()[0]):
        pytest.skip(f"needs {shell}")
    assert office.picture() != office.before
    done = office.script(shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert office.picture() == office.before
    assert vault.mark_of(office.workspace, "", office.run) in done.stdout + (office.vault / "rolled-back").read_text()
    assert office.gate.fsck() == []
    assert office.gate.show(office.plan.id).plan.state is State.UNDONE
    assert office.gate.list_vault() == []


def test_a_run_that_treegate_undid_is_not_undone_again(office):
    """After `undo` the script finds that nothing is as that run left it."""
    undo = office.gate.undo(office.run).submitted
    office.gate.approve(undo.id, undo.digest)
    office.gate.apply(undo.id)
    found = office.picture()
    assert found == office.before
    assert office.script().returncode == 1
    assert office.picture() == found


def test_an_undo_can_be_undone_by_its_own_script(office):
    """The script of the undo's run brings back what the first run had made of the tree."""
    after = office.picture()
    undo = office.gate.undo(office.run).submitted
    office.gate.approve(undo.id, undo.digest)
    office.vault = office.workspace.vault("", office.gate.apply(undo.id).run)
    done = office.script()
    assert (done.returncode, done.stderr) == (0, "")
    assert office.picture() == after


def test_a_run_that_keeps_nothing_can_be_rolled_back_too(tmp_path):
    office = Office(tmp_path)
    before = office.picture()
    office.apply([{"op": "move", "from": "a.txt", "to": "b/a.txt"}])
    assert json.loads((office.vault / "manifest.json").read_text())["entries"] == []
    assert office.script().returncode == 0
    assert office.picture() == before


def test_no_mark_where_the_script_was_not_used(office):
    assert vault.mark_of(office.workspace, "", office.run) is None
    assert vault.mark_of(office.workspace, "", "run_unknown") is None


def _again(office, kept=()):
    """What the gate does when a run ends, or when its recovery ends it."""
    stored = office.gate.core.store.run(office.run)
    table = tablefile.read(office.gate.state / "receipts" / f"{office.run}.table", stored.table_digest)
    facts = next(step.facts for step in table.steps() if step.facts)
    built = {row.number: Entry(row.number, facts, "") for row in table.staged}
    vault.write(office.workspace, office.run, table, Result(APPLIED, None, built, 0.0, 0), kept, 1_700_000_000_123)


def _contents(folder):
    return {name: (folder / name).read_bytes() for name in os.listdir(folder) if name != "entries"}


class _Cut(BaseException):
    """Stands for the end of the process."""


def test_a_crash_leaves_each_file_whole_or_absent(office, monkeypatch):
    """Cut at any of its calls, the writing leaves old or new files, and the next one puts it right."""
    for name in ("manifest.json", "rollback.data", "rollback.sh"):
        (office.vault / name).unlink()
    _again(office)
    whole = _contents(office.vault)
    assert set(whole) == {"manifest.json", "rollback.data", "rollback.sh"}
    calls = 0
    for cut in range(1, 100):
        for name in whole:
            (office.vault / name).unlink(missing_ok=True)
        calls = 0

        def counted(real):
            def call(*args, **kwargs):
                nonlocal calls
                calls += 1
                if calls >= cut:  # noqa: B023
                    raise _Cut
                return real(*args, **kwargs)

            return call

        with monkeypatch.context() as patch:
            for name in posix.MUTATING:
                patch.setattr(posix, name, counted(getattr(posix, name)))
            try:
                _again(office)
                break
            except _Cut:
                found = {name: data for name, data in _contents(office.vault).items() if not name.endswith(".new")}
        assert found.items() <= whole.items()
        assert "manifest.json" not in found or found == whole
        _again(office)
        assert _contents(office.vault) == whole
    assert calls > 12


def test_a_manifest_of_100_000_entries_streams(office):
    """It is written line by line, and read again as one document."""
    kept = (
        Kept(
            run=office.run, entry=n, case="Case", path=f"Case/f{n}", kind="file", files=1, size=n, kept_at=0, until=5
        )
        for n in range(100_000)
    )
    _again(office, kept)
    manifest = vault.manifest(office.workspace, "", office.run)
    assert manifest.entries[77_777].path == "Case/f77777"
    assert (manifest.created, manifest.until) == ("20231114T221320.123Z", "19700101T000000.005Z")


def test_a_damaged_manifest_is_said_to_be(office):
    (office.vault / "manifest.json").write_text("{")
    with pytest.raises(NotVerified) as error:
        vault.manifest(office.workspace, "", office.run)
    assert error.value.code == "manifest-damaged"


# -- let go


def _entry(office, path):
    return next(kept.entry for kept in office.gate.list_vault() if kept.path == path)


def test_removing_some_entries_leaves_the_others_and_their_manifest(office):
    entry = _entry(office, "Case/tree")
    others = {kept.entry for kept in office.gate.list_vault()} - {entry}
    vault.remove(office.workspace, "", office.run, [entry])
    assert set(os.listdir(office.vault / "entries")) == {str(other) for other in others}
    assert {line.entry for line in vault.manifest(office.workspace, "", office.run).entries} == others
    vault.remove(office.workspace, "", office.run, [entry])  # gone already: fine


def test_removing_all_entries_removes_the_folder(office):
    vault.remove(office.workspace, "", office.run, [kept.entry for kept in office.gate.list_vault()])
    assert not office.vault.exists()
    assert office.vault.parent.exists()
    vault.remove(office.workspace, "", office.run, [1, 2, 3])
    vault.remove(office.workspace, "", "run_unknown", [1])


def test_what_the_script_set_aside_is_never_removed(office):
    """A folder with anything but treegate's own files in it stays."""
    entries = [kept.entry for kept in office.gate.list_vault()]
    assert office.script().returncode == 0
    set_aside = sorted(os.listdir(office.vault / "undone"))
    vault.remove(office.workspace, "", office.run, entries)
    assert sorted(os.listdir(office.vault / "undone")) == set_aside
    shutil.rmtree(office.vault / "undone")
    (office.vault / "notes").write_text("a person's")
    vault.remove(office.workspace, "", office.run, entries)
    assert (office.vault / "notes").exists()
    assert (office.vault / "rolled-back").exists()


def test_removal_follows_no_link(office, tmp_path):
    """Links in a kept folder, and one in the place of the entry or of the folders above, lead nowhere."""
    outside = tmp_path / "outside"
    (outside / "7").mkdir(parents=True)
    (outside / "7/precious").write_text("stays")
    entry = _entry(office, "Case/tree")
    (office.vault / f"entries/{entry}/link").symlink_to(outside)
    (office.vault / "entries/7777").symlink_to(outside)
    vault.remove(office.workspace, "", office.run, [entry, 7777])
    assert not (office.vault / f"entries/{entry}").exists()
    assert not (office.vault / "entries/7777").is_symlink()
    (office.vault / "entries").rename(office.vault / "real")
    (office.vault / "entries").symlink_to(outside)
    with pytest.raises(OSError, match="symbolic links"):
        vault.remove(office.workspace, "", office.run, [7])
    assert (outside / "7/precious").read_text() == "stays"


def test_removal_takes_deep_and_unwritable_folders(office):
    """A tree deeper than a path can be long, and one that may not be written to, go too."""
    entry = _entry(office, "Case/tree")
    fd = handles.open_root(str(office.vault / f"entries/{entry}"))
    for _ in range(60):
        posix.mkdir(fd, b"d" * 100)
        below = handles.open_child(fd, b"d" * 100)
        handles.close(fd)
        fd = below
    handles.close(fd)
    (office.vault / f"entries/{entry}/deep").chmod(0o500)
    vault.remove(office.workspace, "", office.run, [entry])
    assert not (office.vault / f"entries/{entry}").exists()


def test_removal_crosses_no_mount(office, bind, tmp_path):
    """Something mounted in a kept folder stays, is named, and the other entries go all the same."""
    other = tmp_path / "mounted"
    other.mkdir()
    (other / "precious").write_text("stays")
    entry = _entry(office, "Case/tree")
    bind(other, office.vault / f"entries/{entry}/deep")
    with pytest.raises(Denied) as error:
        vault.remove(office.workspace, "", office.run, [kept.entry for kept in office.gate.list_vault()])
    assert (error.value.code, str(entry) in error.value.message) == ("vault-entry-stays", True)
    assert (other / "precious").exists()
    assert os.listdir(office.vault / "entries") == [str(entry)]
    assert [line.entry for line in vault.manifest(office.workspace, "", office.run).entries] == [entry]


# -- several filesystems


@pytest.fixture
def own_volume(tmp_path):
    """A folder for a case on a filesystem of its own."""
    folder = tmp_path / "ws/projects/Big"
    folder.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs root, to mount a tmpfs: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_each_volume_has_its_own_script(tmp_path, own_volume):
    """A run in two cases on two filesystems leaves a script on each, and is undone when both were used."""
    office = Office(tmp_path)
    (own_volume / "x").write_text("x")
    (own_volume / "y").write_text("y")
    before = office.picture()
    office.apply(
        [
            {"op": "delete", "path": "Case/a.txt"},
            {"op": "move", "from": "Big/x", "to": "Big/sub/x"},
            {"op": "delete", "path": "Big/y"},
        ],
        title="in two cases",
    )
    other = own_volume / ".treegate/vault" / office.run
    assert [entry["path"] for entry in json.loads((other / "manifest.json").read_text())["entries"]] == ["Big/y"]
    assert office.script().returncode == 0
    assert office.picture() == before
    assert office.gate.fsck() == []
    assert office.gate.show(office.plan.id).plan.state is State.APPLIED
    assert [kept.path for kept in office.gate.list_vault()] == ["Big/y"]
    done = subprocess.run(["dash", str(other / "rollback.sh")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert ((own_volume / "x").read_text(), (own_volume / "y").read_text()) == ("x", "y")
    assert not (own_volume / "sub").exists()
    assert office.gate.fsck() == []
    assert office.gate.show(office.plan.id).plan.state is State.UNDONE


def in_two_cases(office, own_volume):
    """A run on two filesystems, and what both trees were before it."""
    (own_volume / "x").write_text("x")
    (own_volume / "y").write_text("y")
    operations = [
        {"op": "delete", "path": "Case/a.txt"},
        {"op": "move", "from": "Case/b.txt", "to": "Case/c2.txt"},
        {"op": "move", "from": "Big/x", "to": "Big/z"},
        {"op": "delete", "path": "Big/y"},
    ]
    before = office.picture()
    return before, office.apply(operations, title="in two cases").run


def here(own_volume):
    return sorted(path.name for path in own_volume.iterdir() if path.name != ".treegate")


def undone(office, run):
    undo = office.gate.undo(run).submitted
    assert undo.state == "pending", undo.problems
    office.gate.approve(undo.id, undo.digest)
    return office.gate.apply(undo.id).run


def test_what_a_script_left_of_a_run_is_undone_by_treegate(tmp_path, own_volume):
    """After the script of one filesystem, undo takes back the rest, and the run counts as undone; both ways again."""
    office = Office(tmp_path)
    before, run = in_two_cases(office, own_volume)
    assert office.script().returncode == 0
    assert office.gate.fsck() == []
    rest = undone(office, run)
    assert (office.picture(), here(own_volume)) == (before, ["x", "y"])
    assert office.gate.core.store.run(run).state is State.UNDONE
    undone(office, rest)
    assert (office.picture(), here(own_volume)) == (before, ["z"])
    assert office.gate.core.store.run(run).state is State.APPLIED
    assert office.gate.fsck() == []


def test_the_script_of_an_undo_on_one_filesystem_brings_its_part_of_the_run_back(tmp_path, own_volume):
    """What the undo had taken out of that vault is kept again, and the run can be undone there once more."""
    office = Office(tmp_path)
    before, run = in_two_cases(office, own_volume)
    undo = undone(office, run)
    office.vault = office.workspace.vault("", undo)
    assert office.script().returncode == 0
    assert office.gate.fsck() == []
    assert [kept.path for kept in office.gate.list_vault()] == ["Case/a.txt"]
    assert office.gate.core.store.run(run).state is State.APPLIED
    undone(office, run)
    assert (office.picture(), here(own_volume)) == (before, ["x", "y"])
    assert office.gate.core.store.run(run).state is State.UNDONE
    assert office.gate.fsck() == []


def test_a_filesystem_that_is_not_mounted_is_not_taken_for_rolled_back(tmp_path, own_volume):
    """The script of the one that is there says nothing about the other."""
    office = Office(tmp_path)
    _, run = in_two_cases(office, own_volume)
    assert office.script().returncode == 0
    subprocess.run(["umount", "-l", str(own_volume)], check=True)
    try:
        gate = Gate.open(tmp_path / "ws", {"TREEGATE_STATE": str(tmp_path / "state")})
        gate.fsck()
        assert gate.core.store.run(run).state is State.APPLIED
    finally:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(own_volume)], check=True)


def test_fsck_goes_on_where_it_cannot_note_what_a_script_did(office):
    """The step table beside the receipt is damaged: that is a finding among others."""
    assert office.script().returncode == 0
    (office.workspace.state / "receipts" / f"{office.run}.table").write_bytes(b"garbage")
    assert any("rollback.sh" in found.title and office.run in found.title for found in office.gate.fsck())
    (office.workspace.state / "receipts" / f"{office.run}.table").unlink()
    assert any("rollback.sh" in found.title and office.run in found.title for found in office.gate.fsck())


def test_a_volume_where_things_only_moved_has_its_script_too(tmp_path, own_volume):
    office = Office(tmp_path)
    (own_volume / "x").write_text("x")
    office.apply([{"op": "move", "from": "Big/x", "to": "Big/z"}], title="in another case")
    script = own_volume / ".treegate/vault" / office.run / "rollback.sh"
    assert subprocess.run(["dash", str(script)], capture_output=True).returncode == 0
    assert (own_volume / "x").read_text() == "x"
    assert not (own_volume / "z").exists()
