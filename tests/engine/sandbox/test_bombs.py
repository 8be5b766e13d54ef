"""Commands that take all they can get, or would not end: each hurts itself alone, on either engine."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import time

import pytest
from tests.engine.sandbox import escapes
from tests.engine.sandbox.scene import MIB, SECRET, Scene, engine_fixture, running, scene_fixture  # noqa: F401

from treegate.engine.sandbox import session
from treegate.engine.sandbox.order import Ended, Exited, Limits, Output

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: what nobody may do anyway would prove nothing")

FORK_BOMB = """
print("up", flush=True)
while True:
    try: os.fork()
    except OSError: pass
"""


def test_a_fork_bomb_is_over_when_its_time_is(scene: Scene):
    """46: it has so many processes and no more, and all of them are gone when it is told that it ended."""
    ran = scene.run("MARK = 'fork-bomb-of-a-test'\n" + FORK_BOMB, seconds=3, processes=64)
    assert ran.exited.ended is Ended.TIME
    assert ran.exited.seconds < 15
    assert running("fork-bomb-of-a-test") == []
    assert ran.captured.operations == 0


def test_a_fork_bomb_meets_its_limit(scene: Scene):
    count, again = scene.run(escapes.FORKS, processes=40).out.split()
    assert 20 < int(count) <= 42
    assert again == "True"


THREADS = """
import threading
for count in range(500):
    try: threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
    except RuntimeError: break
print(count, flush=True)
os._exit(0)
"""


def test_a_thread_bomb_meets_its_limit(scene: Scene):
    assert 20 < int(scene.run(THREADS, processes=40).out) <= 42


BOMBS = {
    "memory": "held = []\nwhile True: held.append(bytearray(b'x') * (4 << 20))",
    "memory of many": "for _ in range(8): os.fork()\nheld = []\nwhile True: held.append(bytearray(b'x') * (1 << 20))",
    "shared memory": "while True: os.write(os.memfd_create('x'), bytes(4 << 20))",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_memory_bomb_ends_itself(scene: Scene, name: str):
    """All of it is ended once it has more than it may; that it was memory is told."""
    ran = scene.run(BOMBS[name], seconds=30, memory=128 * MIB)
    assert ran.exited.ended is Ended.MEMORY
    assert ran.exited.status != 0
    assert ran.exited.seconds < 20


def test_endless_output_ends_the_command(scene: Scene):
    """46: on both streams at once; what was written up to the limit is told."""
    ran = scene.run("while True: os.write(1, b'o' * 9999); os.write(2, b'e' * 9999)", output=MIB)
    assert (ran.exited.ended, ran.exited.cut) == (Ended.OUTPUT, True)
    assert len(ran.out) + len(ran.err) == MIB
    assert ran.exited.seconds < 20


def test_a_command_that_nobody_listens_to_is_ended_in_time(scene: Scene):
    """Its time passes, whether or not treegate takes what the runner has to say."""
    mark = f"unheard-{secrets.token_hex(8)}"
    other = {"engine": scene.engine, "image": scene.image, "id": f"sb_{secrets.token_hex(8)}"}
    command = ("sh", "-c", "cat /dev/zero & sleep 300", mark)
    limits = Limits(seconds=2, output=1 << 30, written=16 * MIB, entries=1000)
    with session.start(scene.bench.order(*command, limits=limits, **other)) as under_way:
        until = time.monotonic() + 30
        while not running(mark):
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(5)
        assert running(mark) == []
        (exited,) = (frame for frame in under_way if isinstance(frame, Exited))
    assert exited.ended is Ended.TIME


DEAF = """
for number in set(signal.Signals) - {{signal.SIGKILL, signal.SIGSTOP}}:
    signal.signal(number, signal.SIG_IGN)
time.sleep(600)
"""


@pytest.mark.parametrize("script", [DEAF, "os.kill(os.getpid(), signal.SIGSTOP)", "signal.pause()"])
def test_whoever_sleeps_past_the_limit_is_ended(scene: Scene, script: str):
    """Deaf to signals, or stopped."""
    ran = scene.run(script, seconds=1)
    assert ran.exited.ended is Ended.TIME
    assert ran.exited.seconds < 10


DAEMON = """
write("/case/made")
if os.fork(): time.sleep(1.5); os._exit(3)
os.setsid()
if os.fork(): os._exit(0)
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT): signal.signal(number, signal.SIG_IGN)
for fd in (0, 1, 2): os.close(fd)
MARK = "daemon-of-a-test"
while True:
    with open("/case/grows", "ab", 0) as file: file.write(b"x" * 100)
    os.rename("/case/grows", "/case/other"); os.rename("/case/other", "/case/grows")
"""


def test_what_stays_behind_is_ended_and_writes_no_more(scene: Scene):
    """A daemon in a session of its own, without a handle of ours: gone before anything is captured."""
    ran = scene.run(DAEMON, seconds=30)
    assert (ran.exited.status, ran.exited.ended) == (3, Ended.ITSELF)
    assert ran.exited.seconds < 10
    assert running("daemon-of-a-test") == []
    assert {one["path"] for one in ran.operations if one["op"] == "create"} <= {"made", "grows", "other"}


def test_open_files_are_limited(scene: Scene):
    script = (
        "held = []\ntry:\n    while True: held.append(open('/dev/null'))\nexcept OSError as error: print(len(held))"
    )
    assert 50 < int(scene.run(script, open_files=100).out) < 100


FILL = """
for name in ("{where}/one", "{where}/two"):
    try:
        with open(name, "wb", 0) as file:
            while True:
                if file.write(bytes(1 << 20)) < 1 << 20: raise OSError(errno.ENOSPC, "short")
    except OSError as error:
        print(error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT), os.stat(name).st_size)
os.rename("/case/file", "/case/renamed")
"""


@pytest.mark.parametrize("where", ["/case", "/tmp", "/dev/shm"])
def test_a_disk_that_is_filled_is_the_commands_own(scene: Scene, where: str):
    """46: it meets a full disk, or is ended for the memory that a folder in memory takes; ours has lost nothing."""
    free = shutil.disk_usage(scene.bench.place).free
    ran = scene.run(FILL.replace("{where}", where), written=32 * MIB, temporary=32 * MIB, memory=256 * MIB)
    assert ran.exited.ended is Ended.ITSELF, ran.err
    told = [line.split() for line in ran.out.splitlines()]
    assert [line[0] for line in told] == ["True", "True"], ran.err
    assert sum(int(line[1]) for line in told) <= 66 * MIB
    assert "move file -> renamed" in ran.brief() or ran.brief() == []
    assert free - shutil.disk_usage(scene.bench.place).free < 300 * MIB


def test_entries_are_limited(scene: Scene):
    """Empty files fill a disk, too."""
    script = "count = 0\ntry:\n    while True: open('/case/%d' % count, 'x').close(); count += 1\n"
    script += "except OSError as error: print(count, error.errno == errno.ENOSPC)"
    count, full = scene.run(script, entries=2000).out.split()
    assert 1000 < int(count) <= 2200
    assert full == "True"


SPARSE = """
for count in range(400):
    with open("/case/%d" % count, "wb") as file:
        file.truncate(30 << 20)
        file.write(b"%d" % count)
"""


def test_holes_do_not_become_bytes_of_ours(scene: Scene):
    """Files of which little is written and much is said take no more of the disk than a command may write."""
    free = shutil.disk_usage(scene.bench.place).free
    ran = scene.run(SPARSE, written=32 * MIB)
    assert free - shutil.disk_usage(scene.bench.place).free < 400 * MIB
    assert ran.failed.code == "sandbox-too-much"


def test_a_file_that_says_to_be_huge_is_refused(scene: Scene):
    ran = scene.run("attempt(os.truncate, '/case/file', 1 << 42)", written=32 * MIB)
    assert ran.out == "refused OSError\n"


def test_the_end_of_the_thread_that_began_it_ends_no_command(scene: Scene):
    found: list[session.Session] = []
    other = {"engine": scene.engine, "image": scene.image, "id": f"sb_{secrets.token_hex(8)}"}
    order = scene.bench.order("sh", "-c", "sleep 1; echo on", **other)
    thread = threading.Thread(target=lambda: found.append(session.start(order)))
    thread.start()
    thread.join()
    with found[0] as under_way:
        assert any(isinstance(frame, Output) and frame.data == b"on\n" for frame in under_way)
