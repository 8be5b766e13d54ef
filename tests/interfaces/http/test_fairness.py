"""What one client has previewed holds up neither what others look at nor what they have previewed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from test_plans_over_http import plan
from test_shutdown import PATIENCE, long_plan, under_way

from treegate.gate import Gate
from treegate.interfaces.crew.crew import CHANGING, Crew
from treegate.interfaces.crew.crews import LONG, Crews
from treegate.model.actors import Actor, Role

ANN = Actor(name="ann", role=Role.AUTHOR, channel="http", via="token")
BOB = Actor(name="bob", role=Role.AUTHOR, channel="http", via="token")
SMALL = plan({"op": "mkdir", "path": "New"}).encode()


def test_previews_hold_up_neither_pages_nor_others(address: str, token: Callable[..., str]):
    """One author has several long plans checked: others have their page and their check before the first is done."""
    ann, bob, rita = (
        {"Authorization": f"Bearer {token(name, role)}"}
        for name, role in (("ann", "author"), ("bob", "author"), ("rita", "reviewer"))
    )
    ask = httpx2.Client(base_url=address, timeout=PATIENCE)
    made = ask.post("/plans", content=SMALL, headers=bob).json()
    done: list[str] = []
    document = long_plan(30_000)

    def check() -> None:
        assert httpx2.post(f"{address}/check", content=document, headers=ann, timeout=PATIENCE).status_code == 200
        done.append("ann")

    asking = [threading.Thread(target=check) for _ in range(3)]
    for one in asking:
        one.start()
    under_way(address, len(asking))
    assert ask.get(f"/plans/{made['id']}/moved-on", headers=rita).status_code == 200
    done.append("rita")
    assert ask.post("/check", content=SMALL, headers=bob).status_code == 200
    done.append("bob")
    for one in asking:
        one.join(PATIENCE)
    assert done == ["rita", "bob", "ann", "ann", "ann"]


@pytest.mark.parametrize("asked_again", [False, True])
def test_who_goes_before_it_began_has_nothing_done(office: Path, environ: dict[str, str], asked_again: bool):
    """A plan that waits for its author's turn is not submitted if the author goes; the turn goes to the next."""

    async def told() -> list[Any]:
        crew = Crew(office, environ, each=1)
        first = asyncio.create_task(crew.call(ANN, "check", long_plan(30_000).encode()))
        second = asyncio.create_task(crew.call(ANN, "submit", SMALL))
        third = [asyncio.create_task(crew.call(ANN, "submit", SMALL))] if asked_again else []
        await crew.call(BOB, "check", SMALL)  # by now the first is under way
        second.cancel()
        await asyncio.gather(first, *third)
        crew.close()
        with Gate.open(office, environ) as gate:
            return gate.list_plans()[0]

    assert len(asyncio.run(told())) == asked_again


def test_who_goes_while_it_is_done_has_no_other_begun_before_it_is_over(office: Path, environ: dict[str, str]):
    """Hanging up gives nobody another worker: the next call of the same client waits for the one that goes on."""

    async def order() -> list[str]:
        crew, done = Crew(office, environ, each=1), []
        first = asyncio.create_task(crew.call(ANN, "check", long_plan(30_000).encode()))
        await crew.call(BOB, "check", SMALL)
        first.cancel()
        second = asyncio.create_task(crew.call(ANN, "check", SMALL))
        second.add_done_callback(lambda _: done.append("ann"))
        await crew.call(BOB, "check", SMALL)
        done.append("bob")
        await second
        crew.close()
        return done

    assert asyncio.run(order()) == ["bob", "ann"]


def test_what_changes_files_is_done_by_the_hands_alone(office: Path, environ: dict[str, str]):
    """Previews and looks may be cut off at any moment; every name that is sorted is a method of the gate."""
    crews = Crews(office, environ, 5, commands=1)
    names = crews.by_name()
    assert {crews._whose(method, {}) for method in CHANGING} == {names["runs"]}
    assert crews._whose("prune", {"dry": True}) is names["previews"]
    assert crews._whose("check", {}) is names["previews"]
    assert crews._whose("moved_on", {}) is names["looks"]
    assert [name for name in LONG | CHANGING if not hasattr(Gate, name)] == []
    crews.close()
