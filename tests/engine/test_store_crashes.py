"""The store under several processes at once, and under processes that are killed."""

import contextlib
import os
import shutil
import signal
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import sqlalchemy as sa
from stories import approve, begin, end, new_store, propose

from treegate.engine import audit
from treegate.engine.store import Store
from treegate.model.lifecycle import State

PROCESSES = 8


def work(path, number, rounds):
    """One process: whole plans in a case of its own and in one that all share, then a race for every run."""
    store = Store.open(path)
    for n in range(rounds):
        id = f"{number}x{n}"
        propose(store, f"pl_{id}", "Shared" if n % 2 else f"Case {number}")
        approve(store, f"pl_{id}")
        assert begin(store, f"pl_{id}", f"run_{id}")[1]
        assert end(store, f"run_{id}").state is State.APPLIED
    return number


def race(path, number, plans):
    """One process of several that all begin the same approved plans; the runs that it began."""
    store, won = Store.open(path), []
    for id in plans:
        run, new = begin(store, id, f"run_{number}_{id}")
        if new:
            won.append(end(store, run.id).id)
    return won


def at_once(task, path, *args):
    """`task` in PROCESSES real processes; what goes wrong in one is raised here."""
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("fork")) as pool:
        return [done.result() for done in [pool.submit(task, path, n, *args) for n in range(PROCESSES)]]


@pytest.mark.parametrize("rounds", [20, pytest.param(200, marks=pytest.mark.faults)])
def test_eight_processes_lose_no_row_and_never_meet_a_locked_database(tmp_path, rounds):
    store = new_store(tmp_path)
    at_once(work, tmp_path / "treegate.db", rounds)
    total = PROCESSES * rounds
    plans, runs = store.list_plans(limit=total + 1)[0], store.runs()
    assert len(plans) == len(runs) == len({run.plan for run in runs}) == total
    assert {plan.state for plan in plans} == {run.state for run in runs} == {State.APPLIED}
    assert sorted(run.generation for run in runs) == list(range(1, total + 1))
    assert len(store.runs(case="Shared")) == total // 2
    assert all(len(store.decisions(plan.id)) == 1 for plan in plans[:50])
    assert audit.verify(audit.rows(store)).seq == 1 + 5 * total
    assert store.integrity() == []


@pytest.mark.parametrize("rounds", [10, pytest.param(200, marks=pytest.mark.faults)])
def test_two_applies_at_once_are_one_run(tmp_path, rounds):
    """Fault 39: eight processes begin every plan; each plan gets one run, which one of them ends."""
    store, ids = new_store(tmp_path), [f"pl_{n}" for n in range(rounds)]
    for id in ids:
        propose(store, id)
        approve(store, id)
    won = [run for part in at_once(race, tmp_path / "treegate.db", ids) for run in part]
    assert len(won) == len(set(won)) == rounds
    assert {run.id for run in store.runs()} == set(won)
    assert store.meta().generation == rounds


def test_processes_that_make_the_database_at_once_make_one(tmp_path):
    at_once(make, tmp_path / "treegate.db")
    assert Store.open(tmp_path / "treegate.db").integrity() == []


def make(path, number):
    return Store.open(path, create=True).list_plans()


STORY = [
    lambda store: propose(store),
    lambda store: approve(store),
    lambda store: begin(store),
    lambda store: end(store),
]


def test_a_process_killed_at_any_statement_leaves_all_of_a_transaction_or_nothing(tmp_path):
    """SIGKILL before the K-th statement, for every K: the database is as after one of the story's transactions."""
    template = tmp_path / "template"
    template.mkdir()
    new_store(template).close()
    whole = [contents(template / "treegate.db")]
    untouched = tmp_path / "untouched.db"
    shutil.copy(template / "treegate.db", untouched)
    store = Store.open(untouched)
    for act in STORY:
        act(store)
        whole.append(contents(untouched))
    seen, k = set(), 0
    while True:
        k += 1
        path = tmp_path / f"{k}.db"
        shutil.copy(template / "treegate.db", path)
        if not killed_at(path, k):
            break
        found = contents(path)
        assert found in whole, f"statement {k} left a transaction by halves"
        seen.add(whole.index(found))
        after = Store.open(path)
        assert after.integrity() == []
        audit.verify(audit.rows(after))
        after.close()
    assert k > 50
    assert seen == set(range(len(STORY))), "the sweep passed through every transaction"


def killed_at(path, k):
    """Tell the story in a child that is killed before its k-th statement; False if the story ends before."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    with contextlib.suppress(BaseException):
        store, left = Store.open(path), [k]

        def count(*_):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

        store._engine.dispose()  # whatever was opened before does not count
        sa.event.listen(store._engine, "connect", lambda raw, _: raw.set_trace_callback(count))
        for act in STORY:
            act(store)
    os._exit(0)


def contents(path):
    """Every row of every table; read beside whatever the killed process left in the log."""
    with contextlib.closing(sqlite3.connect(path)) as raw:
        tables = [
            name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        ]
        return {table: sorted(map(repr, raw.execute(f'SELECT * FROM "{table}"'))) for table in tables}
