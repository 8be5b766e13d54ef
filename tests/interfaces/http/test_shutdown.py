"""The service told to stop: a run is finished, or, told twice, taken back; it is never left midway."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import httpx2
import pytest
from test_plans_over_http import plan
from test_service_killed import Serving

from treegate.gate import Gate
from treegate.interfaces.crew.crew import BEHIND

FILES = 20_000
PATIENCE = 120  # seconds
SOON = 40  # seconds: less than the grace, at whose end workers are dropped anyway


@pytest.fixture
def running(office: Path, environ: dict[str, str], token: Callable[..., str]) -> tuple[Serving, str, dict[str, str]]:
    """A service in the middle of a run of many steps, the run's id, and a reviewer's token."""
    for number in range(FILES):
        (office / f"projects/Smith/f{number:05}.txt").touch()
    reviewer = {"Authorization": f"Bearer {token('rita', 'reviewer')}"}
    author = {"Authorization": f"Bearer {token('ann', 'author')}"}
    serving = Serving(office, environ)
    document = plan({"op": "move", "match": "f*.txt", "to": "Sorted/"})
    ask = httpx2.Client(base_url=serving.address, timeout=PATIENCE)
    made = ask.post("/plans", content=document, headers=author).json()
    ask.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    run = ask.post(f"/plans/{made['id']}/apply", headers=reviewer).json()["run"]
    until = time.monotonic() + PATIENCE
    while not any((office / "projects/Smith/Sorted").glob("*")):
        assert time.monotonic() < until
    return serving, run, reviewer


def ended(office: Path, environ: dict[str, str], run: str) -> tuple[str, int, int]:
    """How the run ended, and how many files are where they were and where they were to go."""
    case = office / "projects/Smith"
    with Gate.open(office, environ) as gate:
        assert gate.core.store.unfinished() == []
        return gate.progress(run).state, len(list(case.glob("f*.txt"))), len(list(case.glob("Sorted/*.txt")))


def test_told_once_the_run_is_finished_and_streams_end_at_once(
    running: tuple[Serving, str, dict[str, str]], office: Path, environ: dict[str, str]
):
    """SIGTERM to the service and all its workers, as systemd does: applied, exit status 0, the stream ends whole."""
    serving, run, reviewer = running
    whole = threading.Event()

    def watch() -> None:
        with httpx2.stream(
            "GET", f"{serving.address}/runs/{run}/events", headers=reviewer, timeout=PATIENCE
        ) as stream:
            watching.set()
            for _ in stream.iter_raw():  # raises where the answer is cut off
                pass
        whole.set()

    watching = threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    assert watching.wait(PATIENCE)
    os.killpg(serving.process.pid, signal.SIGTERM)
    assert serving.process.wait(PATIENCE) == 0
    watcher.join(PATIENCE)
    assert whole.is_set()
    assert ended(office, environ, run) == ("applied", 0, FILES)


def test_told_twice_the_run_is_taken_back(
    running: tuple[Serving, str, dict[str, str]], office: Path, environ: dict[str, str]
):
    """The tree is as before, and nothing waits for a recovery."""
    serving, run, _ = running
    serving.process.send_signal(signal.SIGTERM)
    serving.process.send_signal(signal.SIGINT)
    assert serving.process.wait(PATIENCE) == 0
    assert ended(office, environ, run) == ("rolled-back", FILES, 0)


def long_plan(folders: int = 100_000) -> str:
    """A plan whose preview takes seconds."""
    return plan(*({"op": "mkdir", "path": f"d{number:05}/e{number}"} for number in range(folders)))


def under_way(address: str, calls: int) -> None:
    """Waits until so many previews are under way."""
    until = time.monotonic() + PATIENCE
    while f'treegate_crew_busy{{crew="previews"}} {calls}.0' not in httpx2.get(f"{address}/metrics").text:
        assert time.monotonic() < until


@pytest.mark.parametrize("signals", [1, 2])
def test_told_once_or_twice_previews_that_take_longer_are_dropped(
    office: Path, environ: dict[str, str], token: Callable[..., str], signals: int
):
    """At the end of the grace, or when told again, whoever waits for a preview is told so; exit status 0."""
    if signals == 1:
        config = Path(environ["TREEGATE_STATE"]) / "treegate.toml"
        config.write_text(config.read_text() + '\n[service]\nshutdown_grace = "1s"\n')
    authors = [{"Authorization": f"Bearer {token(name, 'author')}"} for name in ("ann", "bob", "cyd", "dan", "eve")]
    serving = Serving(office, environ)
    told: list[tuple[int, str]] = []

    def ask(author: dict[str, str]) -> None:
        answer = httpx2.post(f"{serving.address}/plans", content=document, headers=author, timeout=PATIENCE)
        told.append((answer.status_code, answer.json()["code"]))

    document = long_plan()
    asking = [threading.Thread(target=ask, args=(author,)) for author in authors]  # more than there are workers
    for one in asking:
        one.start()
    under_way(serving.address, len(authors))
    for number in (signal.SIGTERM, signal.SIGINT)[:signals]:  # two of one kind might be taken for one
        serving.process.send_signal(number)
    assert serving.process.wait(PATIENCE) == 0
    for one in asking:
        one.join(PATIENCE)
    assert told == [(503, "stopping")] * len(authors)
    with Gate.open(office, environ) as gate:
        assert gate.list_plans()[0] == []


def test_a_preview_does_not_outlive_the_service(office: Path, environ: dict[str, str], token: Callable[..., str]):
    """The service alone is killed: a worker in the middle of a preview ends, and the plan is never there."""
    author = {"Authorization": f"Bearer {token('ann', 'author')}"}
    serving = Serving(office, environ)

    def ask() -> None:
        with contextlib.suppress(httpx2.TransportError):
            httpx2.post(f"{serving.address}/plans", content=long_plan(), headers=author, timeout=PATIENCE)

    asking = threading.Thread(target=ask)
    asking.start()
    under_way(serving.address, 1)
    serving.process.kill()
    assert serving.process.stdout is not None
    assert serving.process.stdout.read() == b""  # at its end only once every process that holds it is gone
    asking.join(PATIENCE)
    with Gate.open(office, environ) as gate:
        assert gate.list_plans()[0] == []


@pytest.mark.parametrize(("odd", "asked"), [(0, True), (1, True), (0, False), (1, False)])
def test_a_service_whose_idle_workers_were_killed_still_ends(
    office: Path, environ: dict[str, str], token: Callable[..., str], odd: int, asked: bool
):
    """One of each two, such as the kernel may kill for want of memory, and with it the lock that it held."""
    serving = Serving(office, environ)
    reviewer = {"Authorization": f"Bearer {token('rita', 'reviewer')}"}
    ask = httpx2.Client(base_url=serving.address, timeout=PATIENCE, headers=reviewer)
    checked, until = plan({"op": "mkdir", "path": "New"}), time.monotonic() + PATIENCE
    with ThreadPoolExecutor(4) as together:  # a second worker is there only once the first is busy
        while len(found := _workers(serving.process.pid)) < 5:  # two for previews, two for looks, the scribe
            looks = [together.submit(ask.get, "/audit/verify") for _ in range(2)]
            checks = [together.submit(ask.post, "/check", content=checked) for _ in range(2)]
            wait(looks + checks)
            assert time.monotonic() < until, found
    for worker in found[odd::2]:
        os.kill(worker, signal.SIGKILL)
    while asked and (ask.get("/audit/verify").status_code != 200 or ask.get("/status").status_code != 200):
        assert time.monotonic() < until
    while len(_workers(serving.process.pid)) > len(found):
        assert time.monotonic() < until
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait(SOON) == 0
    while _family(serving.process.pid):
        assert time.monotonic() < until


def test_only_a_worker_holds_the_lock_of_a_case(running: tuple[Serving, str, dict[str, str]], office: Path):
    """While a run is under way, one process has the lock's file open: not the service, nor any process it starts."""
    serving, _, reviewer = running
    httpx2.get(f"{serving.address}/audit/verify", headers=reviewer, timeout=PATIENCE)  # starts another worker
    holders = {pid for pid in _family(serving.process.pid) if any("/locks/" in one for one in _open_files(pid))}
    assert serving.process.pid not in holders
    assert len(holders) <= 1
    serving.end(signal.SIGKILL)


def _workers(pid: int) -> list[int]:
    """The workers of a service, which go behind it, oldest first."""
    return sorted(one for one in _family(pid) if os.getpriority(os.PRIO_PROCESS, one) == BEHIND)


def _family(pid: int) -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _group(int(name)) == pid]


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _open_files(pid: int) -> list[str]:
    folder = f"/proc/{pid}/fd"
    found = []
    for name in os.listdir(folder):
        try:
            found.append(os.readlink(f"{folder}/{name}"))
        except FileNotFoundError:
            continue
    return found
