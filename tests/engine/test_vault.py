"""The vault's folder of a run: what is written there, what is let go, what is never touched."""

import json
import os
import shutil

import pytest
from vaultwork import Office

from treegate.engine import handles, posix, tablefile, vault
from treegate.engine.context import APPLIED, Result
from treegate.engine.journal import Entry
from treegate.engine.store.records import Kept
from treegate.errors import Denied, NotVerified
from treegate.model.lifecycle import State


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


def test_fsck_goes_on_where_it_cannot_note_what_a_script_did(office):
    """The step table beside the receipt is damaged: that is a finding among others."""
    assert office.script().returncode == 0
    (office.workspace.state / "receipts" / f"{office.run}.table").write_bytes(b"garbage")
    assert any("rollback.sh" in found.title and office.run in found.title for found in office.gate.fsck())
    (office.workspace.state / "receipts" / f"{office.run}.table").unlink()
    assert any("rollback.sh" in found.title and office.run in found.title for found in office.gate.fsck())
