"""The vaults and scripts of a run on two filesystems."""

import json
import subprocess

import pytest
from vaultwork import Office

from treegate.gate import Gate
from treegate.model.lifecycle import State


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


def test_a_volume_where_things_only_moved_has_its_script_too(tmp_path, own_volume):
    office = Office(tmp_path)
    (own_volume / "x").write_text("x")
    office.apply([{"op": "move", "from": "Big/x", "to": "Big/z"}], title="in another case")
    script = own_volume / ".treegate/vault" / office.run / "rollback.sh"
    assert subprocess.run(["dash", str(script)], capture_output=True).returncode == 0
    assert (own_volume / "x").read_text() == "x"
    assert not (own_volume / "z").exists()
