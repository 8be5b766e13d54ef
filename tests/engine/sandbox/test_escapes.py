"""Attempts to get out of a sandbox, on either engine: refused, and the machine is as it was."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests.engine.sandbox import escapes
from tests.engine.sandbox.conftest import Bench, Ran, leftovers

from treegate.engine.sandbox.order import SANDBOX_USER, EngineName, Limits

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
            "other": self.other, "state": self.state, "place": self.bench.place, "runner": os.getpid(),
            "victim": self.victim.pid, "abstract": self.abstract, "port": self.listening[2].getsockname()[1],
        }  # fmt: skip
        given = {"seconds": 60, "written": 64 << 20, "entries": 20_000} | limits
        code = escapes.PRELUDE + script.format(**told)
        return self.bench.run(*("python3", "-c", code), engine=self.engine, image=self.image, limits=Limits(**given))

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
