"""How often anybody may ask: each token, and each address that shows none that holds.

A window of a minute slides; of the minute before it counts the part that it still covers. So what is remembered of
anybody is two numbers, and of addresses, which anybody can have many of, only so many buckets.

Counted here, not by the library that there is for it: limits begins a thread every 10 ms to forget what has passed,
and under load every sixth answer went for that. What is bounded needs no forgetting.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import time
from collections import OrderedDict

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from treegate.errors import Busy
from treegate.interfaces.http import problems

BUCKETS = 4096  # of addresses
MOST_KNOWN = 4096  # credentials whose owners are remembered
COOKIES = frozenset({"treegate_session", "__Host-treegate_session"})
READS = frozenset({"GET", "HEAD", "OPTIONS"})
FREE = frozenset({"/healthz", "/readyz"})


class TooMany(Busy):
    """Somebody asks too often."""

    code, http_status = "too-many-requests", 429

    def __init__(self, most: int, wait: int) -> None:
        super().__init__(f"more than {most:,} in a minute", hint=f"wait {wait} seconds, then ask less often")
        self.headers = {
            "Retry-After": str(wait),
            "RateLimit-Policy": f'"minute";q={most};w=60',  # draft-ietf-httpapi-ratelimit-headers
            "RateLimit": f'"minute";r=0;t={wait}',
        }


class Window:
    """Lets in so many within any minute, by key."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._counts: dict[str, tuple[int, int, int]] = {}  # which minute, how many in it, and in the one before

    def hit(self, key: str, now: float) -> int | None:
        """Counts one more at a time in seconds; where that is one too many, the seconds after which it is not."""
        minute = int(now // 60)
        last, count, before = self._counts.get(key, (minute, 0, 0))
        if minute != last:
            count, before = 0, count if minute == last + 1 else 0
        over = count + before * (1 - now % 60 / 60) + 1 - self.most
        if over > 0:
            return self._wait(count, before, over, 60 - now % 60)
        self._counts[key] = (minute, count + 1, before)
        return None

    def _wait(self, count: int, before: int, over: float, rest: float) -> int:
        """Seconds until one fits: as the minute before slides away, or, in the next one, as this one does."""
        if count < self.most:
            return max(1, math.ceil(over * 60 / before))
        return math.ceil(rest + 60 * (1 - (self.most - 1) / count))


class Rates:
    """Counts what each asked within a minute; `known` are credentials that were found to hold, and whose."""

    def __init__(self, reads: int, writes: int, logins: int) -> None:
        self._reads, self._writes, self._logins = Window(reads), Window(writes), Window(logins)
        self._known: OrderedDict[bytes, str] = OrderedDict()
        self.refused = 0

    def learn(self, credential: str, name: str) -> None:
        """A token or a session has proved to be somebody's: from now on it counts as theirs."""
        key = _digest(credential)
        self._known[key] = name
        self._known.move_to_end(key)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    def take(self, credential: str, address: str, *, reads: bool) -> None:
        """Counts a request, which reads only, or does more; raises TooMany."""
        name = self._known.get(_digest(credential)) if credential else None
        key = f"name {name}" if name is not None else f"address {_bucket(address)}"
        self._count(self._reads if reads else self._writes, key)

    def log_in(self, address: str) -> None:
        """Counts an attempt to log in; raises TooMany."""
        self._count(self._logins, _bucket(address))

    def _count(self, window: Window, key: str) -> None:
        wait = window.hit(key, time.time())
        if wait is not None:
            self.refused += 1
            raise TooMany(window.most, wait)


def _digest(credential: str) -> bytes:
    """A credential as it is remembered: not itself."""
    return hashlib.sha256(credential.encode("utf-8", "surrogateescape")).digest()


def _bucket(address: str) -> str:
    """An address's bucket; one that has an IPv6 network has all of its addresses."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        network = address
    else:
        network = str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else address
    return str(int.from_bytes(hashlib.sha256(network.encode()).digest()[:4]) % BUCKETS)


def address_of(scope: Scope) -> str:
    """The address that a request comes from; that which a trusted proxy names."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _only_reads(scope: Scope) -> bool:
    """Whether a request changes nothing; questions that bring a plan along are sent as POST."""
    return scope["method"] in READS or "/outcome/" in scope["path"]


class Limited:
    """Refuses whoever asks too often, before anything is done for them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in FREE:
            try:
                rates: Rates = scope["app"].state.service.rates
                rates.take(_shown(Headers(scope=scope)), address_of(scope), reads=_only_reads(scope))
            except TooMany as error:
                await problems.refuse(scope, receive, send, error)
                return
        await self._app(scope, receive, send)


def bearer(headers: Headers) -> str:
    """The token that a request shows (RFC 6750, section 2.1); "" for none."""
    scheme, _, text = headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def bearer_alone(scope: Scope) -> str:
    """The same of a request in which nothing else may stand for somebody; "" for several at once, too."""
    headers = Headers(scope=scope)
    return bearer(headers) if len(headers.getlist("authorization")) == 1 else ""


def _shown(headers: Headers) -> str:
    """The token or session that a request shows; "" for none."""
    if text := bearer(headers):
        return text
    return next((text for name, text in cookie_parser(headers.get("cookie", "")).items() if name in COOKIES), "")
