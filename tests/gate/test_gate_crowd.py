"""Many processes at once: no lost row, one run for each plan."""

from __future__ import annotations

import os

import pytest
from gatework import SURVIVED, Office, in_child, plan

from treegate.engine import audit
from treegate.errors import Stale
from treegate.gate import Gate

PROCESSES = 8


def rounds(office: Office, number: int, count: int, cases: list[str]) -> None:
    """One process: submits, approves and applies, again and again, in turn on cases of its own and shared ones."""
    gate = Gate.open(office.root, office.environ)
    for turn in range(count):
        case = cases[turn % len(cases)]
        while True:
            done = gate.submit(plan({"op": "mkdir", "path": f"p{number}-{turn}"}, case=case))
            gate.approve(done.id, done.digest)
            try:
                assert gate.apply(done.id).state == "applied"
                break
            except Stale:
                continue
    gate.close()


@pytest.mark.parametrize("count", [3, pytest.param(200, marks=pytest.mark.faults)])
def test_eight_processes_lose_no_row_and_make_one_run_each(office, count):
    """On shared and on separate cases: as many applied plans, runs and folders as there were rounds."""
    own = [f"Case{number}" for number in range(PROCESSES)]
    for case in own:
        office.path(case).mkdir()
    office.configure(lock_wait="120s")
    pids = []
    for number in range(PROCESSES):
        pid = os.fork()
        if pid == 0:
            os._exit(in_child(lambda n=number: rounds(office, n, count, [own[n], "Smith"])))
        pids.append(pid)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert statuses == [SURVIVED] * PROCESSES
    store = office.reopen().core.store
    applied = [run for run in store.runs() if run.state == "applied"]
    assert len(applied) == len({run.plan for run in applied}) == PROCESSES * count
    assert sorted(run.generation for run in store.runs()) == list(range(1, store.meta().generation + 1))
    made = [name for case in (*own, "Smith") for name in os.listdir(office.path(case))]
    assert len(made) == PROCESSES * count
    audit.verify(audit.rows(store))
    office.sound()
