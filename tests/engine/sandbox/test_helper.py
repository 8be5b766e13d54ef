"""The helper that holds Docker's socket: it runs what a service asks for, and nothing that it could not check."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat as st
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from tests.engine.sandbox.conftest import TAG, containers, poll

from treegate.engine.sandbox import docker, session
from treegate.engine.sandbox.order import Case, Failed, Frame, Limits, Order, Output, Started

TREEGATE = (sys.executable, "-c", "from treegate.interfaces.cli import main; main()")


class Service:
    """A workspace with a helper beside it, and what the service's own process sees of both."""

    def __init__(self, place: Path) -> None:
        self.root, self.state, self.socket = place / "ws", place / "state", str(place / "helper.sock")
        self.case = self.root / "projects/Smith"
        self.case.mkdir(parents=True)
        (self.root / "Tools").mkdir()
        (self.root / "Tools/tool.py").write_text("print('a tool')")
        (self.case / "a.txt").write_text("a")
        (self.root / "projects/link").symlink_to("/etc")
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TREEGATE_")},
            "TREEGATE_STATE": str(self.state), "TREEGATE_SANDBOX_IMAGE": TAG, "TREEGATE_SANDBOX_ENGINE": "docker",
            "TREEGATE_SANDBOX_LIMITS_WRITTEN": "64 MiB", "TREEGATE_SANDBOX_LIMITS_ENTRIES": "20000",
        }  # fmt: skip
        self.treegate("init", str(self.root))
        self.helper = self.start()

    def treegate(self, *arguments: str, **more: str) -> Any:
        words = 2 if arguments[0] == "sandbox" else 1
        done = subprocess.run(
            [*TREEGATE, *arguments[:words], "--json", *arguments[words:]],
            capture_output=True, text=True, env={**self.environ, **more}, cwd=self.root, timeout=60,
        )  # fmt: skip
        return json.loads(done.stdout)

    def start(self) -> subprocess.Popen[str]:
        command = [*TREEGATE, "sandbox", "helper", "--socket", self.socket]
        made = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self.environ, cwd=self.root)
        assert made.stdout is not None
        assert self.socket in made.stdout.readline()
        return made

    def stop(self) -> None:
        self.helper.terminate()
        self.helper.wait(20)

    def run(self, *command: str, **more: str) -> Any:
        """A command asked for by a process that cannot reach Docker."""
        without = {"DOCKER_HOST": "unix:///nowhere", "TREEGATE_SANDBOX_HELPER": self.socket}
        return self.treegate("run", "Smith", "--", *command, **{**without, **more})

    def order(self, *command: str, **more: Any) -> Order:
        folder = self.state / "sandboxes/sb_test"
        folder.mkdir(parents=True, exist_ok=True)
        given = {
            "id": "sb_test", "command": command, "cases": (Case(name="Smith", folder="/etc"),), "engine": "docker",
            "scratch": str(folder / "scratch"), "blobs": "/nowhere", "document": "/nowhere/plan.json",
            "limits": Limits(seconds=60, written=64 << 20, entries=20_000), **more,
        }  # fmt: skip
        return Order(**given)

    def frames(self, order: Order) -> list[Frame]:
        with session.start(order, helper=self.socket) as under_way:
            return list(under_way)

    @property
    def left(self) -> list[str]:
        return containers(f"{docker.STATE_LABEL}={self.state / 'helped'}")


@pytest.fixture(scope="module")
def served(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    place = tmp_path_factory.mktemp("helped")
    os.chmod(place, 0o755)
    made = Service(place)
    try:
        yield made
    finally:
        made.stop()


def test_a_command_runs_for_whoever_cannot_reach_docker(served: Service):
    """With its tools; what it did becomes a plan, and nothing of it is left."""
    told = served.run("sh", "-c", "python3 /tools/tool.py; mv a.txt b.txt")
    assert (told["stdout"], told["status"], told["operations"]) == ("a tool\n", 0, 1)
    assert (served.case / "a.txt").exists()
    assert served.left == []
    poll(lambda: not [*(served.state / "helped").glob("*/scratch")])  # cleared once all is told


def test_no_path_is_taken_from_an_order(served: Service):
    """The case is the one of that name, and the plan is written where plans of commands are."""
    (served.state / "sandboxes/sb_test/scratch/tools").mkdir(parents=True)
    frames = served.frames(served.order("sh", "-c", "ls /case /tools; touch new", tools="/etc"))
    assert [frame.data for frame in frames if isinstance(frame, Output)] == [b"/case:\na.txt\n\n/tools:\n"]
    document = json.loads((served.state / "sandboxes/sb_test/plan.json").read_text())
    assert [one["path"] for one in document["operations"]] == ["new"]


REFUSED = {
    "engine": {"engine": "bwrap"},
    "image": {"image": "another"},
    "id": {"id": "sb_../../x"},
    "memory": {"limits": Limits(memory=1 << 40, written=64 << 20, entries=20_000)},
    "no time": {"limits": Limits(seconds=0, written=64 << 20, entries=20_000)},
    "a case above": {"cases": (Case(name="..", folder="/"),)},
    "a path": {"cases": (Case(name="../Tools", folder="/"),)},
    "a link": {"cases": (Case(name="link", folder="/"),)},
    "no case": {"cases": (Case(name="nobody", folder="/"),)},
    "a view": {"view": "whatever"},
    "no cases": {"cases": ()},
    "a case twice": {"cases": (Case(name="Smith", folder="/"),) * 2},
    "nobody's": {"id": "sb_nobodys"},
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_configured_is_refused(served: Service, what: str):
    order = structs.replace(served.order("touch", "x"), **REFUSED[what])
    ready_limits = order.limits
    frames = served.frames(order)
    assert [type(frame) for frame in frames] == [Failed], ready_limits
    assert isinstance(frames[0], Failed)
    assert frames[0].code in ("helper-refused", "sandbox-lost")
    assert served.left == []


@pytest.mark.parametrize(
    "sent", [b"\xc1" * 3, b"\xd9\x02\xff\xff", b"\x91" * (1 << 20)], ids=["junk", "text", "deep"]
)
def test_what_is_no_message_ends_the_connection_and_nothing_else(served: Service, sent: bytes):
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(served.socket)
        other.sendall(struct.pack("=I?", len(sent), False) + sent)
        assert other.recv(1 << 16) == b""
    assert served.run("sh", "-c", "echo fine")["stdout"] == "fine\n"


def test_a_helper_that_is_told_to_end_leaves_nothing(image: str, tmp_path: Path):
    """Nor does one that is killed, once somebody sweeps."""
    os.chmod(tmp_path, 0o755)
    service = Service(tmp_path)
    for end, sweeps in ((signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGKILL, True)):
        under_way = session.start(service.order("sleep", "300"), helper=service.socket)
        assert isinstance(next(iter(under_way)), Started)
        service.helper.send_signal(end)
        service.helper.wait(20)
        under_way.close()
        poll(lambda: service.left == [])
        if sweeps:  # what the killed one had begun outlives it by a moment, and is passed over until then
            poll(lambda: bool(service.treegate("sandbox", "sweep")) and not [*(service.state / "helped").glob("*/*")])
        assert list((service.state / "helped").glob("*/*")) == [], end
        service.helper = service.start()
    service.stop()


def test_the_tools_of_an_order_are_no_way_to_other_files(served: Service):
    """Whoever puts links where tools lie ready shows the command nothing by them."""
    tools = served.state / "sandboxes/sb_test/scratch/tools"
    tools.mkdir(parents=True, exist_ok=True)
    (tools / "link").symlink_to("/etc/passwd")
    (tools / "fine").write_text("fine")
    frames = served.frames(served.order("ls", "/tools", tools="yes"))
    assert [frame.data for frame in frames if isinstance(frame, Output)] == [b"fine\n"]
    tools.parent.mkdir(parents=True, exist_ok=True)
    tools.symlink_to("/etc")
    frames = served.frames(served.order("ls", "/tools", tools="yes"))
    assert [type(frame) for frame in frames] == [Failed]


def test_whoever_hangs_up_ends_the_command(served: Service):
    under_way = session.start(served.order("sleep", "300"), helper=served.socket)
    assert isinstance(next(iter(under_way)), Started)
    poll(lambda: served.left != [])
    under_way._ready.line.close()
    poll(lambda: served.left == [])


def test_the_socket_is_for_its_owner_and_group(served: Service):
    assert st.S_IMODE(os.stat(served.socket).st_mode) == 0o660


def test_a_second_helper_does_not_take_its_place(served: Service):
    told = served.treegate("sandbox", "helper", "--socket", served.socket)
    assert told["error"]["code"] == "helper-running"


def test_without_a_helper_it_is_said_which(served: Service):
    told = served.run("true", TREEGATE_SANDBOX_INTERPRETERS='["true"]', TREEGATE_SANDBOX_HELPER="/nowhere.sock")
    assert "helper-absent" in json.dumps(told)
    assert "/nowhere.sock" in json.dumps(told)


def test_a_helper_that_is_killed_takes_its_containers_along(image: str, tmp_path: Path):
    """Runners see that it is gone; whoever asked is told."""
    os.chmod(tmp_path, 0o755)
    service = Service(tmp_path)
    under_way = session.start(service.order("sleep", "300"), helper=service.socket)
    frames = iter(under_way)
    assert isinstance(next(frames), Started)
    poll(lambda: service.left != [])
    service.helper.kill()
    service.helper.wait()
    last = next(frames)
    assert isinstance(last, Failed)
    assert last.code == "sandbox-lost"
    poll(lambda: service.left == [])
    service.helper = service.start()
    assert service.run("sh", "-c", "echo again")["stdout"] == "again\n"
    service.stop()
