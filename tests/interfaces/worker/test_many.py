"""Very many plans dropped at once: each is taken, in the order of the names, in bounded memory."""

from __future__ import annotations

import asyncio
import random
import resource
from typing import Any

import pytest
from workplace import Place

from treegate.interfaces.worker.taking import Taking
from treegate.model.actors import Actor, Role

WORKER = Actor(name="the worker", role=Role.OPERATOR, channel="queue", via="os")


class Here:
    """A crew in this process; it notes in which order drops are handed over."""

    def __init__(self, gate: Any) -> None:
        self._gate = gate
        self.names: list[str] = []

    async def call(self, actor: Actor, method: str, given: Any) -> Any:
        self.names += [drop.name for drop in given]
        await asyncio.sleep(0)
        return getattr(self._gate, method)(given)


def dropped(place: Place, count: int) -> list[str]:
    """Drops so many at once, in no order; their names, in order."""
    names = [f"{n:05}-{'Smith' if n % 2 else 'Jones'}.json" for n in range(count)]
    for name in random.Random(count).sample(names, count):
        case = name[6:].removesuffix(".json")
        place.drop(name, {"op": "mkdir", "path": name.removesuffix(".json")}, case=case)
    return names


def all_taken(place: Place, count: int) -> int:
    """Takes them all, and says how much memory that took beyond what the first few did, in KiB."""
    names = dropped(place, count)
    place.environ["TREEGATE_POLICY_LIMITS_OPEN_PLANS"] = str(count + 1)
    peak: list[int] = []
    with place.open() as opened:
        gate = opened.acting_as(WORKER)
        crew = Here(gate)
        taking = Taking(gate, crew, lambda taken: peak.append(_memory()), lambda: 0)  # type: ignore[arg-type]

        async def take() -> None:
            await taking.look(True, everything=True)
            while taking.busy:
                await asyncio.sleep(0.01)
                await taking.look(False, everything=False)

        asyncio.run(take())
        assert crew.names == names
        plans, more = gate.list_plans(limit=count + 1)
        assert more is None
        assert sorted(plan.state.value for plan in plans) == ["pending"] * count
        assert gate.drops() == []
        assert gate.claims() == []
    said = {path.parent.name for path in place.queue.glob("pending/*/validation.md")}
    assert said == {plan.id for plan in plans}
    return peak[-1] - peak[min(50, count // 2)]


def _memory() -> int:
    """The most that this process ever had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_hundreds_of_plans_dropped_at_once_are_all_taken_in_order(place: Place):
    assert all_taken(place, 150) < 32 << 10


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_ten_thousand_plans_dropped_at_once_are_all_taken_in_order(place: Place):
    """In no more than 64 MiB beyond what the first fifty took."""
    grown = all_taken(place, 10_000)
    print(f"10,000 plans dropped at once: {grown >> 10} MiB more than the first fifty")
    assert grown < 64 << 10
