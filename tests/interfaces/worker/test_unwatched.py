"""Claims of a queue of which nothing tells what changes: it is looked through instead, and nothing waits for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

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


@asynccontextmanager
async def working(place: Place) -> AsyncIterator[None]:
    """A worker in this process, which watches by now."""
    worker = Worker(place.root, place.environ)
    await worker.prepare()
    task = asyncio.create_task(worker.run())
    await asyncio.sleep(0.5)
    try:
        yield
    finally:
        worker.end()
        await task


async def seen(look: Callable[[], list[Path]], seconds: float) -> list[Path]:
    """What there is to see, once there is something or the time is over."""
    for _ in range(int(seconds * 10)):
        if found := look():
            return found
        await asyncio.sleep(0.1)
    return []


def drop(place: Place) -> None:
    place.drop("20260131T120000Z-Smith.json", {"op": "move", "from": "a.txt", "to": "b.txt"})


async def taken(place: Place) -> bool:
    """Whether a plan that is dropped while a worker works is taken within three seconds."""
    async with working(place):
        drop(place)
        return bool(await seen(lambda: list(place.queue.glob("pending/*/validation.md")), 3))


def test_a_folder_that_is_made_anew_is_looked_through(place: Place):
    """Nothing tells of what is in it: the watch was on the one that is gone."""
    place.environ["TREEGATE_QUEUE_POLL"] = "1s"
    place.put("Smith/a.txt", "a")
    assert asyncio.run(decided(place))


async def decided(place: Place) -> bool:
    """Whether an edit of `status` is heeded within five seconds, after somebody removed `pending/`."""
    async with working(place):
        (place.queue / "pending").rmdir()
        await asyncio.sleep(1.5)
        drop(place)
        (status,) = await seen(lambda: list(place.queue.glob("pending/*/status")), 5)
        status.write_text(status.read_text().replace("pending", "approved", 1).replace("by:", "by: Rita", 1))
        return bool(await seen(lambda: list(place.queue.glob("done/*/receipt.json")), 5))
