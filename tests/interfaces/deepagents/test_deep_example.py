"""The example: an agent that tidies any case from start to end, changing nothing itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from deepwork import Office, decided

EXAMPLE = Path(__file__).parents[3] / "examples/deepagents_agent.py"


def ran(office: Office, case: str = "Smith") -> str:
    """What the example printed."""
    command = [sys.executable, str(EXAMPLE), str(office.root), case]
    done = subprocess.run(command, env={**os.environ, **office.environ}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def plan_in(text: str) -> str:
    found = re.search(r"pl_\w+", text)
    assert found is not None, text
    return found[0]


def names(office: Office, folder: str) -> list[str]:
    return sorted(path.name for path in office.path(folder).iterdir())


def test_it_hands_in_a_plan_for_whatever_lies_there_and_changes_nothing(office: Office):
    for name in ("b.TXT", "Report 1.pdf", "noext", "it's.md"):
        office.put(f"Smith/{name}", name)
    before = office.tree()
    told = ran(office)
    assert office.tree() == before
    assert "Nothing on disk has changed." in told
    assert "Effects by pattern" in told
    plan = plan_in(told)
    decided(office, plan)
    office.gate.apply(plan)
    assert names(office, "Smith/txt") == ["a.txt", "b.TXT"]
    assert names(office, "Smith/pdf") == ["Report 1.pdf"]
    assert office.path("Smith/noext").exists()
    assert "- `/md/it's.md` (was `/it's.md`)" in office.path("Smith/INDEX.md").read_text()


def test_it_follows_suggestions_and_finds_free_names(office: Office):
    for name in ("txt/a.txt", "c.txt"):
        office.put(f"Smith/{name}", name)
    plan = plan_in(ran(office))
    decided(office, plan)
    office.gate.apply(plan)
    assert names(office, "Smith/txt") == ["a (2).txt", "a.txt", "c.txt"]


def test_it_is_not_led_in_circles_by_a_rejection(office: Office):
    decided(office, plan_in(ran(office)), "reject", "leave it as it is")
    told = ran(office)
    assert "It was not handed in" in told
    assert "leave it as it is" in told


def test_a_case_with_nothing_to_tidy_gets_no_plan(office: Office):
    told = ran(office, "Jones")
    assert "There is nothing to tidy" in told
    assert "pl_" not in told
