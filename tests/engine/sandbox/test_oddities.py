"""Odd things that a command may leave, or find: what is told of them, and that they hold nobody up."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.engine.sandbox import escapes
from tests.engine.sandbox.conftest import Bench, Ran, leftovers
from tests.engine.sandbox.scene import MIB, SECRET, Scene, engine_fixture, running, scene_fixture  # noqa: F401

from treegate.engine.sandbox import session
from treegate.engine.sandbox.order import Captured, EngineName, Limits

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: what nobody may do anyway would prove nothing")


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


def test_what_is_put_where_names_are_treegates_own_is_left_out_and_said(scene: Scene):
    """At any depth; what moved there is gone from where it was, and all else is as it is."""
    ran = scene.run("""
os.mkdir("/case/.treegate"); write("/case/.treegate/one"); os.rename("/case/file", "/case/.treegate/file")
os.mkdir("/case/folder/.treegate"); write("/case/folder/.treegate/two"); write("/case/.treegate-not")
""")
    assert {path for code, path in ran.findings if code == "sandbox-reserved"} == {
        "Case/.treegate",
        "Case/folder/.treegate",
    }
    assert made(ran) == {".treegate-not"}
    assert "delete file" in ran.brief()


@pytest.mark.parametrize("script", ["mv {}/x out", "cp -p {}/x out", "mv {} plain"])
def test_what_is_taken_from_where_names_are_treegates_own_is_left_out_and_said(scene: Scene, script: str):
    """Further down a case may hold such a folder from elsewhere; all else that was done can be decided on."""
    (scene.bench.case / "folder/.treegate").mkdir()
    (scene.bench.case / "folder/.treegate/x").write_text("x" * 100)
    line = script.format("/case/folder/.treegate")
    ran = scene.run(f"os.chdir('/case'); write('new'); os.system({line!r})")
    assert ("sandbox-reserved", "Case/folder/.treegate") in ran.findings
    assert made(ran) == {"new"}
    assert not any(".treegate" in json.dumps(one) for one in ran.operations)


LINKS = """
os.symlink("/etc/shadow", "/case/shadow"); os.symlink("{other}/secret", "/case/secret")
os.symlink("../Other/secret", "/case/beside"); os.symlink("../" * 40 + "{state}/key", "/case/folder/shadow")
os.symlink("/proc/self/root{state}", "/case/state"); os.symlink("self", "/case/self")
os.unlink("/case/file"); os.symlink("{state}/key", "/case/file")
os.rename("/case/folder", "/case/kept"); os.symlink("{other}", "/case/folder")
"""


def test_links_that_point_outside_are_left_out_and_said_and_nothing_is_read_through_them(scene: Scene):
    """46: also where a file or a folder was before: that is gone, as the command left it."""
    ran = scene.run(LINKS)
    assert {one["path"]: one["target"] for one in ran.operations if one["op"] == "symlink"} == {"self": "self"}
    named = {path for code, path in ran.findings if code == "sandbox-link-outside"}
    outside = ("shadow", "secret", "beside", "kept/shadow", "state", "file", "folder")
    assert named == {f"Case/{name}" for name in outside}
    assert {"move folder -> kept", "delete file"} <= set(ran.brief())
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


DEEP = """
os.chdir("/case")
for level in range(15):
    os.mkdir("d" * 255)
    os.chdir("d" * 255)
open("a" * 200, "x").close()
os.mkdir("b" * 200)
os.symlink("a" * 200, "c" * 200)
"""


def test_paths_as_long_as_a_plan_can_name_are_captured(scene: Scene):
    """With the folder of its upper layer before it, such a path is longer than the kernel takes."""
    ran = scene.run(DEEP)
    assert ran.exited.status == 0, ran.err
    made = sorted(one["path"] for one in ran.operations if one["op"] != "set")
    top = "/".join(["d" * 255] * 15)
    assert made[-3:] == [f"{top}/{name * 200}" for name in "abc"]
    assert len(made) == 15 + 3


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
        assert (ran.failed.code, "state directory is full" in ran.failed.message) == ("disk-full", True)
        assert leftovers(bench.place)[1:] == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_full_disk_of_ours_is_said_and_takes_nothing_away(bench: Bench):
    """What the command wrote has its room; what is to be kept of it may have none, and then nothing is told of it."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(bench.blobs)], check=True)
    try:
        ran = bench.sh("head -c 8000000 /dev/urandom > big; head -c 8000 /dev/urandom > small")
        assert ran.exited.status == 0
        assert ran.failed.code == "disk-full"
        assert "what the command did could not be kept" in ran.failed.message
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
