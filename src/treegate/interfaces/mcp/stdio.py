"""Over stdio: one agent, whose host began this process; it ends when its stdin does, or on a signal."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from mcp.server.stdio import stdio_server

from treegate.interfaces import logs
from treegate.interfaces.mcp.seat import Ending, Seat
from treegate.interfaces.mcp.server import create


def serve(seat: Callable[[], Seat], ending: Ending, finish: Callable[[], None]) -> None:
    """Answers until stdin ends or a signal comes; then `finish` waits for what changes files.

    The end of stdin lets a run go on to its end; a signal has it taken back.
    """
    logs.begin()
    asyncio.run(_until_the_end(seat, ending, finish))
    ending.begun.set()
    finish()


async def _until_the_end(seat: Callable[[], Seat], ending: Ending, finish: Callable[[], None]) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    def stop(*_: Any) -> None:
        ending.told(2)
        if not loop.is_closed():
            loop.call_soon_threadsafe(told.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    answering, waiting = asyncio.ensure_future(_answer(seat)), asyncio.ensure_future(told.wait())
    await asyncio.wait([answering, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not answering.done():
        await asyncio.to_thread(finish)
        os._exit(0)  # a thread still reads from stdin, and only the end of that would end it
    answering.result()


async def _answer(seat: Callable[[], Seat]) -> None:
    server = create(lambda _: seat())
    try:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())
    except* BrokenPipeError:  # whoever began this has gone, and with it the end of stdin has come
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
