"""The aide of a run: what it does is what the run would have done, and the run does it where the aide does not."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from treegate.engine import aide, handles, many, posix, wire
from treegate.engine.aide import Aide, aiding
from treegate.engine.packing import packed

EFFECT = b'{"effect":"moved","entry":%d,"id":"o%d"}'
PLAIN = [b"[" + b",".join(EFFECT % (n, n) for n in range(lot * 100, lot * 100 + 100)) + b"]" for lot in range(3)]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Small runs have aides, too, and one that says nothing is soon given up."""
    monkeypatch.setattr(aide, "LARGE", 1)
    monkeypatch.setattr(aide, "SHARED", 2)
    monkeypatch.setattr(aide, "PATIENCE", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


@pytest.fixture
def helped():
    """An aide that listens."""
    with aiding(1) as one:
        ready(one)
        yield one


def ready(one: Aide) -> None:
    assert one._end is not None
    while not one._end.has_come():
        time.sleep(0.001)


def other_end() -> tuple[Aide, wire.Wire]:
    """An aide without a process, and the end at which a test plays it."""
    ours, its = socket.socketpair()
    end = wire.Wire(ours)
    end.wait_at_most(aide.PATIENCE)
    return Aide(None, end), wire.Wire(its)


@pytest.fixture
def looks(tmp_path):
    """A folder's handle, names in it, and their facts; then some were changed."""
    names = [b"f%d" % number for number in range(40)]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    with handles.closing(handles.open_root(str(tmp_path))) as folder:
        facts = [posix.packed(folder, name) for name in names]
        yield folder, names, facts


@pytest.mark.parametrize("changed", [[], [0], [19, 20], [39], list(range(40))])
def test_both_halves_are_looked_at(helped, looks, tmp_path, changed, monkeypatch):
    """What was edited, in the half of the run or of the aide, is found, under its number in the whole list."""
    for number in changed:
        (tmp_path / f"f{number}").write_text("edited")
    here = []
    real = many.look_each
    monkeypatch.setattr(many, "look_each", lambda some: here.extend(some) or real(some))
    assert helped.look_each(*looks) == changed
    assert len(here) == 20


def test_entries_are_recognised_by_both(helped, looks, tmp_path):
    """An edit leaves an entry the same one, another in its place does not."""
    (tmp_path / "f3").write_text("edited")
    for number in (5, 30):
        (tmp_path / f"f{number}").unlink()
        (tmp_path / f"f{number}").write_text("another")
    assert helped.recognise_each(*looks) == [5, 30]


def test_few_entries_are_looked_at_alone(looks, monkeypatch):
    """To ask takes longer than to look."""
    monkeypatch.setattr(aide, "SHARED", 41)
    one, its = other_end()
    with contextlib.closing(one), contextlib.closing(its):
        its.send(wire.Ready())
        assert one.look_each(*looks) == []
        assert not its.has_come()


def test_before_the_aide_listens_nothing_waits_for_it(looks):
    """Its start takes as long as thousands of looks."""
    one, its = other_end()
    with contextlib.closing(one), contextlib.closing(its):
        assert one.look_each(*looks) == []
        assert not its.has_come()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_an_aide_that_is_gone_or_stands_still_is_done_without(helped, looks, tmp_path, how):
    """The run looks itself, and writes itself."""
    assert helped.look_each(*looks) == []
    process = helped._process
    process.send_signal(how)
    (tmp_path / "f33").write_text("edited")
    assert helped.look_each(*looks) == [33]
    helped.order("lines", wire.MakeLines(), [tmp_path], lambda: map(packed, PLAIN))
    helped.begin()
    assert helped.files("lines") == []
    assert process.returncode is not None


@pytest.mark.parametrize("answer", [b"", b"\xff" * 40, b"\0" * 5, wire._HEAD.pack(3, 0) + b"abc"])
def test_an_answer_that_is_none_is_none(looks, answer):
    """What does not speak as an aide does is not listened to."""
    ours, its = socket.socketpair()
    end = wire.Wire(ours)
    end.wait_at_most(aide.PATIENCE)
    with contextlib.closing(Aide(None, end)) as one, its:
        wire.Wire(its).send(wire.Ready())
        its.sendall(answer)
        its.shutdown(socket.SHUT_WR)
        assert one.look_each(*looks) == []
        assert not one.is_there


def test_an_answer_to_another_question_is_not_taken(looks, tmp_path):
    """Nor is anything else from there on."""
    (tmp_path / "f30").write_text("edited")
    one, its = other_end()
    with contextlib.closing(one), contextlib.closing(its):
        its.send(wire.Ready())
        its.send(wire.Made([None]))
        assert one.look_each(*looks) == [30]
        assert not one.is_there


def test_what_is_written_has_no_name_and_goes_with_the_aide(helped, tmp_path):
    """Its lines are those that the run would write."""
    helped.order("lines", wire.MakeLines(), [tmp_path], lambda: map(packed, PLAIN))
    assert helped.files("lines") == []  # not begun
    helped.begin()
    (file,) = helped.files("lines")
    assert file.lines == 300
    assert os.pread(file.handle, 200, 0).startswith(b'{"effect":{"effect":"moved","entry":0,"id":"o0"}}\n{"effect":')
    assert os.listdir(tmp_path) == []
    helped.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file.handle)


@pytest.mark.parametrize(
    "chunk", [b'[{"effect":"created","entry":1}]', b'[{"effect":"moved","kind":"dir"}]', b"[", b""]
)
def test_effects_of_which_only_the_run_can_tell_are_left_to_it(helped, tmp_path, chunk):
    """One such chunk is enough."""
    helped.order("lines", wire.MakeLines(), [tmp_path], lambda: map(packed, [*PLAIN, chunk]))
    helped.begin()
    assert helped.files("lines") == [None]


def test_once_it_writes_nothing_is_asked_of_it(helped, looks, tmp_path):
    """A look would wait until all is written."""
    helped.order("lines", wire.MakeLines(), [tmp_path], lambda: map(packed, PLAIN))
    helped.begin()
    helped._send = pytest.fail
    assert helped.look_each(*looks) == []


def test_without_nameless_files_nothing_is_ordered(helped, tmp_path, monkeypatch):
    """A bucket has none."""

    def refused(_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(posix, "make_nameless", refused)
    helped.order("lines", wire.MakeLines(), [tmp_path], lambda: map(packed, PLAIN))
    helped.begin()
    assert helped.files("lines") == []
    assert helped.is_there


def test_a_table_that_is_not_the_sealed_one_is_not_written_from(helped, tmp_path):
    """The aide ends with an error, and the run does it by itself."""
    (tmp_path / "table").write_bytes(b"no table")
    task = wire.MakeData("run", os.fsencode(tmp_path / "table"), "0" * 64, {}, [(b"", True)])
    helped.order("data", task, [tmp_path])
    helped.begin()
    assert helped.files("data") == []
    assert not helped.is_there


def test_a_small_run_and_one_processor_have_no_aide(monkeypatch):
    """It would only take time from the run."""
    monkeypatch.setattr(aide, "LARGE", 20)
    with aiding(19) as one:
        assert not one.is_there
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    with aiding(20) as one:
        assert not one.is_there


@pytest.mark.parametrize("executable", ["", "/nowhere/python", "/bin/false"])
def test_an_aide_that_cannot_be_started_is_done_without(looks, executable, monkeypatch):
    """A program that holds Python inside has no interpreter to start."""
    monkeypatch.setattr(sys, "executable", executable)
    with aiding(1) as one:
        assert one.look_each(*looks) == []


def test_nothing_of_an_aide_is_left(looks, tmp_path):
    """No process, and no handle."""
    before = os.listdir("/proc/self/fd")
    with aiding(1) as one:
        process = one._process
        ready(one)
        one.look_each(*looks)
        one.order("lines", wire.MakeLines(), [tmp_path], lambda: map(packed, PLAIN))
        one.begin()
        one.files("lines")
    assert process.returncode is not None
    assert os.listdir("/proc/self/fd") == before


def test_the_aide_of_a_run_that_was_killed_ends():
    """It hears that nobody is there any more."""
    code = "import os; from treegate.engine import aide; print(aide._called()._process.pid, flush=True); os._exit(9)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    deadline = time.monotonic() + 10
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(int(done.stdout), 0)
            time.sleep(0.01)
        pytest.fail("it is still there")


def test_a_handle_that_came_with_a_torn_message_is_closed(tmp_path):
    """Else a folder would be held for as long as the process is there."""
    ours, its = socket.socketpair()
    before = len(os.listdir("/proc/self/fd"))
    with contextlib.closing(wire.Wire(ours)) as end, handles.closing(handles.open_root(str(tmp_path))) as folder, its:
        socket.send_fds(its, [wire._HEAD.pack(50, 1)], [folder])
        its.close()
        with pytest.raises(EOFError):
            end.receive()
    assert len(os.listdir("/proc/self/fd")) == before - 2
