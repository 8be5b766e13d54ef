"""Commands in sandboxes, on a case in a folder of the test's own."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from treegate.engine.locks import file_lock
from treegate.engine.sandbox import docker, session
from treegate.engine.sandbox.order import (
    SANDBOX_USER,
    Captured,
    Case,
    Exited,
    Failed,
    Finding,
    Frame,
    Limits,
    Order,
    Output,
)
from treegate.model.plan import Plan


class Ran:
    """What was told of a command that ran."""

    def __init__(self, frames: list[Frame], document: Path) -> None:
        self.frames = frames
        self._document = document

    def of(self, kind: type[Any]) -> Any:
        found = [frame for frame in self.frames if isinstance(frame, kind)]
        assert len(found) == 1, self.frames
        return found[0]

    @property
    def exited(self) -> Exited:
        return self.of(Exited)

    @property
    def captured(self) -> Captured:
        return self.of(Captured)

    @property
    def failed(self) -> Failed:
        return self.of(Failed)

    @property
    def findings(self) -> set[tuple[str, str]]:
        return {(finding.code, finding.path) for finding in self.captured.findings if isinstance(finding, Finding)}

    @property
    def out(self) -> str:
        return self._written("stdout")

    @property
    def err(self) -> str:
        return self._written("stderr")

    def _written(self, stream: str) -> str:
        parts = [frame.data for frame in self.frames if isinstance(frame, Output) and frame.stream == stream]
        return b"".join(parts).decode("utf-8", "surrogateescape")

    @property
    def operations(self) -> list[dict[str, Any]]:
        import msgspec

        return [msgspec.to_builtins(operation) for operation in Plan.decode(self._document.read_bytes()).operations]

    def brief(self) -> list[str]:
        """The operations that say more than a mode or a time, on a line each."""
        return sorted(_brief(one) for one in self.operations if one["op"] != "set")


def _brief(one: dict[str, Any]) -> str:
    if "from" in one:
        return f"{one['op']} {one['from']} -> {one['to']}"
    return f"{one['op']} {one['path']}"


class Bench:
    """A case, and commands that run on it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.case = place / "projects" / "Case"
        self.tools = place / "Tools"
        self.blobs = place / "blobs"
        for folder in (self.case, self.tools, self.blobs):
            folder.mkdir(parents=True)
        self.number = 0

    def order(self, *command: str, **other: Any) -> Order:
        self.number += 1
        given: dict[str, Any] = {
            "id": f"sb_{self.number}",
            "command": command,
            "cases": (Case(name="Case", folder=str(self.case)),),
            "engine": "bwrap",
            "scratch": str(self.place / "scratch" / f"sb_{self.number}"),
            "blobs": str(self.blobs),
            "document": str(self.place / f"plan-{self.number}.json"),
            "tools": str(self.tools),
            "limits": Limits(seconds=60, written=64 << 20, entries=20_000),
        }
        return Order(**(given | other))

    def run(self, *command: str, meanwhile: Callable[[Frame], None] = lambda frame: None, **other: Any) -> Ran:
        order = self.order(*command, **other)
        frames = []
        with session.start(order) as under_way:
            for frame in under_way:
                frames.append(frame)
                meanwhile(frame)
        return Ran(frames, Path(order.document))

    def sh(self, script: str, **other: Any) -> Ran:
        return self.run("sh", "-c", script, **other)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    if shutil.which("bwrap") is None:
        pytest.skip("needs bubblewrap (bwrap)")
    os.chmod(tmp_path, 0o755)
    return Bench(tmp_path)


def leftovers(place: Path) -> list[str]:
    """What a runner may have left behind: mounts, loop devices, processes that speak of a folder."""
    with open("/proc/self/mountinfo") as file:
        found = [line for line in file if str(place) in line]
    loops = subprocess.run(["losetup", "-a"], capture_output=True, text=True).stdout if os.geteuid() == 0 else ""
    found += [line for line in loops.splitlines() if str(place) in line]
    return found


def poll(true: Callable[[], Any], seconds: float = 40) -> None:
    """Waits until something is so. The kernel lets go of mounts and loop devices a moment after their last user."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


TAG = "treegate-test-host:latest"


def containers(label: str) -> list[str]:
    """The names of the containers that have a label, whatever became of them."""
    listed = ["docker", "ps", "--all", "--filter", f"label={label}", "--format", "{{.Names}}"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()


@pytest.fixture(scope="session")
def image() -> str:
    """An image of this machine's Python, made once and kept: `docker rmi` it once that Python is another one."""
    if subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("needs a Docker engine that answers (`docker info`)")
    from treegate.engine.sandbox import daemon, images

    with file_lock(Path(tempfile.gettempdir()) / "treegate-test-image.lock", wait=120), daemon.connect() as engine:
        return engine.known(TAG) or images.build_from_host(TAG).id


class Ended(NamedTuple):
    """How a command in a container ended."""

    out: bytes
    err: bytes
    done: docker.Done

    @property
    def status(self) -> int:
        return self.done.status


class Box:
    """Runs commands in containers, as a runner would, and knows what is left of them."""

    def __init__(self, image: str) -> None:
        self.image, self.label = image, f"sb_{secrets.token_hex(8)}"
        self._hands: list[docker.Hand] = []

    def spec(self, *command: str, **more: object) -> docker.Spec:
        given = {
            "name": f"treegate-{self.label}-{len(self._hands)}",
            "image": self.image,
            "command": command,
            "user": f"{SANDBOX_USER}:{SANDBOX_USER}",
            "environment": {"HOME": "/tmp"},
            "labels": {docker.SANDBOX_LABEL: self.label},
            **more,
        }
        return docker.Spec(**given)  # type: ignore[arg-type]

    def begin(self, *command: str, **more: object) -> docker.Hand:
        """A hand whose container has its command running."""
        hand = docker.prepare()
        self._hands.append(hand)
        hand.go(self.spec(*command, **more))
        return hand

    def run(self, *command: str, **more: object) -> Ended:
        with self.begin(*command, **more) as hand:
            with ThreadPoolExecutor(2) as readers:
                out, err = readers.map(everything, (hand.stdout.fileno(), hand.stderr.fileno()))
            return Ended(out, err, hand.wait())

    @property
    def left(self) -> list[str]:
        return containers(f"{docker.SANDBOX_LABEL}={self.label}")

    def end(self) -> None:
        for hand in self._hands:
            hand.end()
        if self.left:
            subprocess.run(["docker", "rm", "--force", *self.left], capture_output=True, check=True)


def everything(fd: int) -> bytes:
    return b"".join(iter(lambda: os.read(fd, 1 << 16), b""))


@pytest.fixture
def box(image: str) -> Iterator[Box]:
    made = Box(image)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def python(box: Box) -> Callable[..., Ended]:
    """Runs some Python in a container."""
    return lambda code, **more: box.run("python3", "-c", code, **more)
