"""Claims of `treegate.interfaces.worker.pace`."""

from __future__ import annotations

from treegate.interfaces.worker.pace import Pace


def test_no_minute_has_more_than_so_many():
    """Wherever it begins; then there is room again."""
    pace = Pace(3)
    assert [pace.take(n) for n in (0.0, 10.0, 20.0, 30.0, 59.9)] == [True, True, True, False, False]
    assert [pace.take(n) for n in (60.0, 61.0, 70.0)] == [True, False, True]


def test_without_a_limit_all_go_through():
    """0 is no limit."""
    pace = Pace(0)
    assert all(pace.take(0.0) for _ in range(1000))
