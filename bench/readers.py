"""Readers for bench/serve.py, as light as they can be: each is one kept-alive connection of raw HTTP/1.1.

Asks for a plan, a page of its effects and a filtered page, in turns, until its own input ends; prints milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from typing import Any
from urllib.parse import quote, urlsplit


def percentiles(seconds: list[float]) -> dict[int, float]:
    """Milliseconds that so many in a hundred took at most."""
    ordered = sorted(seconds) or [float("nan")]
    return {p: ordered[max(0, -(-len(ordered) * p // 100) - 1)] * 1e3 for p in (50, 95, 99, 100)}


class Reader(asyncio.Protocol):
    """One connection."""

    def __init__(self, told: dict[str, Any], number: int, took: dict[str, list[float]]) -> None:
        self._told, self._took = told, took
        self._random = random.Random(number)
        self._rest = "".join(f"{name}: {value}\r\n" for name, value in told["headers"].items())
        self._turn, self._missing, self._head = number, 0, b""
        pace = told["pace"]
        self._due, self._between = (
            time.perf_counter() + (number / told["readers"] / pace if pace else 0),
            1 / pace if pace else 0.0,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        if self._between:
            asyncio.get_running_loop().call_later(self._due - time.perf_counter(), self._ask)
        else:
            self._ask()

    def _path(self) -> tuple[str, str]:
        self._turn += 1
        id, start = self._told["id"], self._random.randrange(self._told["effects"])
        if self._turn % 3 == 0:
            return "plan", f"/plans/{id}"
        if self._turn % 3 == 1:
            return "page", f"/plans/{id}/effects?limit=100&cursor={start}"
        return "filtered page", f"/plans/{id}/effects?limit=100&q={quote(self._random.choice(self._told['words']))}"

    def _ask(self) -> None:
        self._kind, path = self._path()
        self._asked = self._due if self._between else time.perf_counter()
        self._transport.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{self._rest}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._head += data
            head, found, body = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                print(self._head.decode(), file=sys.stderr)
                os._exit(1)  # a loop would go on without this reader
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            self._missing, self._head = int(length.partition(b":")[2]) - len(body), b""
        if self._missing == 0:
            self._answered()

    def _answered(self) -> None:
        now = time.perf_counter()
        self._took[self._kind].append(now - self._asked)
        if not self._between:
            self._ask()
            return
        self._due += self._between
        asyncio.get_running_loop().call_later(max(0.0, self._due - now), self._ask)


async def read(told: dict[str, Any]) -> dict[str, list[float]]:
    """How long answers took, by kind."""
    took: dict[str, list[float]] = {"plan": [], "page": [], "filtered page": []}
    address, loop = urlsplit(told["address"]), asyncio.get_running_loop()
    for number in range(told["readers"]):
        await loop.create_connection(lambda number=number: Reader(told, number, took), address.hostname, address.port)
    print("connected", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    return took


if __name__ == "__main__":
    import uvloop

    found = uvloop.run(read(json.loads(sys.argv[1])))
    print(json.dumps({kind: {"count": len(took), **percentiles(took)} for kind, took in found.items()}))
