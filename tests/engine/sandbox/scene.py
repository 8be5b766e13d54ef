"""A workspace with things that a script would like to have, and commands that run beside them on either engine."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.sandbox import escapes
from tests.engine.sandbox.conftest import Bench, Ran, leftovers, poll

from treegate.engine.sandbox.order import SANDBOX_USER, EngineName, Limits

MIB = 1 << 20
SECRET = "a-secret-of-the-service"


@pytest.fixture(name="engine", params=["bwrap", "docker"])
def engine_fixture(request: pytest.FixtureRequest) -> EngineName:
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


@pytest.fixture(name="scene")
def scene_fixture(
    bench: Bench, engine: EngineName, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    monkeypatch.setenv("TREEGATE_TOKEN", SECRET)
    made = Scene(bench, engine, request.getfixturevalue("image") if engine == "docker" else "")
    yield made
    assert made.victim.poll() is None, "a process of the machine was ended from inside"
    made.close()
    poll(lambda: leftovers(bench.place) == [], 10)


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
