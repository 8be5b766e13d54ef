"""The service killed in the middle of a run, and started again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from test_plans_over_http import plan

from treegate.gate import Gate

FILES = 3000


class Serving:
    """A real service in a process group of its own."""

    def __init__(self, office: Path, environ: dict[str, str], port: int = 0) -> None:
        program = str(Path(sys.executable).with_name("treegate"))
        command = [program, "serve", "--port", str(port), "--json", "--workspace", str(office)]
        self.process = subprocess.Popen(
            command, env={**os.environ, **environ}, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self.process.stdout is not None
        self.address = json.loads(self.process.stdout.readline())["address"]

    def end(self, number: signal.Signals) -> int:
        """Sends a signal to the service and all its workers (SIGKILL), or to the service alone; its exit status."""
        if number is signal.SIGKILL:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.process.wait(60)


def state_of(office: Path) -> str:
    """Where the files are: "before", "after", or "between"."""
    case = office / "projects/Smith"
    here, there = len(list(case.glob("f*.txt"))), len(list(case.glob("Sorted/*.txt")))
    assert here + there == FILES
    return "before" if there == 0 else "after" if here == 0 else "between"


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(n, marks=pytest.mark.faults) for n in range(3, 50))])
def test_killed_at_any_moment_the_tree_is_before_or_after(
    seed: int, office: Path, environ: dict[str, str], token: Callable[..., str]
):
    """kill -9 of the service and its workers at a moment drawn by chance; started again, it brings the run to an end.

    A client that was watching goes on behind the last event that it saw.
    """
    for number in range(FILES):
        (office / f"projects/Smith/f{number:04}.txt").write_text(str(number))
    headers = {"Authorization": f"Bearer {token('rita', 'reviewer')}"}
    author = {"Authorization": f"Bearer {token('ann', 'author')}"}
    first = Serving(office, environ)
    document = plan({"op": "move", "match": "f*.txt", "to": "Sorted/"})
    made = httpx2.post(f"{first.address}/plans", content=document, headers=author, timeout=60).json()
    approved = httpx2.post(
        f"{first.address}/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=headers, timeout=60
    )
    assert approved.status_code == 200
    run = httpx2.post(f"{first.address}/plans/{made['id']}/apply", headers=headers, timeout=60).json()["run"]
    with pytest.raises(subprocess.TimeoutExpired):
        first.process.wait(random.Random(seed).uniform(0, 0.6))
    first.end(signal.SIGKILL)
    second = Serving(office, environ)
    with httpx2.stream(
        "GET", f"{second.address}/runs/{run}/events", headers={**author, "Last-Event-ID": "1"}, timeout=60
    ) as stream:
        told = "".join(stream.iter_text())
    assert second.end(signal.SIGTERM) == 0
    assert "event: ended" in told
    with Gate.open(office, environ) as gate:
        ended = gate.progress(run).state
        assert gate.core.store.unfinished() == []
        assert [found for found in gate.fsck() if found.severity == "error"] == []
    assert (ended, state_of(office)) in {("applied", "after"), ("rolled-back", "before")}


def test_workers_do_not_outlive_the_service(office: Path, environ: dict[str, str], token: Callable[..., str]):
    """The service alone is killed: its idle workers end, too, and close the pipe that they share with it."""
    author = {"Authorization": f"Bearer {token('ann', 'author')}"}
    serving = Serving(office, environ)
    answer = httpx2.post(
        f"{serving.address}/check", content=plan({"op": "mkdir", "path": "New"}), headers=author, timeout=60
    )
    assert answer.status_code == 200
    serving.process.kill()
    assert serving.process.stdout is not None
    assert serving.process.stdout.read() == b""  # at its end only once every process that holds it is gone
