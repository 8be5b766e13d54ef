"""What others do to the tree between approval and apply, and what a plan may never reach."""

from __future__ import annotations

import contextlib
import errno
import os
import socket

import msgspec
import pytest
from gatework import OLD, Office, create, delete, move, plan, replace

from treegate.engine import posix
from treegate.engine.workspace import Workspace
from treegate.errors import NotFound, NotVerified, PlanError, RolledBack, Stale, TreegateError
from treegate.gate import surroundings


def codes(done) -> list[str]:
    return [problem.code for problem in done.problems if problem.severity == "error"]


def is_stale(office: Office, id: str) -> None:
    """Applying is refused as stale (5), nothing of the tree moved, and nothing is left over."""
    before = office.tree()
    with pytest.raises(Stale) as refused:
        office.gate.apply(id)
    assert refused.value.exit_status == 5
    assert office.tree() == before
    assert office.gate.show(id).plan.state == "stale"
    office.sound()


# 19: a source changed


def edited(office: Office) -> None:
    office.put("Smith/a", "other")


def edited_in_place(office: Office) -> None:
    """The same inode, size and mtime, with other bytes."""
    path = office.path("Smith/a")
    with path.open("r+b") as file:
        file.write(b"b")
    os.utime(path, ns=(OLD, OLD))


def gone(office: Office) -> None:
    office.path("Smith/a").unlink()


def another(office: Office) -> None:
    office.path("Smith/a").unlink()
    office.put("Smith/a", "a")


def became_a_folder(office: Office) -> None:
    office.path("Smith/a").unlink()
    office.path("Smith/a").mkdir()


OPERATIONS = {
    "move": move("a", "z/a"),
    "delete": delete("a"),
    "replace": replace("a"),
    "copy": {"op": "copy", "from": "a", "to": "b"},
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("drift", [edited, edited_in_place, gone, another, became_a_folder])
def test_19_a_source_that_changed_after_approval_is_stale_and_nothing_is_done(office, drift, operation):
    """Not even the operations whose own sources are as they were."""
    if drift is edited_in_place and operation == "move":
        pytest.skip("a move takes the bytes along, whichever they are")
    office.put("Smith/a", "a")
    office.put("Smith/other", "other")
    id = office.approved(move("other", "moved"), OPERATIONS[operation])
    drift(office)
    is_stale(office, id)


def test_19_a_folder_that_changed_inside_may_still_be_moved_whole(office):
    """Where no rule concerns its contents, what was added meanwhile is carried along, and the receipt says so."""
    (office.state / "treegate.toml").write_text("[policy.approval]\nown = true\n[policy.protect]\npaths = []\n")
    office.reopen()
    office.put("Smith/in/a", "a")
    id = office.approved(move("in", "out"))
    office.put("Smith/in/later", "later")
    receipt = office.gate.apply(id).receipt
    assert office.path("Smith/out/later").read_text() == "later"
    assert "carried 1 file" in "".join(receipt.notes)


def test_a_file_that_appears_after_the_preview_stays_where_a_glob_would_have_taken_it(office):
    """The expansion was settled at the preview."""
    office.put("Smith/in/a.pdf", "a")
    id = office.approved({"op": "move", "match": "in/*.pdf", "to": "out/{name}"})
    office.put("Smith/in/b.pdf", "b")
    office.gate.apply(id)
    assert office.path("Smith/in/b.pdf").exists()
    assert office.path("Smith/out/a.pdf").exists()


# 20: a target appeared


@pytest.mark.parametrize("there", ["file", "folder", "link", "broken link"])
@pytest.mark.parametrize(
    "operation", [move("a", "b"), create("b"), {"op": "mkdir", "path": "b"}, {"op": "copy", "from": "a", "to": "b"}]
)
def test_20_a_target_that_appeared_after_approval_is_never_replaced(office, operation, there):
    """Stale, and what appeared stays."""
    office.put("Smith/a", "a")
    id = office.approved(operation)
    target = office.path("Smith/b")
    if there == "file":
        target.write_text("theirs")
    elif there == "folder":
        target.mkdir()
    else:
        target.symlink_to("a" if there == "link" else "nowhere")
    is_stale(office, id)


def test_20_a_target_that_appears_between_the_last_look_and_the_rename_is_never_replaced(office, monkeypatch):
    """The rename itself refuses; the run is taken back (6), and what appeared stays."""
    from treegate.engine.carry import Carrier

    office.put("Smith/a", "a")
    office.put("Smith/c", "c")
    id = office.approved(move("c", "d"), move("a", "b"))
    real = Carrier.carry

    def late(self, steps):
        office.put("Smith/b", "theirs")
        monkeypatch.setattr(Carrier, "carry", real)
        return real(self, steps)

    monkeypatch.setattr(Carrier, "carry", late)
    with pytest.raises(TreegateError) as failed:
        office.gate.apply(id)
    assert failed.value.exit_status == 6
    texts = {name: office.path(f"Smith/{name}").read_text() for name in "abc"}
    assert texts == {"a": "a", "b": "theirs", "c": "c"}


# 21, 22


def test_21_swaps_cycles_and_inversions_come_out_right(office):
    """A swap, a three-way cycle, a folder under its own child's old place, and a swap of folders, and back."""
    for name in ("a", "b", "x", "y", "z", "outer/inner/leaf", "p/1", "q/2"):
        office.put(f"Smith/{name}", name)
    before = office.tree()
    run = office.carried_out(
        move("a", "t"), move("b", "a"), move("t", "b"),
        move("x", "t"), move("z", "x"), move("y", "z"), move("t", "y"),
        move("outer/inner", "inner"), move("outer", "inner/outer"),
        move("p", "t"), move("q", "p"), move("t", "q"),
    ).run  # fmt: skip
    texts = {name: office.path(f"Smith/{name}").read_text() for name in ("a", "b", "x", "y", "z", "p/2", "q/1")}
    assert texts == {"a": "b", "b": "a", "x": "z", "y": "x", "z": "y", "p/2": "q/2", "q/1": "p/1"}
    assert office.path("Smith/inner/leaf").exists()
    assert office.path("Smith/inner/outer").is_dir()
    assert not office.path("Smith/outer").exists()
    office.undone(run)
    assert office.tree() == before


@pytest.mark.parametrize("to", ["in/in", "in/deep/in", "in/"])
def test_22_a_folder_moved_into_itself_is_a_problem(office, to):
    """Told before anything is stored as valid, and nothing happens."""
    office.put("Smith/in/deep/a", "a")
    done = office.submit(move("in", to))
    assert done.state == "invalid"
    assert codes(done)


# 23: mounts that fold


@pytest.fixture
def folding(office, monkeypatch):
    """The office on a mount that holds `a` and `A`, and NFC and NFD, for one name."""
    real = Workspace.capabilities

    def folds(self, case, *, anew=False):
        return msgspec.structs.replace(real(self, case, anew=anew), folds_case=True, folds_unicode=True)

    monkeypatch.setattr(Workspace, "capabilities", folds)
    return office


@pytest.mark.parametrize(("there", "to"), [("Notes.txt", "NOTES.txt"), ("caf\u00e9", "cafe\u0301")])
def test_23_names_that_the_mount_folds_together_are_a_problem(folding, there, to):
    """`a` and `A`, NFC and NFD: the target is taken."""
    folding.put(f"Smith/{there}", "one")
    folding.put("Smith/x", "two")
    done = folding.submit(move("x", to))
    assert done.state == "invalid"
    assert codes(done)
    two = folding.submit(create("New"), create("new"))
    assert codes(two)


def test_23_a_rename_that_changes_only_case_is_right(folding):
    """It is no collision with itself."""
    folding.put("Smith/notes.txt", "one")
    folding.carried_out({"op": "rename", "path": "notes.txt", "name": "Notes.txt"})
    assert [path.name for path in folding.path("Smith").iterdir()] == ["Notes.txt"]


def test_23_where_the_mount_does_not_fold_they_are_two_names(office):
    """Both may stand side by side."""
    office.put("Smith/notes", "one")
    office.put("Smith/x", "two")
    office.carried_out(move("x", "Notes"))
    assert {path.name for path in office.path("Smith").iterdir()} == {"notes", "Notes"}


# 25 to 27


def test_25_a_file_held_open_while_it_is_moved_loses_no_byte(office):
    """What is written through the open handle arrives in the moved file."""
    path = office.put("Smith/log", "one\n")
    id = office.approved(move("log", "logs/log"))
    with path.open("a") as file:
        office.gate.apply(id)
        file.write("two\n")
    assert office.path("Smith/logs/log").read_text() == "one\ntwo\n"


@pytest.mark.parametrize("inside", ["late", "deep/late"])
def test_26_a_file_added_under_a_folder_after_its_deletion_was_approved_is_stale(office, inside):
    """The approval was of what the folder held."""
    office.put("Smith/tmp/deep/a", "a")
    id = office.approved(delete("tmp", recursive=True))
    office.put(f"Smith/tmp/{inside}", "late")
    is_stale(office, id)


def test_26_a_file_edited_under_a_folder_after_its_deletion_was_approved_is_stale(office):
    """Its content was approved to go, not another."""
    office.put("Smith/tmp/deep/a", "a")
    id = office.approved(delete("tmp", recursive=True))
    office.put("Smith/tmp/deep/a", "better")
    is_stale(office, id)


def test_27_another_entry_swapped_in_between_check_and_rename_is_put_back(office, monkeypatch):
    """What came along by mistake goes back to its name, and the run is taken back."""
    from treegate.engine.carry import Carrier

    office.put("Smith/a", "a")
    id = office.approved(move("a", "b"))
    real = Carrier.carry

    def late(self, steps):
        monkeypatch.setattr(Carrier, "carry", real)
        office.path("Smith/a").rename(office.path("Smith/away"))
        office.put("Smith/a", "theirs")
        return real(self, steps)

    monkeypatch.setattr(Carrier, "carry", late)
    with pytest.raises(TreegateError) as failed:
        office.gate.apply(id)
    assert failed.value.exit_status in (6, 7)
    assert office.path("Smith/a").read_text() == "theirs"
    assert office.path("Smith/away").read_text() == "a"
    assert not office.path("Smith/b").exists()


# 29 to 35: paths


def test_29_a_case_whose_name_begins_like_another_is_another(firm):
    """A token for `Smith` opens nothing of `Smith-evil`, and a protected path protects no namesake."""
    from treegate.errors import Denied
    from treegate.model.actors import Role

    firm.put("Smith/a", "a")
    firm.put("Smith-evil/a", "a")
    firm.reopen()
    agent = firm.person("agent", Role.AUTHOR, cases=["Smith"])
    with pytest.raises(Denied):
        agent.submit(plan(move("a", "b"), case="Smith-evil"))
    with pytest.raises(Denied):
        agent.submit(plan(move("Smith-evil/a", "Smith/stolen"), case=None))
    assert agent.submit(plan(move("a", "b"))).state == "pending"


def test_29_a_protected_folder_protects_no_namesake(office):
    """`/Smith/data/**` says nothing of `/Smith/data-evil`."""
    office.put("Smith/data/a", "a")
    office.put("Smith/data-evil/a", "a")
    (office.state / "treegate.toml").write_text(
        '[policy.approval]\nown = true\n[policy.protect]\npaths = ["/Smith/data/**"]\n'
    )
    office.reopen()
    assert codes(office.submit(move("data/a", "x")))
    assert not codes(office.submit(move("data-evil/a", "x")))


@pytest.mark.parametrize(
    "path", ["../Jones/a", "in/../../Jones/a", "/etc/passwd", "in//a", "./a", "in/.", "", "a\0b"]
)
@pytest.mark.parametrize("key", ["from", "to"])
def test_30_paths_that_leave_the_case_are_refused(office, path, key):
    """`..`, absolute, empty, NUL: exit status 3, and nothing is touched."""
    office.put("Smith/in/a", "a")
    before = office.tree()
    operation = {"op": "move", "from": "in/a", "to": "in/b", key: path}
    with contextlib.suppress(PlanError):  # exit status 3
        done = office.submit(operation)
        assert done.state == "invalid"
        assert done.problems[0].pointer == f"/operations/0/{key}"
    assert office.tree() == before


@pytest.mark.parametrize("which", ["source folder", "target folder"])
def test_31_a_symlink_swapped_in_before_apply_is_not_followed(office, tmp_path, which):
    """A folder on the way that became a link to elsewhere: refused, and elsewhere stays as it was."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_text("outside")
    office.put("Smith/in/a", "a")
    office.path("Smith/out").mkdir()
    id = office.approved(move("in/a", "out/b"))
    swapped = office.path("Smith/in" if which == "source folder" else "Smith/out")
    swapped.rename(office.path("Smith/was"))
    swapped.symlink_to(outside)
    before = office.tree()
    with pytest.raises(TreegateError) as refused:
        office.gate.apply(id)
    assert refused.value.exit_status in (4, 5)
    assert office.tree() == before
    assert [path.name for path in outside.iterdir()] == ["a"]


def test_31_a_symlink_swapped_in_mid_run_is_not_followed(office, tmp_path, monkeypatch):
    """Between two batches a folder becomes a link: denied, taken back, and elsewhere stays as it was."""
    from dataclasses import replace as changed

    from treegate.engine.carry import Carrier

    real_context, real = surroundings.context_of, Carrier.carry
    monkeypatch.setattr(surroundings, "context_of", lambda *given: changed(real_context(*given), batch=1))
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("a", "b"):
        office.put(f"Smith/{name}", name)
    office.path("Smith/out").mkdir()
    id = office.approved(move("a", "out/a"), move("b", "out/b"))
    calls = []

    def late(self, steps):
        calls.append(1)
        if len(calls) == 2:
            office.path("Smith/out").rename(office.path("Smith/was"))
            office.path("Smith/out").symlink_to(outside)
        return real(self, steps)

    monkeypatch.setattr(Carrier, "carry", late)
    with pytest.raises(TreegateError):
        office.gate.apply(id)
    assert list(outside.iterdir()) == []
    assert office.path("Smith/b").read_text() == "b"


def test_32_hard_links_are_said_in_the_preview_and_each_entry_is_its_own(office):
    """Two names of one file: a warning names it; one name moves, the other stays, and a swap of both is right."""
    first = office.put("Smith/a", "a")
    os.link(first, office.path("Smith/b"))
    before = office.tree()
    done = office.submit(move("a", "c"))
    assert [problem.code for problem in done.problems] == ["several-hard-links"]
    office.gate.approve(done.id, done.digest)
    run = office.gate.apply(done.id).run
    assert {path.name for path in office.path("Smith").iterdir()} == {"b", "c"}
    office.undone(run)
    assert office.tree() == before


def test_33_a_mount_point_inside_is_refused(office, mount):
    """What holds another mount is neither moved nor deleted, and nothing is moved into the mount."""
    office.put("Smith/in/deep/a", "a")
    office.put("Smith/x", "x")
    other = office.root.parent / "other"
    other.mkdir()
    mount(office.path("Smith/in/deep"), "--bind", str(other))
    for operation in (
        move("in/deep", "out"),
        move("in", "out"),
        delete("in", recursive=True),
        move("x", "in/deep/x"),
    ):
        done = office.submit(operation)
        assert codes(done), operation
    assert is_mounted(office.path("Smith/in/deep"))


def test_33_a_mount_that_appears_after_approval_is_refused(office, mount):
    """Nothing happens, and the mount stays."""
    office.put("Smith/in/deep/a", "a")
    id = office.approved(move("in", "out"))
    other = office.root.parent / "other"
    other.mkdir()
    mount(office.path("Smith/in"), "--bind", str(other))
    with pytest.raises(TreegateError) as refused:
        office.gate.apply(id)
    assert refused.value.exit_status in (4, 5, 6)
    assert is_mounted(office.path("Smith/in"))
    assert not office.path("Smith/out").exists()


def is_mounted(path) -> bool:
    with open("/proc/self/mountinfo") as mounts:
        return any(line.split()[4] == str(path) for line in mounts)


@pytest.mark.parametrize("operation", ["move", "copy", "delete", "replace"])
@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
def test_34_special_files_are_refused_without_blocking(office, kind, operation):
    """A FIFO, a socket, a device: no operation opens one, nor a folder that holds one is copied."""
    path = office.path("Smith/odd")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(path.parent)  # its address may not be long
        try:
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind("odd")
        finally:
            os.chdir(here)
    else:
        try:
            os.mknod(path, 0o020600, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("needs root, to make a device")
    operations = {"move": move("odd", "b"), "copy": {"op": "copy", "from": "odd", "to": "b"},
                  "delete": delete("odd"), "replace": replace("odd")}  # fmt: skip
    assert codes(office.submit(operations[operation]))
    assert os.path.lexists(path)


@pytest.mark.parametrize("name", [b"line\nbreak", b"caf\xe9 \xff", b"\xe2\x80\xae evil", b"tab\there", b"n" * 255])
def test_35_odd_names_are_carried_through_and_back(office, name):
    """A newline, bytes that are not UTF-8, control and bidi characters, 255 bytes."""
    from urllib.parse import quote_from_bytes

    path = os.path.join(os.fsencode(office.path("Smith")), name)
    with open(path, "wb") as file:
        file.write(b"odd")
    before = office.tree()
    run = office.carried_out({"op": "move", "from": quote_from_bytes(name), "to": "plain", "raw": True}).run
    assert office.path("Smith/plain").read_text() == "odd"
    office.undone(run)
    assert office.tree() == before
    run = office.carried_out({"op": "move", "match": "*", "to": "deep/{name}"}).run
    office.undone(run)
    assert office.tree() == before
    deleted = office.carried_out({"op": "delete", "path": quote_from_bytes(name), "raw": True}).run
    office.undone(deleted)
    assert office.tree() == before
    office.sound()


@pytest.mark.parametrize("name", ["n" * 300, "é" * 128])
def test_35_names_over_255_bytes_are_a_problem(office, name):
    """Told by the preview, in bytes."""
    office.put("Smith/a", "a")
    done = office.submit(move("a", name))
    assert done.state == "invalid"
    assert any("255" in problem.message + problem.hint for problem in done.problems)


@pytest.mark.parametrize("name", [".treegate", ".treegate/x"])
def test_treegates_own_folder_is_no_plans_to_touch(office, name):
    """Neither in the workspace nor in a case."""
    office.put("Smith/a", "a")
    assert codes(office.submit(move("a", name)))


# 36: the workspace is not what it was


def test_36_an_emptied_workspace_is_refused(office):
    """A bucket that is not mounted looks like an empty folder: without the marker nothing starts (9)."""
    id_before = office.gate.core.workspace.id
    office.root.rename(office.root.with_name("unmounted"))
    office.root.mkdir()
    with pytest.raises(NotFound) as refused:
        office.open()
    assert (refused.value.code, refused.value.exit_status) == ("marker-missing", 9)
    assert "mounted" in refused.value.hint
    assert list(office.root.iterdir()) == []
    office.root.rmdir()
    with pytest.raises(NotFound):
        office.open()
    office.root.with_name("unmounted").rename(office.root)
    assert office.open().core.workspace.id == id_before


def test_36_a_workspace_that_is_emptied_under_an_open_gate_is_refused(office):
    """A long-lived gate notices too: nothing is written into the empty folder."""
    office.put("Smith/a", "a")
    id = office.approved(move("a", "b"))
    office.root.rename(office.root.with_name("unmounted"))
    (office.root / "projects/Smith").mkdir(parents=True)
    with pytest.raises(TreegateError):
        office.gate.apply(id)
    assert [path.name for path in office.root.rglob("*")] == ["projects", "Smith"]
    office.root.rename(office.root.with_name("empty"))
    office.root.with_name("unmounted").rename(office.root)
    assert office.reopen().apply(id).state == "applied"


def test_36_another_workspaces_state_is_refused(office, fast):
    """The marker names the state that owns it; another one does not verify (10)."""
    other = Office(fast / "other", fast / "other-state")
    other.close()
    with pytest.raises(NotVerified) as refused:
        type(office.gate).open(office.root, {"TREEGATE_STATE": str(other.state)})
    assert (refused.value.code, refused.value.exit_status) == ("state-mismatch", 10)


@pytest.mark.parametrize("marker", [b"", b"{", b'{"format": 1}', b"\xff\xfe"])
def test_36_a_damaged_marker_is_refused(office, marker):
    """It does not verify (10)."""
    (office.root / ".treegate/workspace.json").write_bytes(marker)
    with pytest.raises(NotVerified) as refused:
        office.open()
    assert (refused.value.code, refused.value.exit_status) == ("marker-damaged", 10)


# 37, 43: what exactly was approved


def test_37_one_byte_of_the_plan_makes_another_digest(office):
    """An approval of one is none of the other."""
    office.put("Smith/a", "a")
    first, second = office.submit(move("a", "b1")), office.submit(move("a", "b2"))
    assert first.digest != second.digest
    with pytest.raises(Stale):
        office.gate.approve(second.id, first.digest)


def test_37_a_content_that_the_plan_brings_is_part_of_what_is_approved(office):
    """One byte of it is another digest; and a blob that was changed in the store afterwards is never placed."""
    first, second = office.submit(create("f", "content1")), office.submit(create("f", "content2"))
    assert first.digest != second.digest
    office.gate.approve(first.id, first.digest)
    for blob in (office.state / "blobs").rglob("*"):
        if blob.is_file() and blob.read_bytes() == b"content1":
            blob.chmod(0o600)
            blob.write_bytes(b"contentX")
    before = office.tree()
    with pytest.raises(TreegateError):
        office.gate.apply(first.id)
    assert office.tree() == before
    office.told("brings was changed")


def test_37_one_byte_of_the_tree_makes_it_stale(office):
    """A byte of a file that the plan takes, changed after approval."""
    office.put("Smith/a", "aaaa")
    id = office.approved(delete("a"))
    edited_in_place(office)
    is_stale(office, id)


def test_37_a_changed_policy_is_another_digest(office):
    """The policy is part of what was approved."""
    office.put("Smith/a", "a")
    first = office.submit(move("a", "b"))
    (office.state / "treegate.toml").write_text("[policy.approval]\nown = true\n[policy.limits]\ndeletes = 7\n")
    office.reopen()
    assert office.submit(move("a", "b")).digest != first.digest


def test_43_approved_then_stale_then_submitted_unchanged_is_decided_anew(office):
    """The old approval serves nothing: the same plan on the changed tree waits for a decision again."""
    office.put("Smith/a", "a")
    id = office.approved(move("a", "b"))
    office.put("Smith/a", "edited")
    is_stale(office, id)
    again = office.submit(move("a", "b"))
    assert again.state == "pending"
    with pytest.raises(TreegateError) as refused:
        office.gate.apply(again.id)
    assert refused.value.code == "not-approved"
    with pytest.raises(Stale):
        office.gate.apply(id)
    office.gate.approve(again.id, again.digest)
    assert office.gate.apply(again.id).state == "applied"


# A case on a filesystem of its own


@pytest.fixture
def island(tmp_path, mount):
    """An office whose case Jones is a filesystem of its own."""
    office = Office(tmp_path / "office", tmp_path / "state")
    mount(office.path("Jones"), "-t", "tmpfs", "-o", "size=8m", "none")
    office.reopen()
    yield office
    office.close()


def test_a_case_on_another_filesystem_has_an_area_of_its_own(island):
    """Its vault is beside its files; apply, undo and fsck work there, and no listing shows the area."""
    island.put("Jones/a", "a")
    island.put("Jones/b", "b")
    before = island.tree()
    run = island.carried_out(delete("a"), move("b", "c"), create("d"), case="Jones").run
    assert (island.path("Jones") / ".treegate/vault" / run).is_dir()
    assert not (island.root / ".treegate/vault" / run).exists()
    island.undone(run)
    assert island.tree() == before
    assert codes(island.submit(delete(".treegate", recursive=True), case="Jones"))
    island.sound()


def test_a_move_between_filesystems_is_a_problem_and_a_copy_is_not(island):
    """A move would have to copy and delete; the copy can be asked for."""
    island.put("Smith/a", "a")
    assert codes(island.submit(move("Smith/a", "Jones/a"), case=None)) == ["other-filesystem"]
    island.carried_out({"op": "copy", "from": "Smith/a", "to": "Jones/a"}, case=None)
    assert island.path("Jones/a").read_text() == "a"
    island.sound()


def test_a_crash_of_a_run_over_two_filesystems_is_recovered(island):
    """Both cases come to the same side."""
    from gatework import die

    from treegate.engine.course import Course

    island.put("Smith/a", "a")
    island.put("Jones/b", "b")
    before = island.tree()
    for back in (True, False):
        id = island.approved(move("Smith/a", "Smith/x"), delete("Jones/b"), create("Jones/c"), case=None)
        island.crash(lambda gate, id=id: gate.apply(id), (Course, "end", die))
        island.reopen().recover(back=back)
        assert (island.tree() == before) == back
    island.sound()


# what others write while a run is under way that is then taken back


@pytest.mark.parametrize("entry", ["new.txt", "Made/theirs.txt"], ids=["into a new file", "into a new folder"])
def test_what_someone_writes_into_what_a_run_made_outlives_its_going_back(office: Office, monkeypatch, entry: str):
    """28: the run takes back what it made, and leaves aside what others wrote meanwhile, which fsck tells of."""
    office.put("Smith/last", "stays")
    mode = {"op": "set", "path": "last", "mode": "0600"}
    id = office.approved(create("new.txt"), {"op": "mkdir", "path": "Made"}, mode)

    def fails(*_):
        with open(office.path(f"Smith/{entry}"), "a") as file:
            file.write("written meanwhile\n")
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(posix, "chmod", fails)
    with pytest.raises(RolledBack):
        office.gate.apply(id)
    (left,) = [path for path in (office.root / ".treegate/runs").rglob("*") if path.is_file()]
    assert left.read_text().endswith("written meanwhile\n")
    (found,) = office.gate.fsck()
    assert "which ended" in found.title
