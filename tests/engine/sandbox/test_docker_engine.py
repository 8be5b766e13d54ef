"""Commands in containers: what they see, what they may use, how they end, and that nothing of them is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.engine.sandbox.conftest import Box, Ended, poll

from treegate.engine.sandbox import docker, images
from treegate.engine.sandbox.order import SANDBOX_USER, Limits
from treegate.errors import UsageError

Python = Callable[..., Ended]


def test_both_streams_and_the_status_come_through(python: Python, box: Box):
    ended = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)")
    assert (ended.out, ended.err, ended.status) == (b"out\n", b"err\n", 7)
    assert box.left == []


def test_output_comes_as_it_is_written_not_at_the_end(box: Box):
    hand = box.begin("python3", "-uc", "import time; print('now', flush=True); time.sleep(60)")
    first = os.read(hand.stdout.fileno(), 100)
    assert first.startswith(b"now")
    assert isinstance(hand.told(20), docker.Started)
    assert hand.told(0) is None


def test_much_output_comes_through_whole(python: Python):
    """Frames longer than a piece, of both streams at once."""
    ended = python("import os\nfor _ in range(64): os.write(1, b'a' * 65537); os.write(2, b'b' * 999)")
    assert (len(ended.out), len(ended.err)) == (64 * 65537, 64 * 999)
    assert set(ended.out + ended.err) == {*b"ab"}


def test_a_signal_is_128_and_its_number(python: Python):
    assert python("import os; os.kill(os.getpid(), 11)").status == 128 + 11


def test_it_is_shut_in(python: Python):
    """A user that is not root, without capabilities, whose root nobody can write to, and without a network."""
    code = """
import json, os, socket
told = dict(line.rstrip().split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
def refused(act):
    try: act()
    except OSError as error: return error.errno
try_port = lambda: socket.create_connection(("10.0.0.1", 80), 2)
print(json.dumps({
    "ids": [os.getuid(), os.getgid(), os.getgroups()],
    "caps": [told[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "more": [told["NoNewPrivs"], told["Seccomp"]],
    "nets": sorted(os.listdir("/sys/class/net")), "net": refused(try_port),
    "root": [p for p in ("/", "/usr", "/etc", "/case", "/var") if os.access(p, os.W_OK)],
    "one": open("/proc/1/comm").read().strip(),
    "environment": sorted(os.environ), "tmp": os.statvfs("/tmp").f_blocks * os.statvfs("/tmp").f_frsize,
}))"""
    found = json.loads(python(code, limits=Limits(temporary=8 << 20)).out)
    assert found["ids"] == [SANDBOX_USER, SANDBOX_USER, [SANDBOX_USER]] or found["ids"][2] == []
    assert found["caps"] == ["0000000000000000"] * 5
    assert found["more"] == ["1", "2"]
    assert found["nets"] == ["lo"]
    assert found["net"] is not None
    assert found["root"] == []
    assert found["one"] in ("docker-init", "tini")
    assert found["environment"] == ["HOME", "HOSTNAME", "LANG", "PATH"]
    assert found["tmp"] == 8 << 20


def test_nothing_of_the_host_but_what_is_mounted(python: Python, tmp_path: Path):
    """Paths with every character that Docker's own options would split at."""
    case, tools = tmp_path / "a,b:c\\d =e", tmp_path / "tools"
    for folder in (case, tools):
        folder.mkdir(mode=0o755)
        (folder / "file").write_text("seen")
    os.chown(case, SANDBOX_USER, SANDBOX_USER)
    mounts = (
        docker.Mount(source=str(case), inside="/case", read_only=False),
        docker.Mount(source=str(tools), inside="/tools"),
    )
    code = (
        "import os; print(open('file').read(), os.listdir('/tools')); open('new', 'w').close(); open('/tools/x', 'w')"
    )
    ended = python(code, mounts=mounts, folder="/case")
    assert ended.out == b"seen ['file']\n"
    assert b"Read-only file system" in ended.err
    assert sorted(os.listdir(case)) == ["file", "new"]


def test_what_is_mounted_below_a_mount_does_not_come_along(python: Python, tmp_path: Path):
    """A read-only mount would leave it writable."""
    if os.geteuid():
        pytest.skip("needs root, to mount")
    inner = tmp_path / "tools/inner"
    inner.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(inner)], check=True)
    try:
        (inner / "file").touch()
        mounts = (docker.Mount(source=str(inner.parent), inside="/tools"),)
        assert python("import os; print(os.listdir('/tools/inner'))", mounts=mounts).out == b"[]\n"
    finally:
        subprocess.run(["umount", str(inner)], check=True)


def test_memory_is_bounded_and_what_ended_it_is_told(python: Python):
    ended = python("x = bytearray(300 << 20)", limits=Limits(memory=64 << 20))
    assert (ended.done.out_of_memory, ended.status) == (True, 137)


def test_memory_bombs_of_children_are_told_too(box: Box):
    """The shell survives its child, and says 3."""
    command = ("sh", "-c", "python3 -c 'x = bytearray(300 << 20)'; exit 3")
    ended = box.run(*command, limits=Limits(memory=64 << 20))
    assert (ended.done.out_of_memory, ended.status) == (True, 3)


def test_processes_are_bounded(box: Box):
    code = """
import os, time
made = 0
try:
    while True:
        if not os.fork(): time.sleep(60)
        made += 1
except OSError as error: print(made < 20, error.errno, flush=True)
os._exit(0)"""
    ended = box.run("python3", "-c", code, limits=Limits(processes=20))
    assert (ended.out, ended.status, box.left) == (b"True 11\n", 0, [])


def test_what_goes_on_in_the_background_ends_with_the_command(box: Box):
    begun = time.monotonic()
    ended = box.run("sh", "-c", "(sleep 300; echo late) & echo done")
    assert (ended.out, ended.status, box.left) == (b"done\n", 0, [])
    assert time.monotonic() - begun < 30


def test_a_command_that_closes_its_streams_is_waited_for(box: Box):
    ended = box.run("sh", "-c", "exec >&- 2>&-; sleep 1; exit 9")
    assert ended.status == 9


def test_open_files_and_cores_are_bounded(python: Python):
    code = "import resource as r; print(r.getrlimit(r.RLIMIT_NOFILE), r.getrlimit(r.RLIMIT_CORE))"
    assert python(code, limits=Limits(open_files=77)).out == b"(77, 77) (0, 0)\n"


def test_the_end_of_the_runner_ends_the_command(box: Box):
    """The control pipe closes; nobody has to say anything."""
    hand = box.begin("sleep", "300")
    assert isinstance(hand.told(20), docker.Started)
    hand._control.close()
    poll(lambda: box.left == [])
    assert hand.process.wait(10) == 137


def test_sigterm_ends_the_command(box: Box):
    hand = box.begin("sleep", "300")
    assert isinstance(hand.told(20), docker.Started)
    hand.process.send_signal(signal.SIGTERM)
    poll(lambda: box.left == [])
    assert hand.process.wait(10) == 137


@pytest.mark.parametrize("pause", [0, 0.03, 0.06, 0.1, 0.15, 0.2])
def test_a_hand_may_be_ended_at_any_moment(box: Box, pause: float):
    """Before, while and after the container is made."""
    hand = box.begin("sleep", "300")
    time.sleep(pause)
    hand.end()
    assert box.left == []


def test_ending_does_not_wait_for_a_reader(box: Box):
    """Endless output that nobody takes is no reason for a container to stay."""
    hand = box.begin("sh", "-c", "while :; do echo yes; done")
    assert isinstance(hand.told(20), docker.Started)
    time.sleep(0.5)
    begun = time.monotonic()
    hand.end()
    assert time.monotonic() - begun < 5
    assert box.left == []


def test_a_container_outlives_a_hand_that_is_killed_until_its_runner_ends_it(box: Box):
    hand = box.begin("sleep", "300")
    assert isinstance(hand.told(20), docker.Started)
    hand.process.kill()
    with pytest.raises(UsageError) as raised:
        hand.wait()
    assert raised.value.code == "docker-lost"
    assert len(box.left) == 1
    hand.end()
    assert box.left == []


def test_killed_and_removed_from_outside_it_is_told_as_killed(box: Box):
    for how in (("kill",), ("rm", "--force")):
        hand = box.begin("sleep", "300")
        assert isinstance(hand.told(20), docker.Started)
        subprocess.run(["docker", *how, *box.left], check=True, capture_output=True)
        assert hand.wait() == docker.Done(137)
        hand.end()
        assert box.left == []


def test_an_image_that_is_missing_says_how_to_make_it(box: Box):
    with pytest.raises(UsageError) as raised:
        box.run("true", image="treegate-nowhere:1")
    assert raised.value.code == "image-missing"
    assert "treegate sandbox build-image" in raised.value.next


def test_a_command_that_is_not_there_is_127_as_in_a_shell(box: Box):
    ended = box.run("no-such-program")
    assert (ended.status, b"no-such-program" in ended.err, box.left) == (127, True, [])


def test_no_command_is_root(box: Box):
    for user in ("0:0", "root", "0"):
        with pytest.raises(UsageError) as raised:
            box.run("id", user=user)
        assert raised.value.code == "sandbox-root"


def test_an_argument_that_is_no_text_is_refused(box: Box):
    with pytest.raises(UsageError) as raised:
        box.run("echo", "\udcff")
    assert raised.value.code == "not-text"


def test_without_a_daemon_it_is_said_where_it_was_looked_for(
    box: Box, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    with pytest.raises(UsageError) as raised:
        box.run("true")
    monkeypatch.undo()
    assert raised.value.code == "docker-absent"
    assert str(tmp_path) in raised.value.message


def test_whoever_may_not_use_docker_is_told_so(image: str):
    """In words for whoever has to change that."""
    if os.geteuid():
        pytest.skip("needs root, to become somebody who may not")
    code = """
import os
from treegate.engine.sandbox import daemon
from treegate.errors import TreegateError
daemon.connect()
os.setgroups([]), os.setgid(60123), os.setuid(60123)
try: daemon.connect()
except TreegateError as error: print(error.code, error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "docker-denied add it to the group docker, or run as root\n", done.stderr


def test_an_image_that_is_made_again_takes_the_place_of_the_other(image: str):
    """Nothing of a hundred megabytes is left without a name."""
    first, second = (images.build_from_host("treegate-test-again:1").id for _ in range(2))
    found = {
        name: subprocess.run(["docker", "image", "inspect", name], capture_output=True) for name in (first, second)
    }
    subprocess.run(["docker", "rmi", "--force", second], capture_output=True)
    assert (found[first].returncode, found[second].returncode) == (1, 0)
