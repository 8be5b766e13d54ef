"""Claims of `treegate.gate.queue.settling`."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treegate.engine.dropbox import Drop
from treegate.gate.queue.settling import LARGE, Settling, complete

WHOLE = json.dumps({"version": 1, "title": 'Ü } " {', "operations": [{"op": "mkdir", "path": "a"}]}).encode()


def drop(name: str, size: int, state: int = 0, file: bool = True) -> Drop:
    return Drop(name, file, size, 0, (state,), 0)


@given(st.integers(0, len(WHOLE) - 1))
def test_no_beginning_of_a_plan_is_taken_for_a_whole_one(end: int):
    """Wherever its writer is interrupted."""
    assert complete(WHOLE)
    assert complete(WHOLE + b"\n\n")
    assert not complete(WHOLE[:end])


def test_a_whole_plan_is_taken_at_once():
    """However often it is looked at; half of one is not, until nothing more came for a while."""
    settling, half = Settling(2.0), drop("b.json", 5, 1)
    contents = {"a.json": WHOLE, "b.json": b'{"ver'}
    ripe = settling.ripe([drop("a.json", len(WHOLE)), half], 0.0, lambda one: contents[one.name])
    assert [one.name for one in ripe] == ["a.json"]
    assert settling.waits
    assert settling.ripe([half], 1.9, lambda one: contents[one.name]) == []
    assert settling.ripe([drop("b.json", 7, 2)], 2.0, lambda one: b'{"versi') == []  # it grew: the time begins anew
    assert settling.ripe([drop("b.json", 7, 2)], 3.9, lambda one: b'{"versi') == []
    assert settling.ripe([drop("b.json", 7, 2)], 4.0, lambda one: b'{"versi') == [drop("b.json", 7, 2)]


@pytest.mark.parametrize("one", [drop("x.sh", 9), drop("x.json", 9, file=False), drop("x.json", 0), drop("x", 9)])
def test_what_is_no_plan_by_its_look_is_not_read(one: Drop):
    """It is told what is wrong with it once it has settled."""

    def never(drop: Drop) -> bytes:
        raise AssertionError(f"{drop.name} was read")

    settling = Settling(1.0)
    assert settling.ripe([one], 0.0, never) == []
    assert settling.ripe([one], 1.0, never) == [one]


def test_a_large_file_is_read_only_once_it_stopped_growing():
    """Each look would read all of it."""
    reads = []

    def read(one: Drop) -> bytes:
        reads.append(one.size)
        return WHOLE

    settling = Settling(10.0)
    for n in range(5):
        assert settling.ripe([drop("x.json", LARGE + n + 1, n)], n, read) == []
    assert reads == []
    assert len(settling.ripe([drop("x.json", LARGE + 5, 4)], 5.0, read)) == 1


def test_a_file_that_cannot_be_read_settles_too():
    """What it fails with is told when it is taken."""

    def fails(one: Drop) -> bytes:
        raise PermissionError

    settling = Settling(1.0)
    assert settling.ripe([drop("x.json", 9)], 0.0, fails) == []
    assert len(settling.ripe([drop("x.json", 9)], 1.0, fails)) == 1
