"""Claims of `treegate.engine.throttle`: no more than so many steps a second, whoever makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from treegate.engine.throttle import Throttle


class Time:
    """A clock that moves only as somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def nobody_stops() -> None:
    """Goes on."""


def test_batches_take_their_time(tmp_path: Path):
    """A hundred steps at twenty a second take five seconds, in batches of two."""
    time = Time()
    throttle = Throttle(tmp_path / "steps", 20, time, time.sleep)
    assert throttle.batch(5000) == 2
    for _ in range(50):
        throttle.wait(2, nobody_stops)
    assert time.now - 100 == pytest.approx(5, abs=0.01)


def test_several_share_the_pace(tmp_path: Path):
    """Each with an eye on the same file, as two workers have; in no second there are more than a batch too many."""
    time = Time()
    some = [Throttle(tmp_path / "steps", 10, time, time.sleep) for _ in range(3)]
    made: list[float] = []
    for n in range(60):
        some[n % 3].wait(1, nobody_stops)
        made.append(time.now)
    assert time.now - 100 == pytest.approx(6, abs=0.01)
    assert all(sum(start <= at < start + 1 for at in made) <= 11 for start in made)


def test_what_was_not_used_is_not_saved_up(tmp_path: Path):
    time = Time()
    throttle = Throttle(tmp_path / "steps", 10, time, time.sleep)
    throttle.wait(1, nobody_stops)
    time.now += 3600
    began = time.now
    for _ in range(10):
        throttle.wait(1, nobody_stops)
    assert time.now - began == pytest.approx(1, abs=0.01)


def test_it_stops_while_it_waits(tmp_path: Path):
    time = Time()
    throttle = Throttle(tmp_path / "steps", 1, time, time.sleep)

    def stop() -> None:
        if time.now > 102:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        throttle.wait(1000, stop)
    assert time.now < 103


@pytest.mark.parametrize("text", ["", "garbage", "another-boot 1e9\n", "a b c"])
def test_what_another_boot_or_a_crash_left_holds_nobody_up(tmp_path: Path, text: str):
    time = Time()
    (tmp_path / "steps").write_text(text)
    Throttle(tmp_path / "steps", 10, time, time.sleep).wait(1, nobody_stops)
    assert time.now < 101
