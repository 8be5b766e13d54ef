"""Slack is slow, away, in a hurry, or says nothing: each thing is told afterwards, in order, once."""

from __future__ import annotations

import time

import pytest
from fakeslack import FakeSlack
from slackwork import Chambers, until, words

PLANS = 50  # each is told twice: that it waits, and how it ended


def _told(slack: FakeSlack) -> list[str]:
    """What was told, in the order of its arrival."""
    return [words(one).split("\n")[0] for _, one in sorted(slack.messages.items())]


def _day(chambers: Chambers) -> list[str]:
    """Plans are submitted and taken off again; what Slack should hear of that."""
    expected = []
    for number in range(PLANS):
        plan = chambers.submit({"op": "mkdir", "path": f"Folder {number}"}, title=f"Plan {number}")
        chambers.opened.pause("Smith", f"for {plan}")
        chambers.opened.resume("Smith")
        expected += [f"Plan {number}"]
    return expected


def test_slack_was_down_for_a_hundred_events(chambers: Chambers) -> None:
    chambers.slack.weather = "down"
    expected = _day(chambers)  # 150 events: each plan, each pause, each end of a pause
    until(lambda: "chat.postMessage" in chambers.slack.calls)
    time.sleep(1)
    assert not chambers.slack.messages
    chambers.slack.clear_up()
    until(lambda: len(chambers.slack.messages) >= 3 * PLANS, 120)
    chambers.quiet()
    told = _told(chambers.slack)
    assert len(told) == 3 * PLANS
    assert told[::3] == expected
    assert all("paused Smith: for pl_" in line for line in told[1::3])
    assert all(line.endswith("resumed Smith") for line in told[2::3])


@pytest.mark.parametrize("weather", ["deaf", "broken", "down"])
def test_nobody_sees_anything_twice(chambers: Chambers, weather: str) -> None:
    """Also where Slack did what was asked of it, and the line broke before it could say so."""
    for number in range(4):
        chambers.slack.weather = weather
        chambers.submit({"op": "mkdir", "path": f"Folder {number}"}, title=f"Plan {number}")
        tried = len(chambers.slack.calls)
        until(lambda tried=tried: len(chambers.slack.calls) > tried)
        time.sleep(0.2)
        chambers.slack.clear_up()
        chambers.quiet()
    assert _told(chambers.slack) == [f"Plan {number}" for number in range(4)]


def test_slack_asks_to_wait(chambers: Chambers) -> None:
    chambers.slack.weather, chambers.slack.after = "busy", 2
    chambers.submit({"op": "mkdir", "path": "New"}, title="Plan")
    until(lambda: "chat.postMessage" in chambers.slack.calls)
    began, tried = time.monotonic(), chambers.slack.calls.count("chat.postMessage")
    chambers.slack.clear_up()
    until(lambda: chambers.slack.messages)
    assert time.monotonic() - began > 1.5
    assert chambers.slack.calls.count("chat.postMessage") == tried + 1


def test_a_slow_slack_holds_nobody_up(chambers: Chambers) -> None:
    chambers.slack.slow = 3
    began = time.monotonic()
    plan = chambers.moves()
    assert chambers.client.get("/healthz").status_code == 200
    assert chambers.send(chambers.slack.command(f"reject {plan} no")).status_code == 200
    until(lambda: chambers.state(plan) == "rejected")
    assert time.monotonic() - began < 3
    chambers.slack.clear_up()
    chambers.quiet()


def test_what_is_on_its_way_when_the_service_ends_is_told_by_the_next_once(chambers: Chambers) -> None:
    chambers.slack.slow = 1
    chambers.submit({"op": "mkdir", "path": "New"}, title="Plan")
    until(lambda: "chat.postMessage" in chambers.slack.calls)  # it is on its way, and nobody will hear the answer
    chambers.client.__exit__(None, None, None)
    chambers.slack.clear_up()
    until(lambda: chambers.slack.messages)
    with chambers.serving():
        chambers.quiet()
    assert _told(chambers.slack) == ["Plan"]


def test_a_token_that_does_not_hold_is_said_and_nothing_is_lost(chambers: Chambers) -> None:
    chambers.client.__exit__(None, None, None)
    chambers.environ["TREEGATE_SLACK_BOT_TOKEN"] = "xoxb-ended"
    with chambers.serving():
        chambers.submit({"op": "mkdir", "path": "New"}, title="Plan")
        until(lambda: _failing(chambers) is not None)
    assert "invalid_auth" in str(_failing(chambers))
    chambers.environ["TREEGATE_SLACK_BOT_TOKEN"] = "xoxb-fake"
    with chambers.serving():
        chambers.quiet()
    assert _told(chambers.slack) == ["Plan"]
    assert _failing(chambers) is None


def _failing(chambers: Chambers) -> str | None:
    from treegate.engine import outbox

    found = outbox.place(chambers.opened.core.store, "slack")
    return found.error or None if found is not None else None
