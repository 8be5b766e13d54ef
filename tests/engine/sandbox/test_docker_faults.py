"""A daemon that goes away while a command runs: it is said, and nothing is left once it is back."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.sandbox.conftest import TAG, Bench, poll

from treegate.engine.sandbox import leftovers, session
from treegate.engine.sandbox.order import Failed, Output

pytestmark = pytest.mark.timeout(300)


class Engine:
    """A daemon of this test's own, which may be stopped and killed."""

    def __init__(self, place: Path) -> None:
        self._place, self.address = place, f"unix://{place}/socket"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        place = self._place
        with (place / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "dockerd", "--data-root", str(place / "data"), "--exec-root", str(place / "exec"),
                    "--pidfile", str(place / "pid"), "--host", self.address, "--iptables=false", "--bridge=none",
                ],
                stdout=log, stderr=log,
            )  # fmt: skip
        poll(lambda: self.docker("info").returncode == 0 or self._process.poll() is not None)
        if self._process.poll() is not None:
            pytest.skip(f"no second Docker daemon can be had here: {(place / 'log').read_text()[-300:]}")

    def docker(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["docker", "--host", self.address, *arguments], capture_output=True, **more)

    def end(self, *, kill: bool = False) -> None:
        if self._process is not None:
            (self._process.kill if kill else self._process.terminate)()
            self._process.wait(60)
            self._process = None
        (self._place / "pid").unlink(missing_ok=True)

    @property
    def containers(self) -> list[bytes]:
        return self.docker("ps", "--all", "--quiet").stdout.split()


@pytest.fixture(scope="module")
def engine(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if os.geteuid() or not shutil.which("dockerd"):
        pytest.skip("needs root and dockerd, for a daemon that may be stopped")
    place = tmp_path_factory.mktemp("engine")
    made = Engine(place)
    made.start()
    saved = subprocess.run(["docker", "save", TAG], capture_output=True, check=True).stdout
    assert made.docker("load", input=saved).returncode == 0
    try:
        yield made
    finally:
        if made.containers:
            made.docker("rm", "--force", *[name.decode() for name in made.containers])
        made.end()
        subprocess.run(["umount", "--lazy", str(place / "data")], capture_output=True)  # it mounts that on itself


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_a_daemon_that_goes_away_midway(bench: Bench, engine: Engine, monkeypatch: pytest.MonkeyPatch, kill: bool):
    """Stopped, it ends its containers, and killed it leaves them: either way the case is whole, a sweep ends them."""
    monkeypatch.setenv("DOCKER_HOST", engine.address)
    (bench.case / "file").write_text("kept")
    order = bench.order("sh", "-c", "echo begun; mv file moved; sleep 300", engine="docker", image=TAG)
    frames = []
    with session.start(order) as under_way:
        for frame in under_way:
            frames.append(frame)
            if isinstance(frame, Output) and len(frames) == 2:
                engine.end(kill=kill)
    engine.start()
    last = frames[-1]
    if kill:
        assert isinstance(last, Failed)
        assert last.code == "docker-lost"
    leftovers.sweep(str(bench.place))
    poll(lambda: engine.containers == [])
    assert os.listdir(bench.place / leftovers.NOTES) == []
    assert (bench.case / "file").read_text() == "kept"
    with open("/proc/self/mountinfo") as file:
        assert [line for line in file if str(bench.place) in line] == []


def test_once_it_is_back_commands_run(bench: Bench, engine: Engine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOCKER_HOST", engine.address)
    assert bench.run("echo", "again", engine="docker", image=TAG).out == "again\n"
