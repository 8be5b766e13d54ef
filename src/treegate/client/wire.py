"""The wire: requests to a service and what it answers, in our own types; what it refuses, as our own errors."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx2

from treegate import __version__
from treegate.client import answers
from treegate.client.address import checked, is_here
from treegate.errors import Denied, Unreachable
from treegate.render import jsons

T = TypeVar("T")
Query = dict[str, Any]

TIMES = httpx2.Timeout(connect=5, read=600, write=60, pool=5)  # a preview of 100,000 operations takes its time
PAUSES = (0.1, 0.5, 1.0)  # seconds before each further try
LATER = frozenset({409, 429, 503})  # with Retry-After: nothing was done, or it is being done
MOST = 512 << 20  # bytes of an answer
PATIENCE = 120.0  # seconds that a service may take to come back, for whoever was watching


class Told(NamedTuple):
    """An answer: its status, how long to wait before the next try, its kind, its bytes."""

    status: int
    after: int
    media: str
    body: bytes


class Wire:
    """Requests to one service, with one token."""

    def __init__(self, url: str, token: str) -> None:
        self.url = checked(url)
        if not token:
            raise Denied(
                f"{self.url} wants a token",
                code="token-needed",
                hint="put a token of yours into TREEGATE_TOKEN; an admin makes one there",
                next="treegate token create --name NAME --role reviewer",
            )
        self._http = httpx2.Client(
            headers={"User-Agent": f"treegate/{__version__}", **_bearer(token)},
            timeout=TIMES,
            follow_redirects=False,  # the token is for this address, and for no other
            trust_env=self.url.startswith("https:"),  # nor for a proxy that could read it
        )

    def close(self) -> None:
        """Lets go of the connections."""
        self._http.close()

    def get(self, path: str, kind: type[T] | Any, *, member: str = "", query: Query | None = None) -> T:
        """What is at a path, as a `kind`; `member`: of the object that is answered, only this."""
        found: T = answers.read(self._asked("GET", path, b"", query or {}, {}), kind, member)
        return found

    def post(
        self,
        path: str,
        kind: type[T] | Any,
        body: Any = None,
        *,
        member: str = "",
        once: bool = False,
        query: Query | None = None,
    ) -> T:
        """What a request does, as a `kind`. Its key lets it be sent again; one that is sent `once` has none."""
        headers = {} if once else {"Idempotency-Key": str(uuid.uuid4())}
        found: T = answers.read(self._asked("POST", path, _encoded(body), query or {}, headers), kind, member)
        return found

    def put(self, path: str, kind: type[T] | Any, body: bytes, match: str | None = None) -> T:
        """The same, of what replaces something; `match` names what it replaces."""
        headers = {"Idempotency-Key": str(uuid.uuid4())} | ({"If-Match": match} if match else {})
        found: T = answers.read(self._asked("PUT", path, body, {}, headers), kind)
        return found

    def delete(self, path: str, kind: type[T] | Any) -> T:
        """The same, of what ends something."""
        found: T = answers.read(self._asked("DELETE", path, b"", {}, {}), kind)
        return found

    def raw(self, method: str, path: str, body: Any = None) -> bytes:
        """What is answered, as it is."""
        return self._asked(method, path, _encoded(body), {}, {})

    def events(self, path: str, last: int) -> Iterator[tuple[int, bytes]]:
        """Server-sent events behind the one with an id, as they come: the id of each, and its data."""
        id, data = last, b""
        for line in self.lines(path, {}, {"Last-Event-ID": str(last)}):
            name, _, value = line.partition(b": ")
            if name == b"id":
                id = int(value)
            elif name == b"data":
                data = value
            elif not line and data:
                yield id, data
                data = b""

    def lines(self, path: str, query: Query, headers: dict[str, str] | None = None) -> Iterator[bytes]:
        """The lines of what is answered, while it comes, without their ends."""
        address = self._address(path, query)
        with _reaching(self.url), self._http.stream("GET", address, headers=headers or {}) as response:
            if response.status_code != 200:
                told = _told(response)
                raise answers.refusal(told.status, told.media, told.body, self.url)
            rest = b""
            for piece in response.iter_bytes():
                *whole, rest = (rest + piece).split(b"\n")
                yield from whole
            if rest:
                raise Unreachable(f"{self.url} stopped in the middle of a line", hint="ask again")

    def _asked(self, method: str, path: str, body: bytes, query: Query, headers: dict[str, str]) -> bytes:
        again = method in {"GET", "DELETE"} or "Idempotency-Key" in headers
        told = self._tried(method, self._address(path, query), body, headers, again)
        if not 200 <= told.status < 300:
            raise answers.refusal(told.status, told.media, told.body, self.url)
        return told.body

    def _tried(self, method: str, address: str, body: bytes, headers: dict[str, str], again: bool) -> Told:
        """One answer; a service that says when to ask again is asked again then, as long as patience lasts."""
        end = time.monotonic() + PATIENCE
        told = self._reached(method, address, body, headers, again)
        while told.status in LATER and 0 < told.after < end - time.monotonic():
            time.sleep(told.after)
            told = self._reached(method, address, body, headers, again)
        return told

    def _reached(self, method: str, address: str, body: bytes, headers: dict[str, str], again: bool) -> Told:
        """One answer; tried again where nothing can have been done, or what was done is not done twice."""
        for pause in PAUSES:
            try:
                return self._sent(method, address, body, headers)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                time.sleep(pause)
            except (httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
                if not again:
                    raise _silent(self.url, error) from None
                time.sleep(pause)
            except httpx2.HTTPError as error:
                raise _silent(self.url, error) from None
        with _reaching(self.url):
            return self._sent(method, address, body, headers)

    def _sent(self, method: str, address: str, body: bytes, headers: dict[str, str]) -> Told:
        with self._http.stream(method, address, content=body or None, headers=headers) as response:
            return _told(response)

    def _address(self, path: str, query: Query) -> str:
        given = {key: _written(value) for key, value in query.items() if value not in (None, "", False)}
        asked = urlencode(given, doseq=True, errors="surrogateescape")
        return f"{self.url}{path}" + (f"?{asked}" if asked else "")


def segment(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="", errors="surrogateescape").replace(".", "%2E")


def patiently(look: Callable[[], T], patience: float = PATIENCE) -> Callable[[], T]:
    """A look that, once it has succeeded, bears with a service that is started anew."""
    seen: list[float] = []

    def again() -> T:
        while True:
            try:
                found = look()
            except Unreachable:
                if not seen or time.monotonic() - seen[-1] > patience:
                    raise
                time.sleep(PAUSES[1])
            else:
                seen[:] = [time.monotonic()]
                return found

    return again


def _bearer(token: str) -> dict[str, str]:
    if not token.isascii() or not token.isprintable() or " " in token.strip():
        raise Denied("the token is none: it has characters that no token has", code="token-unknown")
    return {"Authorization": f"Bearer {token.strip()}"}


def _written(value: Any) -> Any:
    """A value of a query: what is true is 1, and a list stands for as many."""
    if isinstance(value, bool):
        return int(value)
    return [str(one) for one in value] if isinstance(value, list | tuple) else str(value)


def _encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else b"" if body is None else jsons.dumps(body).encode()


# --- what is answered ------------------------------------------------------------------------------------------


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    """What goes wrong between here and a service, in a sentence."""
    try:
        yield
    except httpx2.HTTPError as error:
        raise _silent(url, error) from None


def _silent(url: str, error: Exception) -> Unreachable:
    return Unreachable(
        f"the service at {url} does not answer: {error or type(error).__name__}",
        hint="is it running, and is this its address? what was asked for may have been done",
        next="treegate serve" if is_here(urlsplit(url).hostname or "") else f"curl {url}/healthz",
    )


def _told(response: httpx2.Response) -> Told:
    """An answer, read as far as an answer of ours may go."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > MOST:
            raise Unreachable(f"the answer has more than {MOST:,} bytes", hint="ask for less at a time")
    after = response.headers.get("retry-after", "")
    media = response.headers.get("content-type", "").partition(";")[0].strip()
    return Told(response.status_code, int(after) if after.isdecimal() else 0, media, bytes(body))
