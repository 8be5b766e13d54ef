"""Claims of `treegate.interfaces.http.rates.Window`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treegate.interfaces.http.rates import Window

STARTS = st.floats(0, 1e6, allow_nan=False)
PAUSES = st.lists(st.floats(0, 90, allow_nan=False), max_size=60)


@given(most=st.integers(1, 20), start=STARTS, pauses=PAUSES)
def test_whoever_waits_as_long_as_told_is_let_in(most: int, start: float, pauses: list[float]):
    """The seconds that a refusal tells are enough, wherever in a minute it came; and there is cause for each."""
    window, now, let_in = Window(most), start, list[float]()
    for pause in pauses:
        now += pause
        wait = window.hit("one", now)
        if wait is None:
            let_in.append(now)
            continue
        assert sum(now - at <= 120 for at in let_in) >= most
        assert 1 <= wait <= 120
        now += wait + 1e-6
        assert window.hit("one", now) is None
        let_in.append(now)


@given(most=st.integers(1, 20), start=STARTS, pauses=PAUSES)
def test_no_minute_of_the_clock_has_more_than_it_may(most: int, start: float, pauses: list[float]):
    """However the questions are spread."""
    window, now, minutes = Window(most), start, dict[int, int]()
    for pause in [*pauses, *[0.0] * 30]:
        now += pause / 10
        if window.hit("one", now) is None:
            minutes[int(now // 60)] = minutes.get(int(now // 60), 0) + 1
    assert max(minutes.values()) <= most


def test_the_minute_before_counts_by_the_part_that_is_still_covered():
    """Ten at the end of a minute leave, halfway through the next one, room for five."""
    window = Window(10)
    assert [window.hit("one", 59.0) for _ in range(10)] == [None] * 10
    assert [window.hit("one", 90.0) is None for _ in range(7)] == [True] * 5 + [False] * 2
    assert window.hit("other", 90.0) is None


@pytest.mark.parametrize("later", [121.0, 600.0, 1e6])
def test_two_minutes_later_nothing_is_remembered(later: float):
    """Whoever was refused, or came close to it, begins anew."""
    window = Window(3)
    assert [window.hit("one", 0.0) is None for _ in range(4)] == [True, True, True, False]
    assert [window.hit("one", later) is None for _ in range(4)] == [True, True, True, False]
