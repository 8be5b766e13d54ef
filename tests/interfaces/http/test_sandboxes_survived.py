"""The service stopped, killed, started again while commands run, wait, or are to run; nothing of it stays behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commandwork import PATIENCE, SMALL, Headers, asked, at, output, runnable, runners_of, told
from test_service_killed import Serving

from treegate.gate import Gate

pytestmark = runnable
IMAGE = "treegate-mutator"
with_docker = pytest.mark.skipif(
    shutil.which("docker") is None
    or subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True).returncode != 0,
    reason=f"Docker with the image {IMAGE} is not there",
)


@pytest.fixture(autouse=True)
def small(environ: dict[str, str]) -> None:
    """Sandboxes that are made quickly."""
    environ |= SMALL


@pytest.fixture
def start(office: Path, environ: dict[str, str]) -> Iterator[Callable[[], Serving]]:
    """Starts the service; whatever a test leaves of it is ended."""
    begun: list[Serving] = []

    def one() -> Serving:
        begun.append(Serving(office, environ))
        return begun[-1]

    yield one
    for serving in begun:
        if serving.process.poll() is None:
            serving.end(signal.SIGKILL)


def until(true: Callable[[], Any]) -> None:
    """Waits for something to come true."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def state_of(service: Any, who: Headers, id: str) -> str:
    """How far a command is."""
    return str(service.get(f"/sandboxes/{id}", headers=who).json()["state"])


def test_a_killed_service_loses_what_ran_and_runs_what_waited(
    start: Callable[[], Serving], office: Path, environ: dict[str, str], author: Headers
):
    """kill -9 of the service and its workers: nothing of the command goes on, the case is as it was; told as lost.

    What was asked for and not begun is begun by the next one.
    """
    environ["TREEGATE_SANDBOX_AT_ONCE"] = "1"
    first = start()
    with at(first.address) as service:
        long = asked(service, author, "sh", "-c", "touch new; sleep 600")
        until(lambda: state_of(service, author, long["id"]) == "running")
        short = asked(service, author, "sh", "-c", "echo hi")
        first.end(signal.SIGKILL)
    until(lambda: not runners_of(environ["TREEGATE_STATE"]))
    second = start()
    with at(second.address) as service:
        (*_, last) = told(service, author, long["id"])
        assert (last.name, last.data["state"], last.data["plan"]) == ("finished", "lost", None)
        assert output(told(service, author, short["id"])) == "hi\n"
        assert not (office / "projects/Smith/new").exists()
    assert second.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("engine", ["bwrap", pytest.param("docker", marks=with_docker)])
def test_a_command_ends_with_the_process_that_answers(
    start: Callable[[], Serving], engine: str, office: Path, environ: dict[str, str], author: Headers
):
    """kill -9 of that process alone: its workers end the command at once, however long it was to go on."""
    environ["TREEGATE_SANDBOX_ENGINE"] = engine
    first = start()
    with at(first.address) as service:
        long = asked(service, author, "sh", "-c", "sleep 600")
        until(lambda: state_of(service, author, long["id"]) == "running")
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait(PATIENCE)
    until(lambda: not runners_of(environ["TREEGATE_STATE"]))
    with Gate.open(office, environ) as gate:
        until(lambda: gate.sandbox(long["id"]).state == "lost")
        until(lambda: _swept(gate) == [long["id"]])


def _swept(gate: Gate) -> list[str]:
    """The folders that are left of commands and runners once one has swept."""
    gate.sweep_sandboxes()
    return [path.name for path in (gate.state / "sandboxes").iterdir() if path.name != "docker"]


def test_a_runner_that_is_ready_keeps_nobody_from_stopping(
    start: Callable[[], Serving], office: Path, environ: dict[str, str], author: Headers
):
    """SIGTERM ends the service within seconds; the runner ends with it, and what it left goes with the next start."""
    first = start()
    with at(first.address) as service:
        made = asked(service, author, "sh", "-c", "echo hi")
        told(service, author, made["id"])
        until(lambda: runners_of(environ["TREEGATE_STATE"]))
    began = time.monotonic()
    assert first.end(signal.SIGTERM) == 0
    assert time.monotonic() - began < 10
    until(lambda: not runners_of(environ["TREEGATE_STATE"]))
    second = start()
    until(lambda: runners_of(environ["TREEGATE_STATE"]))  # commands are run here, so that one is ready from the start
    assert second.end(signal.SIGTERM) == 0


def test_stopping_ends_what_runs_too_long_and_keeps_what_it_did(
    start: Callable[[], Serving], office: Path, environ: dict[str, str], author: Headers
):
    """After the grace that there is for everything: what the command did by then is a plan."""
    environ["TREEGATE_SERVICE_SHUTDOWN_GRACE"] = "1s"
    first = start()
    with at(first.address) as service:
        long = asked(service, author, "sh", "-c", "touch new; echo begun; sleep 600")
        until(lambda: "out| begun" in service.get(f"/sandboxes/{long['id']}/log", headers=author).text)
    assert first.end(signal.SIGTERM) == 0
    with Gate.open(office, environ) as gate:
        found = gate.sandbox(long["id"])
        assert (found.state, found.why) == ("ended", "cancelled")
        assert found.plan is not None
        assert gate.show(found.plan).preview.counts.created == 1


def test_a_worker_that_is_killed_loses_only_its_command(
    start: Callable[[], Serving], office: Path, environ: dict[str, str], author: Headers
):
    """It is told as lost; the next command runs."""
    first = start()
    with at(first.address) as service:
        long = asked(service, author, "sh", "-c", "sleep 600")
        until(lambda: state_of(service, author, long["id"]) == "running")
        until(lambda: _running(environ["TREEGATE_STATE"]))
        (runner,) = _running(environ["TREEGATE_STATE"])
        os.kill(_parent(runner), signal.SIGKILL)
        assert told(service, author, long["id"])[-1].data["state"] == "lost"
        assert output(told(service, author, asked(service, author, "sh", "-c", "echo hi")["id"])) == "hi\n"
    assert first.end(signal.SIGTERM) == 0


def _running(state: str) -> list[str]:
    """The runners that have a child that is a command: those that are ready have none that has begun."""
    return [pid for pid in runners_of(state) if "bwrap" in _children(pid)]


def _children(pid: str) -> str:
    names = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        names.append(Path(f"/proc/{child}/comm").read_text().strip())
    return " ".join(names)


def _parent(pid: str) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
