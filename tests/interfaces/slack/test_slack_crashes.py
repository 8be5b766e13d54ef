"""A teller that is killed in front of any of its steps: each thing is told once, by whoever comes next."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from fakeslack import BOT, CHANNEL, FakeSlack
from slackwork import ANN, words

from treegate.gate import Gate
from treegate.interfaces.notify.courier import Courier
from treegate.interfaces.slack.api import Api
from treegate.interfaces.slack.sink import SlackSink
from treegate.model.actors import Actor, Role
from treegate.model.notification import Kind

OTTO = Actor(name="otto", role=Role.OPERATOR, channel="cli", via="token")
RITA = Actor(name="rita", role=Role.REVIEWER, channel="cli", via="token")


class Killed(BaseException):
    """The process is gone."""


class InLine:
    """Calls methods of a gate where it stands."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    async def call(self, actor: Actor, method: str, *args: Any, **named: Any) -> Any:
        return getattr(self.gate.acting_as(actor), method)(*args, **named)


@pytest.fixture
def gate(tmp_path: Path, environ: dict[str, str]) -> Gate:
    (tmp_path / "office" / "projects" / "Smith").mkdir(parents=True)
    (tmp_path / "office" / "projects" / "Smith" / "scan.pdf").write_text("a page")
    Gate.init(tmp_path / "office", environ=environ).close()
    return Gate.open(tmp_path / "office", environ)


def story(gate: Gate) -> None:
    """A plan that is approved, carried out, and a pause."""
    operations = [{"op": "move", "from": "scan.pdf", "to": "Done/scan.pdf"}]
    plan = gate.acting_as(ANN).submit(json.dumps({"version": 1, "case": "Smith", "operations": operations})).id
    gate.acting_as(RITA).approve(plan, gate.plan(plan).digest or "")
    gate.acting_as(OTTO).apply(plan)
    gate.acting_as(OTTO).pause()


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("nth", range(1, 14))
def test_killed_at_every_step(gate: Gate, slack: FakeSlack, nth: int, late: bool) -> None:
    """Before the n-th step it takes, or after it, and before anybody noted that."""
    asyncio.run(_carried(gate, slack, None))  # from now on it is told
    story(gate)
    with contextlib.suppress(Killed):
        asyncio.run(_carried(gate, slack, nth, late))
    asyncio.run(_carried(gate, slack, None))
    told = [words(one).split("\n")[0].split(": ")[0] for _, one in sorted(slack.messages.items())]
    (plan,) = gate.list_plans()[0]
    assert told == [f"Plan {plan.id}", "Applied, asked for by otto", "otto paused the whole workspace"]
    card = slack.channel()[0]
    assert "Approved by rita (cli). It is applied." in words(card)


async def _carried(gate: Gate, slack: FakeSlack, nth: int | None, late: bool = False) -> None:
    """Tells all there is to tell, and is killed at the n-th step."""
    api = Api(f"{slack.address}/api", BOT)
    sink = SlackSink(gate, InLine(gate), api, CHANNEL, "http://treegate.test")
    steps = 0

    def counted(step: Any) -> Any:
        """The step, which the teller does not outlive if it is the n-th."""

        def inner(*args: Any, **named: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps != nth:
                return step(*args, **named)
            if not late:
                raise Killed
            return _last(step(*args, **named))

        return inner

    seen: Any = gate.acting_as(OTTO)
    seen.trying, seen.told = counted(seen.trying), counted(seen.told)
    api.post, api.update = counted(api.post), counted(api.update)  # type: ignore[method-assign]
    courier = Courier(seen, sink)
    while (due := await courier._next()) is not None:
        await courier._carry(due)
    assert gate.next_for("slack", tuple(Kind)) is None


def _last(found: Any) -> Any:
    """Kills once something is done."""

    async def awaited() -> None:
        await found
        raise Killed

    if inspect.isawaitable(found):
        return awaited()
    raise Killed
