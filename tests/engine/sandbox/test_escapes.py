"""Attempts to get out of a sandbox, on either engine: refused, and the machine is as it was."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.sandbox import escapes, ordinary
from tests.engine.sandbox.conftest import Bench, Ran, leftovers

from treegate.engine.sandbox import session
from treegate.engine.sandbox.order import SANDBOX_USER, Captured, Ended, EngineName, Exited, Limits, Output

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: what nobody may do anyway would prove nothing")

SECRET = "a-secret-of-the-service"


@pytest.fixture(params=["bwrap", "docker"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    if request.param == "docker":
        request.getfixturevalue("image")
    return request.param


class Scene:
    """A workspace with things that a script would like to have, and processes and sockets beside it."""

    def __init__(self, bench: Bench, engine: EngineName, image: str) -> None:
        self.bench, self.engine, self.image = bench, engine, image
        self.other = bench.case.parent / "Other"
        self.state = bench.place / "state"
        for folder in (self.other, self.state, bench.case / "folder"):
            folder.mkdir()
        for path in (self.other / "secret", self.state / "key", self.state / "treegate.db"):
            path.write_text(SECRET)
        (bench.case / "file").write_text("content")
        (bench.tools / "tool.py").write_text("print('tool')")
        for path in (bench.tools, bench.tools / "tool.py"):
            path.chmod(0o777)  # so that it is not their modes that refuse
        os.mknod(bench.case / "device", 0o20666, os.makedev(1, 5))
        os.mknod(bench.case / "disk", 0o60666, os.makedev(7, 0))
        for name, owner in (("id-of-root", 0), ("id-of-another", 1234)):
            shutil.copy("/usr/bin/id", bench.case / name)
            os.chown(bench.case / name, owner, owner)
            os.chmod(bench.case / name, 0o6755)
        self.victim = subprocess.Popen(
            ["sleep", "600"], user=SANDBOX_USER, group=SANDBOX_USER, extra_groups=(), env={"TOKEN": SECRET}
        )
        self.abstract = f"treegate-test-{os.getpid()}"
        self.listening = [socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX), socket.socket()]
        self.listening[0].bind(str(bench.place / "socket"))
        os.chmod(bench.place / "socket", 0o777)
        self.listening[1].bind(f"\0{self.abstract}")
        self.listening[2].bind(("127.0.0.1", 0))
        for one in self.listening:
            one.listen()

    def run(self, script: str, **limits: Any) -> Ran:
        told = {
            "other": self.other,
            "state": self.state,
            "place": self.bench.place,
            "runner": os.getpid(),
            "user": SANDBOX_USER,
            "victim": self.victim.pid,
            "abstract": self.abstract,
            "port": self.listening[2].getsockname()[1],
        }
        given = {"seconds": 60, "written": 64 << 20, "entries": 20_000} | limits
        code = escapes.PRELUDE + script.format(**told)
        id = f"sb_{secrets.token_hex(8)}"
        other = {"id": id, "engine": self.engine, "image": self.image, "limits": Limits(**given)}
        return self.bench.run("python3", "-c", code, **other)

    def close(self) -> None:
        self.victim.kill()
        self.victim.wait()
        for one in self.listening:
            one.close()


@pytest.fixture
def scene(
    bench: Bench, engine: EngineName, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    monkeypatch.setenv("TREEGATE_TOKEN", SECRET)
    made = Scene(bench, engine, request.getfixturevalue("image") if engine == "docker" else "")
    yield made
    assert made.victim.poll() is None, "a process of the machine was ended from inside"
    made.close()
    assert leftovers(bench.place) == []


@pytest.mark.parametrize("name", escapes.REACHING)
def test_a_command_reaches(scene: Scene, name: str):
    """Nothing of it: each attempt of the table is refused, and what it is about is as it was."""
    script, times = escapes.REACHING[name]
    ran = scene.run(script)
    lines = ran.out.splitlines()
    assert [line for line in lines if not line.startswith("refused")] == []
    assert len(lines) == times, ran.out + ran.err
    assert ran.exited.status == 0, ran.err
    assert SECRET not in ran.out + ran.err
    assert (scene.bench.tools / "tool.py").read_text() == "print('tool')"


@pytest.mark.parametrize("name", escapes.SEEING)
def test_a_command_sees(scene: Scene, name: str):
    """What it should, and no more."""
    script, printed = escapes.SEEING[name]
    ran = scene.run(script)
    assert ran.out.strip() == printed.format(user=SANDBOX_USER).strip(), ran.err
    assert ran.exited.status == 0


def test_the_service_s_environment_is_nowhere(scene: Scene):
    """Not in that of any process that a command can see: neither its own, nor the first one's."""
    ran = scene.run("""
for name in os.listdir("/proc"):
    if name.isdecimal():
        for file in ("environ", "cmdline"):
            attempt(read, "/proc/" + name + "/" + file)
""")
    assert "DONE" in ran.out
    assert SECRET not in ran.out
    assert "TREEGATE_TOKEN" not in ran.out


def test_files_of_others_in_a_case_are_theirs_still(scene: Scene):
    """Whoever owns a case may move what root put there, and not write to it; so may its command, and no more."""
    case = scene.bench.case
    for path in (case, case / "folder", *(case / name for name in ("id-of-root", "id-of-another", "device", "disk"))):
        os.chown(path, 1234, 1234)
    (case / "closed").write_text(SECRET)
    (case / "closed").chmod(0o600)
    ran = scene.run("""
print(os.stat("/case").st_uid, os.stat("/case/file").st_uid)
attempt(write, "/case/file"); attempt(read, "/case/closed"); attempt(os.chmod, "/case/file", 0o666)
os.rename("/case/file", "/case/moved")
""")
    assert ran.out.split("\n")[:4] == [f"{SANDBOX_USER} 0", *["refused PermissionError"] * 3]
    assert ran.brief() == ["move file -> moved"]


ORDINARY = """
import json, sys
from pathlib import Path
from tests.engine.sandbox.conftest import Bench
from treegate.engine.sandbox.order import Limits
bench = Bench.__new__(Bench)
bench.place, bench.number = Path(sys.argv[1]), 0
bench.case, bench.tools, bench.blobs = (bench.place / name for name in ("projects/Case", "Tools", "blobs"))
limits = Limits(seconds=30, written=16 << 20, copied=16 << 20, entries=2000, processes=40)
told = {}
for name, script in json.loads(sys.argv[2]).items():
    ran = bench.run("python3", "-c", script, limits=limits)
    told[name] = [ran.out, ran.err, repr(ran.frames[-1])]
print(json.dumps(told))
"""
_NOT_THEIRS = ("disks and other devices", "the case's own place", "marks that an overlay reads")


def test_an_ordinary_user_s_sandbox_refuses_the_same(tmp_path: Path):
    """With namespaces that an ordinary user makes, and whoever that is: each attempt of the table."""
    if shutil.which("bwrap") is None:
        pytest.skip("needs bubblewrap (bwrap)")
    tmp_path.chmod(0o755)
    for above in tmp_path.parents:
        above.chmod(above.stat().st_mode | 0o011)
    bench = Bench(tmp_path)
    for path in (*tmp_path.rglob("*"), tmp_path):
        os.chown(path, ordinary.NOBODY, ordinary.NOBODY)
    for name in ("Other", "state"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "secret").write_text(SECRET)
        os.chown(tmp_path / name, ordinary.NOBODY, ordinary.NOBODY)
    (bench.case / "file").write_text("content")
    os.chown(bench.case / "file", ordinary.NOBODY, ordinary.NOBODY)
    (bench.tools / "tool.py").write_text("")
    victim = subprocess.Popen(["sleep", "600"], user=ordinary.NOBODY, group=ordinary.NOBODY, extra_groups=())
    told: dict[str, Any] = dict.fromkeys(("runner", "victim"), victim.pid) | {"port": 9, "abstract": "none"}
    told |= {"other": tmp_path / "Other", "state": tmp_path / "state", "place": tmp_path, "user": ordinary.NOBODY}
    scripts = {
        name: escapes.PRELUDE + one.script.format(**told)
        for name, one in escapes.REACHING.items()
        if name not in _NOT_THEIRS
    }
    scripts["forks"] = escapes.PRELUDE + FORKS
    scripts["handles"] = escapes.PRELUDE + escapes.SEEING["no handle but the three it was given"].script
    try:
        ran = ordinary.run(ORDINARY, str(tmp_path), json.dumps(scripts))
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert 20 < int(found.pop("forks")[0].split()[0]) <= 42
    assert found.pop("handles")[0].startswith("[0, 1, 2]\n")
    for name, (out, err, last) in found.items():
        lines = out.splitlines()
        assert [line for line in lines if not line.startswith("refused")] == [], name
        assert len(lines) == escapes.REACHING[name].times, (name, out, err, last)


# -- hurting the machine, or treegate


MIB = 1 << 20
FORK_BOMB = """
print("up", flush=True)
while True:
    try: os.fork()
    except OSError: pass
"""


def test_a_fork_bomb_is_over_when_its_time_is(scene: Scene):
    """It has so many processes and no more, and all of them are gone when it is told that it ended."""
    ran = scene.run("MARK = 'fork-bomb-of-a-test'\n" + FORK_BOMB, seconds=3, processes=64)
    assert ran.exited.ended is Ended.TIME
    assert ran.exited.seconds < 15
    assert running("fork-bomb-of-a-test") == []
    assert ran.captured.operations == 0


FORKS = """
pids = []
try:
    while True:
        pid = os.fork()
        if not pid: time.sleep(60)
        pids.append(pid)
except OSError as error:
    print(len(pids), error.errno == errno.EAGAIN)
"""


def test_a_fork_bomb_meets_its_limit(scene: Scene):
    count, again = scene.run(FORKS, processes=40).out.split()
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
    """On both streams at once; what was written up to the limit is told."""
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
    """It meets a full disk, or is ended for the memory that a folder in memory takes; ours has lost nothing."""
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


# -- oddities: what is told of them, and that they hold nobody up


def test_what_is_no_file_is_left_out_and_said(scene: Scene):
    """FIFOs and sockets, new ones and in place of files; nobody waits for their other end."""
    ran = scene.run("""
os.mkfifo("/case/fifo"); os.mkfifo("/case/folder/fifo")
socket.socket(socket.AF_UNIX).bind("/case/socket")
os.unlink("/case/file"); os.mkfifo("/case/file")
""")
    assert {code for code, _ in ran.findings} >= {"sandbox-special-file"}
    named = {path for code, path in ran.findings if code == "sandbox-special-file"}
    assert named == {f"Case/{name}" for name in ("fifo", "folder/fifo", "socket", "file")}
    assert ran.brief() == ["delete file"]


def test_set_id_bits_are_left_out_and_said(scene: Scene):
    ran = scene.run("""
write("/case/made"); os.chmod("/case/made", 0o6755); os.chmod("/case/file", 0o4755); os.chmod("/case/folder", 0o2755)
""")
    named = {path for code, path in ran.findings if code == "sandbox-setuid"}
    assert {"Case/made", "Case/file"} <= named
    assert not any(int(one.get("mode") or "0", 8) & 0o6000 for one in ran.operations)


LINKS = """
os.symlink("/etc/shadow", "/case/shadow"); os.symlink("{other}/secret", "/case/secret")
os.symlink("../Other/secret", "/case/beside"); os.symlink("../" * 40 + "{state}/key", "/case/folder/key")
os.symlink("/proc/self/root{state}", "/case/state"); os.symlink("self", "/case/self")
os.unlink("/case/file"); os.symlink("{state}/key", "/case/file")
os.rename("/case/folder", "/case/kept"); os.symlink("{other}", "/case/folder")
"""


def test_links_that_point_outside_are_links_and_nothing_is_read_through_them(scene: Scene):
    """Also where a file or a folder was before."""
    ran = scene.run(LINKS)
    made = {one["path"]: one["target"] for one in ran.operations if one["op"] == "symlink"}
    assert made["shadow"] == "/etc/shadow"
    assert made["file"] == f"{scene.state}/key"
    assert made["folder"] == str(scene.other)
    assert len(made) == 8
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in scene.bench.blobs.glob("*/*"))
    assert (scene.state / "key").read_text() == SECRET


def test_hard_links_become_copies_and_are_said(scene: Scene):
    ran = scene.run(
        "write('/case/one'); os.link('/case/one', '/case/two'); os.link('/case/file', '/case/folder/file')"
    )
    assert "sandbox-hard-link" in {code for code, _ in ran.findings}
    assert made(ran) == {"one", "two", "folder/file"}


def made(ran: Ran) -> set[str]:
    """Where there is something now that was not."""
    return {
        one.get("to") or one["path"] for one in ran.operations if one["op"] in ("create", "copy", "mkdir", "move")
    }


def test_what_is_made_unreadable_is_captured(scene: Scene):
    """To nobody's eyes but ours."""
    ran = scene.run("""
os.makedirs("/case/closed/deeper"); write("/case/closed/deeper/file", b"closed")
for name in ("closed/deeper/file", "closed/deeper", "closed", "file", "folder", ""):
    os.chmod("/case/" + name, 0)
""")
    assert {"create closed/deeper/file", "mkdir closed", "mkdir closed/deeper"} <= set(ran.brief())
    modes = {one.get("path"): one.get("mode") for one in ran.operations if one["op"] == "set"}
    assert modes["file"] == "0000"


BYTES = r"""
os.chdir(b"/case")
for number in range(1, 256):
    if number != 47:
        open(b"n" + bytes([number]), "x").close()
os.mkdir(b"m" * 255); open(b"m" * 255 + b"/" + b"\xff" * 255, "x").close()
for name in (b"-rf", b" ", b"~", b"...", b"a\nb", b"\x1b[2J", b"%s%n", b"..\\..", b"C:", b"nul", b"\xc0\xae"):
    open(name, "x").close()
os.rename(b"file", b"\xfffile")
"""


def test_names_of_any_bytes_are_captured(scene: Scene):
    ran = scene.run(BYTES)
    assert ran.exited.status == 0, ran.err
    assert len([one for one in ran.operations if one["op"] == "create"]) == 254 + 1 + 11
    assert len([one for one in ran.operations if one["op"] == "move"]) == 1
    assert len([one for one in ran.operations if one["op"] == "mkdir"]) == 1


def test_what_lies_deeper_than_the_kernel_remembers_is_renamed_or_said(scene: Scene):
    """Beyond `redirect_max` a rename fails in the overlay, as between disks; `mv` copies then, and both are told."""
    step = "d" * 30
    below = scene.bench.case.joinpath(*[step] * 12)
    below.mkdir(parents=True)
    (below / "leaf").write_text("leaf")
    (below / "branch").mkdir()
    (below / "branch" / "inner").write_text("inner")
    path = "/".join([step] * 12)
    ran = scene.run(f"""
os.chdir("/case/{path}")
for name in ("leaf", "branch"):
    print(subprocess.run(["mv", name, "other-" + name]).returncode)
""")
    assert ran.out.split() == ["0", "0"], ran.err
    gone = {one.get("from") or one.get("path") for one in ran.operations if one["op"] in ("move", "delete")}
    assert gone >= {f"{path}/leaf", f"{path}/branch"}
    made = {one.get("to") or one.get("path") for one in ran.operations if one["op"] in ("move", "create", "mkdir")}
    assert made >= {f"{path}/other-leaf", f"{path}/other-branch"}


FORGED = """
write("/case/made", b"made")
os.mkdir("/case/new")
for path in ("/case/made", "/case/new", "/case/file", "/case/folder"):
    for name in ("opaque", "redirect", "metacopy", "origin", "whiteouts", "impure"):
        try: os.setxattr(path, "user.overlay." + name, b"/Other" if name == "redirect" else b"y")
        except OSError: print("refused")
"""


def test_forged_marks_of_an_overlay_change_nothing(scene: Scene):
    """What a script writes under the names that an overlay of an ordinary user would read is no mark of ours."""
    (scene.bench.case / "folder" / "inner").write_text("inner")
    ran = scene.run(FORGED)
    assert ran.brief() == ["create made", "mkdir new"]
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in scene.bench.blobs.glob("*/*"))


NESTED = """
os.chdir("/case")
for level in range(3000):
    os.mkdir("d" * 20)
    os.chdir("d" * 20)
open("leaf", "x").close()
"""


def test_folders_nested_beyond_any_path_are_refused(scene: Scene):
    """As soon as that is seen: looking for the end of them would take longer than making them."""
    began = time.monotonic()
    ran = scene.run(NESTED)
    assert ran.exited.status == 0, ran.err
    assert ran.failed.code == "path-too-long"
    assert time.monotonic() - began - ran.exited.seconds < 15


def test_the_case_s_own_folder_may_be_changed_and_is_not_lost(scene: Scene):
    ran = scene.run("os.chmod('/case', 0o700); os.utime('/case', (1, 1)); os.unlink('/case/file')")
    assert "delete file" in ran.brief()


# -- starting where it cannot go well


def test_a_full_disk_is_said_before_the_command_begins(
    bench: Bench, engine: EngineName, request: pytest.FixtureRequest
):
    """Its room is taken at once, or it does not begin: no write is to succeed and be lost."""
    small = bench.place / "scratch"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(small)], check=True)
    try:
        image = request.getfixturevalue("image") if engine == "docker" else ""
        ran = bench.run("python3", "-c", "print('begun')", engine=engine, image=image)
        assert ran.out == ""
        assert "space" in ran.failed.message
        assert leftovers(bench.place)[1:] == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_full_disk_of_ours_is_said_and_takes_nothing_away(bench: Bench):
    """What the command wrote has its room; what is to be kept of it may have none, and then nothing is told of it."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(bench.blobs)], check=True)
    try:
        ran = bench.sh("head -c 8000000 /dev/urandom > big; head -c 8000 /dev/urandom > small")
        assert ran.exited.status == 0
        assert "room" in ran.failed.message or "space" in ran.failed.message
        assert ran.failed.code in ("disk-full", "sandbox-failed")
        assert not list(bench.blobs.rglob("*.new"))
    finally:
        subprocess.run(["umount", str(bench.blobs)], check=True)
    assert leftovers(bench.place) == []


def test_root_without_the_privilege_is_refused_clearly(bench: Bench):
    """Whoever could not see the marks of an overlay runs nothing on one, and does not guess."""
    code = f"""
import sys
from pathlib import Path
from tests.engine.sandbox.conftest import Bench
bench = Bench.__new__(Bench)
bench.place, bench.number = Path({str(bench.place)!r}), 0
bench.case, bench.tools, bench.blobs = (bench.place / name for name in ("projects/Case", "Tools", "blobs"))
print(bench.sh("echo begun; mv a b", view="overlay").frames)
"""
    (bench.case / "a").mkdir()
    command = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-all", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[3])
    assert "Failed(" in done.stdout, done.stderr
    assert "begun" not in done.stdout
    assert "Captured" not in done.stdout


MILLION = """
for folder in range(1000):
    os.mkdir("/case/%d" % folder)
    for name in range(1000):
        os.close(os.open("/case/%d/%d" % (folder, name), os.O_CREAT | os.O_WRONLY))
"""


@pytest.mark.faults
def test_a_million_files_are_captured_in_little_memory(scene: Scene):
    limits = Limits(seconds=900, entries=1_100_000, written=64 * MIB)
    other = {"engine": scene.engine, "image": scene.image, "limits": limits, "id": f"sb_{secrets.token_hex(8)}"}
    order = scene.bench.order("python3", "-c", escapes.PRELUDE + MILLION, **other)
    with session.start(order) as under_way:
        frames = list(under_way)
        with open(f"/proc/{under_way.runner}/status") as file:
            peak = next(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM"))
    assert isinstance(frames[-1], Captured), frames[-1]
    assert frames[-1].operations == 1_000_000 + 2 * 1000  # each folder is made, and has its time set in the end
    assert peak < 500 * MIB


def running(mark: str) -> list[str]:
    """Processes that speak of something."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if mark.encode() in words:
            found.append(path.parent.name)
    return found
