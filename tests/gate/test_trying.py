"""Trying: what this process does to a copy of a case becomes a plan; the case itself stays as it is."""

from __future__ import annotations

import os
import shutil

import pytest
from gatework import CRASHED, Office, in_child

from treegate.errors import Denied, UsageError
from treegate.model.actors import Role


@pytest.fixture
def filled(office: Office) -> Office:
    for name in ("a.txt", "b.txt", "Scans/1.pdf", "Scans/2.pdf"):
        office.put(f"Smith/{name}", f"{name}\n")
    return office


def test_what_is_done_to_the_copy_becomes_a_plan(filled: Office):
    before = filled.tree()
    with filled.gate.trial("Smith", "Tidied") as trial:
        shutil.move(trial.folder / "Scans", trial.folder / "Letters")
        (trial.folder / "new.txt").write_text("new")
        (trial.folder / "a.txt").unlink()
        with (trial.folder / "b.txt").open("a") as file:
            file.write("more\n")
        done = trial.hand_in()
    assert done is not None
    assert filled.tree() == before
    counts = filled.gate.show(done.id).preview.counts
    assert (counts.moved, counts.created, counts.deleted, counts.replaced) == (1, 1, 1, 1)
    filled.gate.approve(done.id, done.digest)
    filled.gate.apply(done.id)
    assert filled.path("Smith/b.txt").read_text() == "b.txt\nmore\n"
    assert filled.path("Smith/Letters/1.pdf").read_text() == "Scans/1.pdf\n"
    assert not filled.path("Smith/a.txt").exists()


def test_nothing_done_is_no_plan_and_nothing_stays(filled: Office):
    with filled.gate.trial("Smith") as trial:
        os.listdir(trial.folder)
        assert trial.hand_in() is None
    assert not trial.folder.exists()
    assert list((filled.state / "sandboxes").iterdir()) == []


def test_what_others_changed_meanwhile_makes_the_plan_stale(filled: Office):
    with filled.gate.trial("Smith") as trial:
        (trial.folder / "a.txt").write_text("mine")
        filled.path("Smith/a.txt").write_text("theirs")
        done = trial.hand_in()
    assert done is not None
    assert done.state == "stale"


def test_a_copy_is_had_only_of_a_case_that_one_may_propose_for(filled: Office):
    agent = filled.person("agent", Role.AUTHOR, cases=["Jones"])
    with pytest.raises(Denied), agent.trial("Smith"):
        pass


def test_a_case_that_is_too_large_is_not_copied(filled: Office):
    filled.configure(sandbox_limits_copied="10 KiB")
    with pytest.raises(UsageError) as caught, filled.gate.trial("Smith"):
        pass
    assert caught.value.code == "case-too-large-to-copy"
    assert list((filled.state / "sandboxes").iterdir()) == []


def test_what_a_killed_process_left_is_swept_away(filled: Office):
    def act() -> None:
        with filled.open().trial("Smith"):
            os._exit(CRASHED)

    assert in_child(act) == CRASHED
    assert list((filled.state / "sandboxes").glob("tr_*/scratch"))
    filled.gate.sweep_sandboxes()
    assert list((filled.state / "sandboxes").glob("tr_*/scratch")) == []
