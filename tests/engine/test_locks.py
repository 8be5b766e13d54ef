"""Locks: one writer per case across processes; previews beside each other; nothing outlives its process."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from treegate.engine.locks import case_locks, file_lock, passing_lock, workspace_lock
from treegate.errors import Busy


def writing(locks, *cases, wait=0.0):
    return case_locks(locks, cases, shared=False, wait=wait)


def reading(locks, *cases, wait=0.0):
    return case_locks(locks, cases, shared=True, wait=wait)


def free(locks, *cases):
    with contextlib.suppress(Busy), writing(locks, *cases):
        return True
    return False


@contextlib.contextmanager
def process(act):
    """A real process that has done `act(say)` up to its call of `say`, and then stays until it is killed."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            act(lambda: (os.write(write, b"."), signal.pause()))
        os._exit(0)
    os.close(write)
    assert os.read(read, 1) == b"."
    os.close(read)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)


def holding(locks, *cases):
    def act(say):
        with writing(locks, *cases):
            say()

    return act


def test_a_second_writer_is_told_which_case_is_locked_and_by_whom(tmp_path):
    with process(holding(tmp_path, "Smith")) as child:
        with pytest.raises(Busy) as caught, writing(tmp_path, "Jones", "Smith"):
            pass
        assert (caught.value.code, caught.value.exit_status) == ("case-locked", 8)
        assert f"case 'Smith' is locked by process {child}" in caught.value.message
        assert caught.value.hint
        assert free(tmp_path, "Jones"), "what was got before the refusal is let go"


def test_a_writer_shuts_out_previews_and_previews_a_writer(tmp_path):
    with writing(tmp_path, "Smith"), pytest.raises(Busy), reading(tmp_path, "Smith"):
        pass
    with reading(tmp_path, "Smith"), pytest.raises(Busy, match="only reads"), writing(tmp_path, "Smith"):
        pass


def test_previews_share(tmp_path):
    with reading(tmp_path, "Smith"), reading(tmp_path, "Smith"), reading(tmp_path, "Smith", "Jones"):
        assert not free(tmp_path, "Smith")
    assert free(tmp_path, "Smith")


def test_cases_do_not_disturb_each_other(tmp_path):
    with writing(tmp_path, "Smith"), reading(tmp_path, "Brown"):
        assert free(tmp_path, "Jones")
        assert not free(tmp_path, "Smith")
        assert not free(tmp_path, "Brown")


def test_a_killed_process_leaves_no_lock(tmp_path):
    with process(holding(tmp_path, "Smith")) as child:
        assert not free(tmp_path, "Smith")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert free(tmp_path, "Smith")


def test_the_name_of_a_dead_writer_is_not_given_for_a_living_reader(tmp_path):
    with process(holding(tmp_path, "Smith")) as child:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with reading(tmp_path, "Smith"), pytest.raises(Busy, match="only reads"), writing(tmp_path, "Smith"):
        pass


def test_a_forked_child_does_not_keep_its_dead_parent_s_lock(tmp_path):
    """flock is inherited by forked children: the child here outlives the killed holder, and the lock does not."""
    grandchild_read, grandchild_write = os.pipe()

    def act(say):
        with writing(tmp_path, "Smith"):
            child = os.fork()
            if not child:
                os.write(grandchild_write, str(os.getpid()).encode())  # it runs, so it has let go
                signal.pause()
            say()

    with process(act) as holder:
        grandchild = int(os.read(grandchild_read, 20))
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
        os.kill(grandchild, 0)
        assert free(tmp_path, "Smith")
        os.kill(grandchild, signal.SIGKILL)


def copied(ending):
    """Second handles of the open files whose paths end so."""
    fds = Path("/proc/self/fd")
    paths = {int(name): os.path.realpath(fds / name) for name in os.listdir(fds)}
    return [os.dup(number) for number, path in paths.items() if path.endswith(ending)]


def test_a_copy_of_the_file_handle_does_not_keep_a_lock_that_was_let_go(tmp_path):
    """As in the instant between the fork of a child and its closing of what it inherited."""
    with writing(tmp_path, "Smith"):
        copies = copied(".lock")
    assert len(copies) == 2
    assert free(tmp_path, "Smith")
    for copy in copies:
        os.close(copy)


def test_a_forked_child_that_leaves_the_block_does_not_unlock_it_for_its_parent(tmp_path):
    with writing(tmp_path, "Smith"):
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            assert not free(tmp_path, "Smith")
    if not child:
        os._exit(0)
    assert free(tmp_path, "Smith")


def test_a_program_that_is_started_sees_none_of_the_lock_files(tmp_path):
    with writing(tmp_path, "Smith"):
        names = (
            "import os; print([os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if n > '2'])"
        )
        seen = subprocess.run([sys.executable, "-c", names], close_fds=False, capture_output=True, text=True).stdout
    assert ".lock" not in seen


def test_who_waits_gets_the_lock_when_it_is_let_go(tmp_path):
    got = []

    def wait():
        with writing(tmp_path, "Smith", wait=60):
            got.append("writer")

    with reading(tmp_path, "Smith"):
        waiter = threading.Thread(target=wait)
        waiter.start()
        in_line(tmp_path)
        assert got == []
    waiter.join(60)
    assert got == ["writer"]


def test_a_preview_does_not_overtake_a_writer_that_waits_for_one(tmp_path):
    """So neither side starves: who came first stands in line, and the others behind it."""
    let_go = threading.Event()

    def wait():
        with writing(tmp_path, "Smith", wait=60):
            let_go.wait(60)

    with reading(tmp_path, "Smith"):
        waiter = threading.Thread(target=wait)
        waiter.start()
        in_line(tmp_path)
        with pytest.raises(Busy), reading(tmp_path, "Smith"):
            pass
    let_go.set()
    waiter.join(60)
    with reading(tmp_path, "Smith"):
        pass


def in_line(locks):
    """Return once somebody waits for the one case's lock."""
    queues = [path for path in locks.iterdir() if path.name.endswith(".queue") and "workspace" not in path.name]
    while True:
        try:
            with file_lock(queues[0], wait=-1):
                pass
        except Busy:
            return


def test_plans_over_the_same_cases_in_any_order_do_not_block_each_other(tmp_path):
    done = []

    def walk(cases):
        for _ in range(20):
            with writing(tmp_path, *cases, wait=60):
                done.append(1)

    walkers = [threading.Thread(target=walk, args=(cases,)) for cases in (["a", "b", "c"], ["c", "b", "a"])]
    for walker in walkers:
        walker.start()
    for walker in walkers:
        walker.join(120)
    assert len(done) == 40


def test_only_one_process_at_a_time_is_inside(tmp_path):
    """Four processes add one to a number in a file, 25 times each, and no addition is lost."""
    number = tmp_path / "number"
    number.write_text("0")
    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                for _ in range(25):
                    with writing(tmp_path / "locks", "Smith", wait=60):
                        number.write_text(str(int(number.read_text()) + 1))
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert number.read_text() == "100"


def test_who_holds_the_workspace_shuts_out_every_case_and_the_other_way_round(tmp_path):
    with workspace_lock(tmp_path, shared=False, wait=0):
        for kind in (writing, reading):
            with pytest.raises(Busy, match=f"process {os.getpid()}") as caught, kind(tmp_path, "Smith"):
                pass
            assert caught.value.code == "workspace-locked"
    for kind in (writing, reading):
        with kind(tmp_path, "Smith"), pytest.raises(Busy), workspace_lock(tmp_path, shared=False, wait=0):
            pass
    with workspace_lock(tmp_path, shared=True, wait=0), writing(tmp_path, "Smith"):
        pass


def test_an_error_inside_lets_go_of_every_lock(tmp_path):
    with pytest.raises(KeyError), writing(tmp_path, "a", "b"):
        raise KeyError
    assert free(tmp_path, "a", "b")


@pytest.mark.parametrize("case", ["../../x", "a/b", "-", "x" * 255, os.fsdecode(b"\xff\n"), "Ä"])
def test_any_name_of_a_case_has_a_lock_inside_the_folder(tmp_path, case):
    with writing(tmp_path / "locks", case):
        with pytest.raises(Busy), writing(tmp_path / "locks", case):
            pass
        assert free(tmp_path / "locks", case[:-1] + "?")
    assert [path.name for path in tmp_path.iterdir()] == ["locks"]
    assert (tmp_path / "locks").stat().st_mode & 0o777 == 0o700


def taken(locks, name):
    """Whether somebody has what is done once."""
    try:
        with passing_lock(locks, name):
            return False
    except Busy:
        return True


def test_what_is_done_once_is_done_by_one_and_others_go_their_way(tmp_path):
    with passing_lock(tmp_path, "run_1"):
        assert taken(tmp_path, "run_1")
        assert not taken(tmp_path, "run_2")
    assert not taken(tmp_path, "run_1")


def test_whoever_dies_lets_go_of_it(tmp_path):
    def act(say):
        with passing_lock(tmp_path, "run_1"):
            say()

    with process(act) as child:
        assert taken(tmp_path, "run_1")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert not taken(tmp_path, "run_1")


def test_a_forked_child_neither_keeps_it_nor_lets_it_go(tmp_path):
    with passing_lock(tmp_path, "run_1"), process(lambda say: say()):
        assert taken(tmp_path, "run_1")
    assert not taken(tmp_path, "run_1")


def test_a_copy_of_the_file_handle_does_not_keep_it_once_it_was_let_go(tmp_path):
    with passing_lock(tmp_path, "run_1"):
        copies = copied("/passing")
    assert len(copies) == 1
    assert not taken(tmp_path, "run_1")
    os.close(copies[0])


def test_many_names_leave_one_file(tmp_path):
    for n in range(100):
        with passing_lock(tmp_path, f"run_{n}"):
            pass
    assert len(os.listdir(tmp_path)) == 1
