"""New folders are told of where they are named nearly like an old one, however many both are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from memory import CASE, Memory, folder
from test_names import slow_distance
from test_simulate import plan_of

from treegate.model import acts, likeness, neighbours
from treegate.model.forest import Forest
from treegate.model.neighbours import Neighbours
from treegate.model.policy import Policy
from treegate.model.seal import About, seal
from treegate.model.tree import Kind, Node

SHORT = some.text("abAB1é.", min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(some.lists(SHORT, max_size=8, unique=True), some.lists(SHORT, min_size=1, max_size=4))
def test_few_are_compared_each_with_each(known: list[str], new: list[str]) -> None:
    """The finding is that of the slow way, for each name by itself."""
    beside = Neighbours(known, len(new))
    assert [beside.nearest(name) for name in new] == [likeness.nearest(name, known) for name in new]


@settings(max_examples=300, deadline=None)
@given(some.lists(SHORT, max_size=8, unique=True), SHORT)
def test_many_are_found_by_one_slip(known: list[str], new: str) -> None:
    """What is found is near indeed; what is the same but for case, or was found at one slip, is never missed."""
    found = Neighbours(known, neighbours.PAIRS + 1).nearest(new)
    slow = likeness.nearest(new, known)
    wanted = likeness.plain([new])[0]
    if found is not None:
        assert slow is not None
        assert slow_distance(wanted, likeness.plain([found])[0]) <= 1
    if slow is not None and likeness.plain([slow])[0] == wanted:
        assert found == slow


@pytest.mark.parametrize(
    "slip", ["Correspondance", "Correspondenc", "Corresspondence", "Corrsepondence", "CORRESPONDENCE"]
)
def test_among_thousands_a_slip_is_told(slip: str) -> None:
    """A letter wrong, missing, extra, two changed about, another case: each is told, and what is no slip is not."""
    known = [f"Matter of {chr(65 + n % 26)}{n:05}" for n in range(5000)] + ["Correspondence"]
    beside = Neighbours(known, 5000)
    assert beside.nearest(slip) == "Correspondence"
    assert beside.nearest("Pleadings") is None


def test_a_folder_is_listed_some_times_however_many_are_new_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for each of them: counted, for a stopwatch would measure the machine."""
    memory = Memory([CASE])
    memory.put("Correspondence", folder())
    new = [{"op": "mkdir", "path": path} for path in (*(f"d{n:03}" for n in range(300)), "Correspondance")]
    outcome = acts.simulate(plan_of(memory, new), memory)
    listed = 0
    names_of = Forest.names

    def counted(forest: Forest, node: Node) -> dict[str, Kind | Node]:
        nonlocal listed
        listed += 1
        return names_of(forest, node)

    monkeypatch.setattr(Forest, "names", counted)
    preview = seal(outcome, Policy(), About("ws")).preview
    assert listed < 10
    assert "folder-nearly-named" in [found.code for found in preview.problems]
