"""Claims of a queue of which nothing tells what changes: it is looked through instead, and nothing waits for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from workplace import Place

from treegate.interfaces.worker import watching
from treegate.interfaces.worker.worker import Worker


async def none_to_be_had(*_: object, **__: object) -> AsyncIterator[set[object]]:
    raise OSError(28, "no more watches")
    yield set()


@pytest.mark.parametrize("poll", ["1s", "60s"])
def test_what_is_dropped_is_taken_though_nothing_tells_of_it(
    place: Place, poll: str, monkeypatch: pytest.MonkeyPatch
):
    """As where the system has no more watches to give: `queue.poll` is how often one looks then, and not 36 times as
    seldom."""
    monkeypatch.setattr(watching, "awatch", none_to_be_had)
    place.environ["TREEGATE_QUEUE_POLL"] = poll
    place.put("Smith/a.txt", "a")
    assert asyncio.run(taken(place)) is (poll == "1s")


async def taken(place: Place) -> bool:
    """Whether a plan that is dropped while a worker works is taken within three seconds."""
    worker = Worker(place.root, place.environ)
    await worker.prepare()
    working = asyncio.create_task(worker.run())
    await asyncio.sleep(0.5)
    place.drop("20260131T120000Z-Smith.json", {"op": "move", "from": "a.txt", "to": "b.txt"})
    for _ in range(30):
        await asyncio.sleep(0.1)
        if found := list(place.queue.glob("pending/*/validation.md")):
            break
    worker.end()
    await working
    return bool(found)
