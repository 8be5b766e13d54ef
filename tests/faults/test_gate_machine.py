"""Random stories of a whole gate, held against a model that is a dictionary.

Short ones always, the same each time; long ones under `faults`. And the stories tell, of engines and gates that are
broken on purpose, that they are.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial

import broken
import gate_house
import pytest
from crash_sweep import Fault
from gate_house import AGENT, die_at_rename
from gate_machine import GateMachine, only
from gate_model import APPROVE, Plan
from gatework import SURVIVED, in_child
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from treegate.engine import mounts

CAUGHT = 55  # the exit status of a child in which a story came out otherwise than the model says
FOUR = [
    {"op": "move", "from": old, "to": f"{number}.txt"}
    for number, old in enumerate(("notes.md", "in/a.txt", "box/x", "in/deep/c.txt"))
]


def told(machine: type[GateMachine], examples: int, steps: int, *, shrinks: bool = True) -> None:
    """Runs so many stories of so many steps, always the same ones."""
    phases = (Phase.generate, Phase.shrink) if shrinks else (Phase.generate,)
    found = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=phases,
        report_multiple_bugs=False,
    )
    run_state_machine_as_test(seed(7)(machine), settings=found)


def test_short_stories_of_a_whole_gate():
    """13, 16, 17, 19, 20, 24, 37, 39, 40, 42, 43: people, plans, crashes, outsiders; the model says what comes."""
    told(GateMachine, 10, 25)


def agreed(machine: GateMachine, *, skip: bool = False) -> Plan:
    """A plan of four moves that everybody approves."""
    machine.open(own=True, required=1)
    machine.doors.submit(AGENT, FOUR, "Smith", skip=skip, draft=False)
    machine.doors.decide(machine.doors.plans[0], "ann", APPROVE)
    return machine.doors.plans[0]


def a_crash_on_the_way_back(machine: GateMachine) -> None:
    """Killed amid its steps, killed on its way back, then recovered."""
    plan = agreed(machine)
    doors = machine.doors
    doors.crash(plan, Fault(), partial(die_at_rename, 4))
    doors.crash_recovery(True, Fault(), partial(die_at_rename, 2))
    doors.recover(back=False)
    machine.same_tree()
    assert plan.state == "rolled-back"


def asked_for_once_more(machine: GateMachine) -> None:
    """Killed amid its steps, brought to its end, and then answered with the same run."""
    plan = agreed(machine, skip=True)
    machine.doors.crash(plan, Fault(), partial(die_at_rename, 4))
    machine.doors.apply(plan, "boss")
    machine.same_tree()
    assert plan.state == "applied"


def somebody_who_comes_first(machine: GateMachine) -> None:
    """A file appears at a target, between the last look and the first rename."""
    plan = agreed(machine)
    machine.doors.apply_while(plan, "Smith/2.txt")
    machine.nothing_is_lost()
    machine.same_tree()


def an_old_database(machine: GateMachine) -> None:
    """A backup of the database is put back after a run."""
    plan = agreed(machine)
    machine.database = machine.doors.keep_database()
    machine.doors.apply(plan, "ann")
    machine.put_back_database()


def at_random(*names: str) -> Callable[[GateMachine], None]:
    """Stories of a few rules."""
    return lambda machine: told(only(*names), 100, 20, shrinks=False)


CATCHES = {
    "trusts-the-journal": a_crash_on_the_way_back,
    "forgets-the-direction": a_crash_on_the_way_back,
    "no-no-clobber": somebody_who_comes_first,
    "age-not-checked": an_old_database,
    "approval-not-consumed": at_random("agree", "apply"),
    "fingerprints-not-checked": at_random("agree", "meddle", "apply"),
}


def came_out(name: str, story: Callable[[GateMachine], None]) -> int:
    """The exit status of a child in which a story is told of a broken gate; "" breaks nothing."""

    def tell() -> None:
        machine = GateMachine()
        broken.install(name)
        try:
            story(machine)
        except (AssertionError, Flaky):
            os._exit(CAUGHT)
        finally:
            if machine.doors is not None:
                machine.doors.close()

    return in_child(tell)


@pytest.mark.parametrize("name", CATCHES)
def test_the_stories_catch_what_is_broken(name):
    """With one rule of the contract less, what happens is not what the model says."""
    assert came_out(name, CATCHES[name]) == CAUGHT


TOLD = [a_crash_on_the_way_back, asked_for_once_more, somebody_who_comes_first, an_old_database]


@pytest.mark.parametrize("story", TOLD)
def test_a_gate_that_is_whole_is_not_caught(story):
    """15, 17, 20: the stories that are not left to chance come out as the model says."""
    assert came_out("", story) == SURVIVED


@pytest.mark.faults
def test_long_stories_of_a_whole_gate(tally):
    """13, 16, 17, 19, 20, 24, 37, 39, 40, 42, 43: hundreds of them, of up to fifty events each."""
    GateMachine.stories.clear()
    told(GateMachine, 400, 50)
    assert GateMachine.stories["applied, fresh"] > 100
    tally("random stories of a whole gate", filesystem(), GateMachine.stories)


def filesystem() -> str:
    """What the offices lie on."""
    return mounts.mount_of(gate_house.SHARED or tempfile.gettempdir()).type
