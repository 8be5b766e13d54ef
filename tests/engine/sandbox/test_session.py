"""A command in a sandbox, from its first output to what it did, and however it ends nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.sandbox.conftest import Bench, leftovers, poll

from treegate.engine.sandbox import session
from treegate.engine.sandbox.order import (
    SANDBOX_USER,
    Captured,
    Case,
    Ended,
    Exited,
    Frame,
    Limits,
    Output,
    Started,
    ViewName,
)

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: an overlay is root's only")


def test_a_command_that_is_cancelled_before_its_runner_looks_ends(bench: Bench):
    """Order and cancellation come in one piece then."""
    with session.start(bench.order("sh", "-c", "sleep 60")) as under_way:
        under_way.cancel()
        exited = next(frame for frame in under_way if isinstance(frame, Exited))
    assert (exited.ended, exited.seconds < 30) == (Ended.CANCELLED, True)


def test_output_comes_as_it_is_written(bench: Bench):
    """A line is told while the command still runs, and each stream as what it is."""
    seen: dict[str, float] = {}

    def note(frame: Frame) -> None:
        if isinstance(frame, Output):
            seen[f"{frame.stream} {frame.data.decode().strip()}"] = time.monotonic()

    ran = bench.sh("echo one; echo two >&2; sleep 0.5; echo three", meanwhile=note)
    assert list(seen) == ["stdout one", "stderr two", "stdout three"]
    assert seen["stdout three"] - seen["stdout one"] > 0.4
    assert ran.exited.status == 0


def test_the_exit_status_is_the_commands_own(bench: Bench):
    assert bench.sh("exit 7").exited.status == 7
    assert bench.sh("kill -TERM $$").exited.status == 128 + signal.SIGTERM
    assert bench.run("/nowhere/to/be/found").exited.status != 0


def test_what_a_command_does_is_told_as_operations_and_the_case_stays_as_it_is(bench: Bench):
    (bench.case / "scans").mkdir()
    for name in ("a.txt", "b.txt", "c.txt", "scans/1.txt", "scans/2.txt"):
        (bench.case / name).write_text(name)
    before = sorted((str(path), path.stat().st_mtime_ns) for path in bench.case.rglob("*"))
    ran = bench.sh("mv scans old; mv a.txt old/; echo more >> b.txt; rm c.txt old/2.txt; cp b.txt d.txt; mkdir new")
    assert ran.brief() == [
        "create d.txt",
        "delete c.txt",
        "delete scans/2.txt",
        "mkdir new",
        "move a.txt -> old/a.txt",
        "move scans -> old",
        "replace b.txt",
    ]
    assert sorted((str(path), path.stat().st_mtime_ns) for path in bench.case.rglob("*")) == before


def test_a_command_without_effects_has_no_operations(bench: Bench):
    (bench.case / "a.txt").write_text("a")
    ran = bench.sh("cat a.txt")
    assert ran.out == "a"
    assert ran.captured.operations == 0


@root_only
def test_a_command_is_never_root_whoever_owns_the_files(bench: Bench):
    """It can change what the case's owner can, and everything there looks like its own."""
    for owner in (0, 1234, SANDBOX_USER):
        (bench.case / "mine.txt").write_text("old")
        for path in (bench.case, bench.case / "mine.txt"):
            os.chown(path, owner, owner)
        ran = bench.sh("id -u; id -g; stat -c %u mine.txt; echo new > mine.txt; grep -c 0 /proc/self/uid_map")
        assert ran.out.split()[:3] == [str(SANDBOX_USER)] * 3
        assert ran.brief() == ["replace mine.txt"]


def test_several_cases_are_seen_each_by_its_name(bench: Bench):
    other = bench.case.parent / "Other"
    other.mkdir()
    (bench.case / "a.txt").write_text("a")
    cases = tuple(Case(name=path.name, folder=str(path)) for path in (bench.case, other))
    ran = bench.sh("pwd; ls; mkdir Other/in; echo b > Other/in/b.txt; rm Case/a.txt", cases=cases)
    assert ran.out.split() == ["/cases", "Case", "Other"]
    assert ran.brief() == ["create Other/in/b.txt", "delete Case/a.txt", "mkdir Other/in"]


def test_tools_are_seen_all_or_only_some(bench: Bench):
    (bench.tools / "one.sh").write_text("echo one")
    (bench.tools / "two.sh").write_text("echo two")
    assert bench.sh("ls /tools; sh /tools/one.sh; echo x > /tools/x || true").out.split() == [
        "one.sh",
        "two.sh",
        "one",
    ]
    assert bench.sh("ls /tools", only_tools=("two.sh",)).out.split() == ["two.sh"]


def test_what_treegate_keeps_in_a_case_is_not_seen(bench: Bench):
    """A case on a filesystem of its own holds a vault; it is neither shown nor told of."""
    (bench.case / ".treegate/vault").mkdir(parents=True)
    (bench.case / "a.txt").write_text("a")
    ran = bench.sh("ls -A; mv a.txt b.txt")
    assert ran.out.split() == ["a.txt"]
    assert ran.brief() == ["move a.txt -> b.txt"]


def test_a_command_that_takes_too_long_is_ended(bench: Bench):
    began = time.monotonic()
    ran = bench.sh("echo begun; touch made; sleep 60", limits=Limits(seconds=0.5, written=16 << 20, entries=1000))
    assert time.monotonic() - began < 10
    assert (ran.exited.ended, ran.exited.status) == (Ended.TIME, 128 + signal.SIGKILL)
    assert ran.brief() == ["create made"]


def test_output_beyond_the_limit_ends_the_command(bench: Bench):
    ran = bench.sh("yes", limits=Limits(output=100_000, written=16 << 20, entries=1000))
    assert (ran.exited.ended, ran.exited.cut, len(ran.out)) == (Ended.OUTPUT, True, 100_000)


def test_output_of_just_the_limit_is_fine(bench: Bench):
    ran = bench.sh("head -c 100000 /dev/zero", limits=Limits(output=100_000, written=16 << 20, entries=1000))
    assert (ran.exited.ended, ran.exited.cut, len(ran.out)) == (Ended.ITSELF, False, 100_000)


def test_what_a_command_leaves_running_is_ended_before_capture(bench: Bench):
    """A daemon that goes on writing is gone, and what it wrote by then is what is told."""
    ran = bench.sh("(trap '' TERM HUP; while :; do echo x >> grows; done) & (setsid sleep 100 &) ; sleep 0.2; exit 4")
    assert ran.exited.status == 4
    assert ran.exited.seconds < 5
    assert ran.brief() == ["create grows"]


def test_a_command_can_be_cancelled(bench: Bench):
    order = bench.order("sh", "-c", "touch made; echo begun; sleep 60")
    with session.start(order) as under_way:
        frames = []
        for frame in under_way:
            frames.append(frame)
            if isinstance(frame, Output):
                threading.Thread(target=under_way.cancel).start()
    assert next(frame.ended for frame in frames if isinstance(frame, Exited)) is Ended.CANCELLED
    assert isinstance(frames[-1], Captured)
    assert frames[-1].operations == 1


def test_the_end_of_the_thread_that_began_it_ends_no_command(bench: Bench):
    found: list[session.Session] = []
    thread = threading.Thread(target=lambda: found.append(session.start(bench.order("sh", "-c", "sleep 1; echo on"))))
    thread.start()
    thread.join()
    with found[0] as under_way:
        frames = list(under_way)
    assert any(isinstance(frame, Output) and frame.data == b"on\n" for frame in frames)


def test_what_others_change_meanwhile_is_told_where_the_command_touched_it(bench: Bench):
    for name in ("touched.txt", "left.txt", "gone/in.txt"):
        (bench.case / name).parent.mkdir(exist_ok=True)
        (bench.case / name).write_text("old")

    def meddle(frame: Frame) -> None:
        if isinstance(frame, Output):
            for name in ("touched.txt", "left.txt", "gone/in.txt"):
                (bench.case / name).write_text("others'")

    ran = bench.sh("echo begun; sleep 0.3; mv touched.txt moved.txt; rm -r gone", meanwhile=meddle)
    assert set(ran.captured.changed) == {"Case/touched.txt", "Case/gone/in.txt"}
    assert bench.sh("mv left.txt other.txt").captured.changed == ()


@root_only
def test_on_request_what_was_only_read_counts(bench: Bench):
    for name in ("read.txt", "unread.txt"):
        (bench.case / name).write_text("old")

    def meddle(frame: Frame) -> None:
        if isinstance(frame, Output):
            for name in ("read.txt", "unread.txt"):
                (bench.case / name).write_text("others'")

    script = "cat read.txt > sum.txt; echo begun; sleep 0.3"
    assert bench.sh(script, meanwhile=meddle, reads=True).captured.changed == ("Case/read.txt",)
    assert bench.sh(script, meanwhile=meddle).captured.changed == ()


@root_only
def test_hard_links_of_a_case_are_said_before_the_command_begins(bench: Bench):
    (bench.case / "one.txt").write_text("same")
    os.link(bench.case / "one.txt", bench.case / "two.txt")
    ran = bench.sh("echo more >> one.txt")
    (warning,) = ran.of(Started).warnings
    assert "'one.txt', 'two.txt'" in warning
    assert ran.findings == {("sandbox-hard-link", "Case/one.txt")}
    assert ran.brief() == ["replace one.txt"]


@root_only
def test_more_than_may_be_written_meets_a_full_disk_of_its_own(bench: Bench):
    ran = bench.sh("head -c 80000000 /dev/zero > big; echo $?; echo small > small && cat small")
    assert "No space left" in ran.err or "File too large" in ran.err
    assert leftovers(bench.place) == []


def test_nothing_stays_when_a_runner_is_killed(bench: Bench):
    """Whoever waits is told; mounts, loop devices and the command are gone with the runner."""
    with session.start(bench.order("sh", "-c", "echo begun; sleep 123.456")) as under_way:
        for frame in under_way:
            if isinstance(frame, Output):
                os.kill(under_way.runner, signal.SIGKILL)
    assert frame.code == "sandbox-lost"
    poll(lambda: leftovers(bench.place) == [] and not _running("123.456"))


@root_only
def test_a_sandbox_does_not_hold_the_room_of_one_that_ended_before_it(bench: Bench, image: str):
    """A namespace of mounts begins as a copy of another; what is mounted for a container is to go with it."""
    lasting = ("sh", "-c", "echo begun; sleep 600")
    with session.start(bench.order(*lasting, engine="docker", image=image)) as first:
        told = _begun(first)
        held = leftovers(bench.place)
        with session.start(bench.order(*lasting)) as second:
            _begun(second)
            first.cancel()
            assert any(isinstance(frame, Captured) for frame in told)
            first.close()
            assert held != []
            poll(lambda: not set(held) & set(leftovers(bench.place)))
            second.cancel()


def _begun(under_way: session.Session) -> Iterator[Frame]:
    """What a command tells after its first output."""
    told = iter(under_way)
    assert any(isinstance(frame, Output) for frame in told)
    return told


ALONE = """
import os, sys
from pathlib import Path
from tests.engine.sandbox.conftest import Bench
from treegate.engine.sandbox import session
from treegate.engine.sandbox.order import Output
bench = Bench(Path(sys.argv[1]))
for frame in session.start(bench.order("sh", "-c", "echo begun; sleep 234.567")):
    print(type(frame).__name__, flush=True)
"""


def test_nothing_stays_when_treegate_is_killed(bench: Bench):
    top = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", ALONE, str(bench.place / "other")], stdout=subprocess.PIPE, text=True, cwd=top
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(2)] == ["Started", "Output"]
        poll(lambda: _running("234.567"))
        process.kill()
    poll(lambda: leftovers(bench.place) == [] and not _running("234.567"))


def test_what_cannot_be_run_is_told_as_an_error(bench: Bench):
    ran = bench.run("true", cases=(Case(name="Gone", folder=str(bench.place / "gone")),))
    assert ran.failed.code == "sandbox-failed"
    assert leftovers(bench.place) == []


def _running(mark: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if mark.encode() in words:
            return True
    return False


def test_a_runner_made_ready_begins_sooner(bench: Bench):
    """Its filesystem, control group and process are there by then; and it goes with all it held."""
    order = bench.order("sh", "-c", "echo x")
    ready = session.make_ready("bwrap", str(bench.place / "scratch/ready"), order.limits)
    time.sleep(1)
    began = time.monotonic()
    with session.start(order, ready) as under_way:
        assert under_way.runner == ready.process.pid
        assert any(isinstance(frame, Output) for frame in under_way)
        assert time.monotonic() - began < 1
    assert list((bench.place / "scratch").iterdir()) == []
    assert leftovers(bench.place) == []


@root_only
def test_a_runner_made_ready_holds_no_disk_and_sees_the_workspace_that_is_mounted_anew(bench: Bench, tmp_path: Path):
    """It may wait for hours: what the machine unmounts meanwhile is unmounted, and what it mounts is there."""
    shared = tmp_path / "shared"
    case, disk = shared / "projects/Case", ["mount", "-t", "tmpfs", "-o", "size=1m", "disk-of-this-test"]
    case.mkdir(parents=True)
    subprocess.run(["mount", "--bind", shared, shared], check=True)
    try:
        subprocess.run(["mount", "--make-shared", shared], check=True)  # as systemd has all mounts of a machine
        subprocess.run([*disk, case], check=True)
        order = bench.order("cat", "new", cases=(Case(name="Case", folder=str(case)),))
        ready = session.make_ready("bwrap", str(bench.place / "scratch/ready"), order.limits)
        held = Path(f"/proc/{ready.process.pid}/mountinfo")
        poll(lambda: str(bench.place / "scratch/ready/fs") in held.read_text())
        assert "disk-of-this-test" in held.read_text()
        subprocess.run(["umount", case], check=True)
        assert "disk-of-this-test" not in held.read_text()
        subprocess.run([*disk, case], check=True)
        (case / "new").write_text("what is there now")
        with session.start(order, ready) as under_way:
            told = list(under_way)
            assert under_way.runner == ready.process.pid
        assert any(isinstance(frame, Output) and frame.data == b"what is there now" for frame in told)
    finally:
        subprocess.run(["umount", "--recursive", shared], check=True)


@root_only
def test_what_is_mounted_in_a_folder_of_the_machine_while_a_command_runs_is_not_seen_by_it(bench: Bench):
    """A disk that somebody mounts would be there as the machine has it: to be read, and written."""
    inner = bench.tools / "inner"
    inner.mkdir()
    subprocess.run(["mount", "--bind", bench.tools, bench.tools], check=True)
    try:
        subprocess.run(["mount", "--make-shared", bench.tools], check=True)

        def mounts(frame: Frame) -> None:
            if isinstance(frame, Output) and b"begun" in frame.data:
                subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "other", inner], check=True)
                (inner / "secret").write_text("secret")

        look = "cat /tools/inner/secret; touch /tools/inner/mine; sleep 0.2"
        ran = bench.sh(f"echo begun; for n in $(seq 8); do {look}; done", meanwhile=mounts)
        assert (ran.out, sorted(os.listdir(inner))) == ("begun\n", ["secret"])
    finally:
        subprocess.run(["umount", "--recursive", bench.tools], check=True)


@root_only
def test_what_is_mounted_in_a_case_while_its_command_runs_is_not_seen_by_it(bench: Bench, tmp_path: Path):
    """A view is of the case as it was, and so is what the runner looks at in the end."""
    shared = tmp_path / "shared"
    inner = shared / "projects/Case/inner"
    inner.mkdir(parents=True)
    (inner / "a").write_text("a")
    subprocess.run(["mount", "--bind", shared, shared], check=True)
    try:
        subprocess.run(["mount", "--make-shared", shared], check=True)
        order = bench.order("sh", "-c", "echo begun; sleep 600", cases=(Case(name="Case", folder=str(inner.parent)),))
        with session.start(order) as under_way:
            told = _begun(under_way)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "other", inner], check=True)
            for view in ("low", "seen"):
                assert os.listdir(f"/proc/{under_way.runner}/root{order.scratch}/{view}/0/inner") == ["a"]
            under_way.cancel()
            assert any(isinstance(frame, Captured) for frame in told)
    finally:
        subprocess.run(["umount", "--recursive", shared], check=True)


def test_a_runner_made_ready_for_something_else_is_not_used(bench: Bench):
    order = bench.order("sh", "-c", "echo x")
    ready = session.make_ready("bwrap", str(bench.place / "scratch/ready"), Limits(written=32 << 20, entries=100))
    with session.start(order, ready) as under_way:
        assert under_way.runner != ready.process.pid
        assert any(isinstance(frame, Output) for frame in under_way)
    assert list((bench.place / "scratch").iterdir()) == []


@root_only
def test_what_lies_deep_is_renamed_as_a_rename(bench: Bench):
    """Beyond the 256 bytes of path at which an overlay would by itself say "cross-device link"."""
    names = ["x" * 200] * 4
    deep = bench.case.joinpath(*names)
    deep.mkdir(parents=True)
    (deep / "a.txt").write_text("a")
    ran = bench.run("python3", "-c", f"import os; os.chdir('/'.join({names!r})); os.rename('a.txt', 'b.txt')")
    below = "/".join(names)
    assert ran.brief() == [f"move {below}/a.txt -> {below}/b.txt"], ran.err


@root_only
@pytest.mark.parametrize("view", ["overlay", "copy"])
def test_a_case_in_which_something_is_mounted_is_refused_before_the_command_begins(bench: Bench, view: str):
    inside = bench.case / "inside"
    inside.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(inside)], check=True)
    try:
        ran = bench.sh("echo begun", view=view)
    finally:
        subprocess.run(["umount", str(inside)], check=True)
    assert (ran.failed.code, ran.out) == ("case-has-mount", "")
    assert "Case/inside" in ran.failed.message


@root_only
def test_no_way_leads_from_a_view_to_the_case_itself(bench: Bench):
    """Where the case is mounted for a view it is read-only: a clumsy hand that clears it away changes nothing."""
    (bench.case / "a.txt").write_text("a")
    order = bench.order("sh", "-c", "echo begun; sleep 60")
    with session.start(order) as under_way:
        for frame in under_way:
            if isinstance(frame, Output):
                lower = f"/proc/{under_way.runner}/root{order.scratch}/low/0"
                assert os.listdir(lower) == ["a.txt"]
                with pytest.raises(OSError, match="Read-only"):
                    os.unlink(f"{lower}/a.txt")
                with pytest.raises(OSError, match="Read-only"):
                    os.rename(f"{lower}/a.txt", f"{lower}/b.txt")
                under_way.cancel()
    assert (bench.case / "a.txt").read_text() == "a"


def test_a_capture_that_nobody_waits_for_ends(bench: Bench):
    """Whoever asked for the command is gone while what it did is read: the runner goes, too, and writes no plan."""
    script = "for n in $(seq 6000); do echo $n > $n; done"
    order = bench.order("sh", "-c", script)
    ready = session.make_ready(order.engine, order.scratch, order.limits)
    with session.start(order, ready) as under_way:
        for frame in under_way:
            if isinstance(frame, Exited):
                break
    assert ready.process.returncode == 0  # by itself
    assert not Path(order.document).exists()


@root_only
@pytest.mark.parametrize("others", ["rm a.txt", "mv a.txt else.txt"])
def test_what_others_take_away_meanwhile_is_told_and_the_rest_is_kept(bench: Bench, others: str):
    """The command moved a file that is not there any more: that is said, and what else it did is no less told."""
    (bench.case / "a.txt").write_text("a")

    def meddle(frame: Frame) -> None:
        if isinstance(frame, Output):
            subprocess.run(["sh", "-c", others], cwd=bench.case, check=True)

    ran = bench.sh("mv a.txt moved.txt; echo new > new.txt; echo begun; sleep 0.3", meanwhile=meddle)
    assert ran.captured.changed == ("Case/a.txt",)
    assert ran.brief() == ["create new.txt"]


@root_only
@pytest.mark.parametrize("view", ["overlay", "copy"])
@pytest.mark.parametrize("script", ["mv A/f moved", "chmod 600 A/f", "ln A/f l; mv A/f g", "echo x >> A/f", "rm A/f"])
@pytest.mark.parametrize("others", ["rm A/f; mkdir A/f", "rm A/f; mkfifo A/f", "rm A/f; ln -s x A/f"])
def test_what_others_put_in_a_file_s_place_is_told_and_the_rest_is_kept(
    bench: Bench, view: ViewName, script: str, others: str
):
    """Folder, FIFO or link: nothing is lost of what else the command did."""
    (bench.case / "A").mkdir()
    (bench.case / "A/f").write_text("one")

    def meddle(frame: Frame) -> None:
        if isinstance(frame, Output):
            subprocess.run(["sh", "-c", others], cwd=bench.case, check=True)

    ran = bench.sh(f"{script}; echo new > other; echo begun; sleep 0.3", meanwhile=meddle, view=view)
    assert "Case/A/f" in ran.captured.changed
    assert "create other" in ran.brief()


@root_only
def test_reads_that_cannot_be_told_are_refused_before_the_command_begins(bench: Bench):
    """On a filesystem that does not date what is read."""
    ran = bench.sh("echo begun", reads=True, view="copy")
    assert (ran.out, ran.failed.code) == ("", "sandbox-unfit")


@root_only
def test_what_was_read_in_a_folder_that_others_swapped_is_told(bench: Bench):
    """Where reads count, and also where the folder is further up."""
    for folder in ("D/sub", "E/sub"):
        (bench.case / folder).mkdir(parents=True)
        (bench.case / folder / "q").write_text(folder)

    def meddle(frame: Frame) -> None:
        if isinstance(frame, Output):
            subprocess.run(["sh", "-c", "mv D T; mv E D; mv T E"], cwd=bench.case, check=True)

    ran = bench.sh("cat D/sub/q > sum; echo begun; sleep 0.3", meanwhile=meddle, reads=True)
    assert {"Case/D", "Case/D/sub/q"} & set(ran.captured.changed)


@root_only
@pytest.mark.parametrize("view", ["overlay", "copy"])
@pytest.mark.parametrize("script", ["mv A/B/x A/B/y", "echo mine > A/B/x", "rm A/B/x", "touch A/B/new"])
def test_a_folder_that_others_put_in_the_place_of_another_is_told(bench: Bench, script: str, view: ViewName):
    """What is in it has its old dates, and is not what the command saw."""
    for folder in ("A/B", "C/B"):
        (bench.case / folder).mkdir(parents=True)
        (bench.case / folder / "x").write_text(folder)
    for path in (*bench.case.rglob("*"), bench.case):
        os.utime(path, ns=(10**18, 10**18))  # nothing but what each is tells one from the other

    def meddle(frame: Frame) -> None:
        if isinstance(frame, Output):
            subprocess.run(["sh", "-c", "mv A T; mv C A; mv T C"], cwd=bench.case, check=True)

    ran = bench.sh(f"{script}; echo begun; sleep 0.3", meanwhile=meddle, view=view)
    assert any(path in ("Case/A", "Case/A/B", "Case/A/B/x") for path in ran.captured.changed), ran.captured
