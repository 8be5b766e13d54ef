"""How often anybody may ask: each token, and each address that shows none that holds.

A window of a minute slides; of the minute before it counts the part that it still covers. So what is remembered of
anybody is two numbers, and of addresses, which anybody can have many of, only so many buckets.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections import OrderedDict

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
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


class Rates:
    """Counts what each asked within a minute; `known` are credentials that were found to hold, and whose."""

    def __init__(self, reads: int, writes: int, logins: int) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._reads, self._writes, self._logins = map(RateLimitItemPerMinute, (reads, writes, logins))
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
        kind, key = ("name", name) if name is not None else ("address", _bucket(address))
        self._count(self._reads if reads else self._writes, f"{'reads' if reads else 'writes'} {kind}", key)

    def log_in(self, address: str) -> None:
        """Counts an attempt to log in; raises TooMany."""
        self._count(self._logins, "login", _bucket(address))

    def _count(self, limit: RateLimitItem, kind: str, key: str) -> None:
        if not self._limiter.hit(limit, kind, key):
            self.refused += 1
            until = self._limiter.get_window_stats(limit, kind, key).reset_time
            raise TooMany(limit.amount, max(1, min(60, round(until - time.time()))))


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


class Limited:
    """Refuses whoever asks too often, before anything is done for them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in FREE:
            try:
                rates: Rates = scope["app"].state.service.rates
                rates.take(_shown(Headers(scope=scope)), address_of(scope), reads=scope["method"] in READS)
            except TooMany as error:
                await problems.refuse(scope, receive, send, error)
                return
        await self._app(scope, receive, send)


def bearer(headers: Headers) -> str:
    """The token that a request shows (RFC 6750, section 2.1); "" for none."""
    scheme, _, text = headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _shown(headers: Headers) -> str:
    """The token or session that a request shows; "" for none."""
    if text := bearer(headers):
        return text
    return next((text for name, text in cookie_parser(headers.get("cookie", "")).items() if name in COOKIES), "")
