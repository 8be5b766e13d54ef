"""Buckets mounted through rclone and s3fs: what is promised there, a mount killed midway, a mount that is gone."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import broken
import pytest
from bucketsweep import AFTER, BEFORE, OPERATIONS, changes, fill, killed
from bucketwork import MOUNTS, NAMES, BucketOffice, Mount, Store, mounted, refuse_without
from gatework import FAILED, in_child, move

from treegate.errors import TreegateError
from treegate.gate import Gate

SEED, POINTS, TWICE = 20260131, 34, 8
COMMAND = "import sys; from treegate.interfaces.cli import main; sys.exit(main())"


_LONG_ON_S3FS = ["rclone", pytest.param("s3fs", marks=pytest.mark.faults)]
short_on_rclone = pytest.mark.parametrize("kind", _LONG_ON_S3FS, indirect=True)


@pytest.fixture(params=sorted(MOUNTS))
def kind(request: pytest.FixtureRequest) -> str:
    refuse_without(request.param)
    return request.param


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    refuse_without(None)
    store = Store()
    yield store
    store.close()


@pytest.fixture
def mount(kind: str, store: Store, tmp_path: Path) -> Iterator[Mount]:
    fill(store, BEFORE)
    with mounted(kind, store, tmp_path) as mount:
        yield mount


@pytest.fixture
def office(mount: Mount, tmp_path: Path) -> Iterator[BucketOffice]:
    office = BucketOffice(mount, tmp_path / "state")
    yield office
    office.close()


def command(office: BucketOffice, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line, as a person types it."""
    argv = [sys.executable, "-c", COMMAND, *words, "--workspace", str(office.root)]
    return subprocess.run(argv, env=office.environ | {"PYTHONPATH": ":".join(sys.path)}, text=True, timeout=120,
                          capture_output=True)  # fmt: skip


# -- what is promised


def test_plans_wait_for_an_admin_to_take_what_is_weaker_on_a_bucket(mount, tmp_path):
    office = BucketOffice(mount, tmp_path / "state", weak="refuse")
    done = office.submit(move("a.txt", "A.txt"))
    office.close()
    assert done.state == "invalid"
    assert [one.code for one in done.problems] == ["weak-mount"]
    assert "weak_mounts" in done.problems[0].hint


def test_preview_and_doctor_say_what_is_weaker_on_a_bucket(office):
    done = office.submit(move("in", "out"))
    weak = {one.code for one in office.gate.show(done.id).preview.weak}
    assert {"no-noreplace", "no-exchange", "folder-moves-not-atomic", "fsync-not-durable", "inodes-unstable"} <= weak
    told = [one.title for one in office.gate.doctor() if one.severity == "warning"]
    assert any("file by file" in title for title in told)
    assert not [one for one in office.gate.doctor() if one.severity == "error"]


def test_a_bucket_holds_what_the_plan_promised_and_after_its_undo_what_it_held_before(office, store, mount):
    run = office.carried_out(*OPERATIONS).run
    office.close()
    mount.unmount()
    assert office.kept() == AFTER
    vault = store.objects(f".treegate/vault/{run}/entries/").values()
    assert {BEFORE[f"Smith/{name}"] for name in ("old.txt", "gone.txt", "gonedir/x", "gonedir/deep/y")} == set(vault)
    mount.mount()
    office.reopen()
    office.undone(run)
    office.told()
    office.close()
    mount.unmount()
    assert office.kept() == BEFORE


@short_on_rclone
def test_names_travel_to_the_bucket_as_they_are_or_are_refused(office, mount):
    """35: names with blanks, signs and letters from everywhere, as long as may be; longer ones are a problem."""
    names = ["Überblick & Notiz (1) 100%.txt", "a+b=c #1 'x'.txt", ".leading", "文書.pdf", "n" * 255]
    sources = ["a.txt", "b.txt", "c.txt", "old.txt", "copyme"]
    office.carried_out(*[move(source, name) for source, name in zip(sources, names, strict=True)])
    refused = office.submit({"op": "create", "path": "/".join(["d" * 250] * 5), "content": ""})
    office.close()
    mount.unmount()
    assert {f"Smith/{name}" for name in names} <= office.kept().keys()
    assert refused.state == "invalid"


# -- killed midway


@short_on_rclone
def test_a_mount_killed_midway_leaves_a_run_that_recovers(kind, store, tmp_path):
    """1: the bucket ends as before the run or as after it, and no content is lost."""
    assert killed(kind, store, tmp_path, 46).wrong == []


@short_on_rclone
def test_a_mount_killed_in_the_recovery_too_leaves_a_run_that_recovers(kind, store, tmp_path):
    """2: the same, of the recovery."""
    assert killed(kind, store, tmp_path, 50, 8).wrong == []


@short_on_rclone
@pytest.mark.parametrize("files", [24, pytest.param(300, marks=pytest.mark.faults)])
def test_a_folder_move_whose_mount_is_killed_stops_with_an_error_and_goes_on_once_it_is_back(
    office, store, mount, files
):
    """1: the command says that the run needs recovery, shows no traceback, and recovery finishes it."""
    pages = {f"Smith/scans/{n:03}.pdf": b"scan %d\n" % n for n in range(files)}
    for name, content in pages.items():
        store.put(f"projects/{name}", content)
    mount.again()
    plan = office.reopen() and office.approved(move("scans", "Correspondence/2024"))
    store.kill_at(mount, 2 * files)
    stopped = command(office, "apply", plan)
    assert stopped.returncode == 7
    assert "Traceback" not in stopped.stderr
    assert "treegate recover" in stopped.stderr
    mount.detach()
    there = [store.objects(f"projects/Smith/{folder}/") for folder in ("scans", "Correspondence/2024")]
    assert all(there), "the kill came too early or too late to be in the middle"
    mount.mount()
    assert command(office, "recover").returncode == 0
    assert store.objects("projects/Smith/Correspondence/2024/") == {
        name.rpartition("/")[2]: content for name, content in pages.items()
    }
    assert store.objects("projects/Smith/scans/") == {}


@pytest.mark.parametrize("engine", ["folders-in-one-act", "under-way-is-made", "dates-are-lost"])
def test_the_harness_catches_engines_that_are_broken_on_purpose(store, tmp_path, engine):
    refuse_without("rclone")

    def sweep() -> None:
        broken.install(engine)
        for change in (42, 48):
            assert killed("rclone", store, tmp_path / str(change), change).wrong == []

    assert in_child(sweep) == FAILED


@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_a_mount_killed_at_any_moment_of_a_run_leaves_a_run_that_recovers(kind, store, tmp_path, tally):
    """1, 2: at moments all over the run, and at pairs of moments of a run and of its recovery."""
    whole, chance = changes(kind, store, tmp_path / "whole"), random.Random(SEED)
    kills = [(change,) for change in sorted(chance.sample(range(1, whole + 1), POINTS))]
    kills += [(chance.randint(whole // 4, whole // 2), chance.randint(1, whole // 2)) for _ in range(TWICE)]
    seen: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    wrong = {}
    for one in kills:
        point = killed(kind, store, tmp_path / "-".join(map(str, one)), *one)
        seen[len(one) > 1][point.outcome] += 1
        wrong |= {one: point.wrong} if point.wrong else {}
    assert wrong == {}
    tally("mount killed in the middle of a run", NAMES[kind], seen[False])
    tally("mount killed in the middle of a run, and again in its recovery", NAMES[kind], seen[True])


# -- a mount that is gone


@short_on_rclone
@pytest.mark.parametrize("leftover", [False, True])
def test_an_unmounted_bucket_is_no_workspace(office, mount, leftover):
    """36: the empty folder where it was refuses to start, with something left in it too; nothing is made there."""
    running = office.gate
    plan = office.approved(move("a.txt", "A.txt"))
    mount.kill()
    mount.detach()
    if leftover:
        (mount.root / "projects/Smith").mkdir(parents=True)
        (mount.root / "projects/Smith/a.txt").write_text("not in the bucket\n")
    for act in (lambda: Gate.open(office.root, office.environ), lambda: running.apply(plan)):
        with pytest.raises(TreegateError) as refused:
            act()
        assert refused.value.code == "marker-missing"
        assert "mounted" in refused.value.hint
    left = [path.name for path in sorted(mount.root.rglob("*"))]
    assert left == (["projects", "Smith", "a.txt"] if leftover else [])


@short_on_rclone
def test_a_mount_that_goes_under_a_running_gate_is_told_as_an_error(office, mount):
    """36: its program killed, every call of the gate says that the workspace cannot be read, and what to do."""
    run = office.carried_out(move("a.txt", "A.txt")).run
    waiting = office.approved(move("b.txt", "B.txt"))
    mount.kill()
    acts = {
        "submit": lambda gate: office.submit(move("c.txt", "C.txt")),
        "apply": lambda gate: gate.apply(waiting),
        "undo": lambda gate: gate.undo(run),
    }
    for act in acts.values():
        with pytest.raises(TreegateError) as refused:
            act(office.gate)
        assert refused.value.code == "workspace-unreadable"
        assert "mount" in refused.value.hint
    for words in (["status"], ["doctor"], ["apply", waiting], ["recover"]):
        told = command(office, *words)
        assert told.returncode not in (0, 1), words
        assert "Traceback" not in told.stderr + told.stdout
    office.again()
    assert office.gate.apply(waiting).state == "applied"
