"""Attempts to get out of a sandbox, on either engine: refused, and the machine is as it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.engine.sandbox import escapes, ordinary
from tests.engine.sandbox.conftest import Bench
from tests.engine.sandbox.scene import MIB, SECRET, Scene, engine_fixture, running, scene_fixture  # noqa: F401

from treegate.engine.sandbox.order import SANDBOX_USER

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: what nobody may do anyway would prove nothing")


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
    scripts["forks"] = escapes.PRELUDE + escapes.FORKS
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
