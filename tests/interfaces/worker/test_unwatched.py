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


def test_a_folder_that_is_made_anew_is_looked_through(place: Place):
    """Nothing tells of what is in it: the watch was on the one that is gone."""
    place.environ["TREEGATE_QUEUE_POLL"] = "1s"
    place.put("Smith/a.txt", "a")
    assert asyncio.run(decided(place))


async def decided(place: Place) -> bool:
    """Whether an edit of `status` is heeded within five seconds, after somebody removed `pending/`."""
    worker = Worker(place.root, place.environ)
    await worker.prepare()
    working = asyncio.create_task(worker.run())
    await asyncio.sleep(0.5)
    (place.queue / "pending").rmdir()
    await asyncio.sleep(1.5)
    place.drop("20260131T120000Z-Smith.json", {"op": "move", "from": "a.txt", "to": "b.txt"})
    for _ in range(50):
        await asyncio.sleep(0.1)
        if found := list(place.queue.glob("pending/*/status")):
            break
    text = found[0].read_text()
    found[0].write_text(text.replace("pending", "approved", 1).replace("by:", "by: Rita", 1))
    for _ in range(50):
        await asyncio.sleep(0.1)
        if done := list(place.queue.glob("done/*/receipt.json")):
            break
    worker.end()
    await working
    return bool(done)
