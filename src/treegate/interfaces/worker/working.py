"""Working: a worker run until it is told to stop, or until there is nothing left to do."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from treegate.interfaces import logs
from treegate.interfaces.worker.worker import Worker


def work(root: Path, environ: Mapping[str, str], *, once: bool, said: Callable[[Path], None]) -> None:
    """Works until SIGINT or SIGTERM, or `once`; `said` is told the folder once it is looked at."""
    logs.begin()
    asyncio.run(_work(root, environ, once, said))


async def _work(root: Path, environ: Mapping[str, str], once: bool, said: Callable[[Path], None]) -> None:
    worker, times = Worker(root, environ), 0

    def told() -> None:
        nonlocal times
        times += 1
        worker.end() if times == 1 else worker.take_back()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told)
    with worker.attending():
        if not once:
            await worker.prepare()
        said(worker.folder)
        await (worker.once() if once else worker.run())
