"""What a caller wants and has: kinds of answers by Accept (RFC 9110, 12.5.1), states by entity tags (13.1)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from fastapi import Request, Response

from treegate.engine.store.records import StoredPlan
from treegate.errors import Stale, UsageError
from treegate.render import jsons

_QUALITY = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')

_STILL = ("ETag", "Vary")  # what a 304 says too
_REVISION = re.compile(r"([0-9]{1,9})(?:-[0-9a-f]+)?")


class NotAcceptable(UsageError):
    """There is nothing of what is asked for."""

    code, http_status = "not-acceptable", 406


class NotMatched(Stale):
    """What If-Match names is not the newest: RFC 9110, 13.1.1."""

    code, http_status = "revision-not-current", 412


def best(request: Request, offered: Sequence[str]) -> str:
    """The media type among those `offered`, best first, that is wanted most; raises NotAcceptable."""
    ranges = list(_ranges(",".join(request.headers.getlist("accept")) or "*/*"))
    wanted = [(_wanted(kind, ranges), -at, kind) for at, kind in enumerate(offered)]
    quality, _, kind = max(wanted)
    if quality > 0:
        return kind
    raise NotAcceptable("there is nothing of what Accept asks for", hint="there are: " + ", ".join(offered))


def _ranges(header: str) -> list[tuple[str, float]]:
    """Each media range that a header names, with its quality; what cannot be read counts for nothing."""
    found = []
    for part in header.split(","):
        kind, *parameters = (one.strip().lower() for one in part.split(";"))
        quality = next((one[2:].strip() for one in parameters if one.startswith("q=")), "1")
        if "/" in kind and _QUALITY.fullmatch(quality):
            found.append((kind, float(quality)))
    return found


def _wanted(kind: str, ranges: list[tuple[str, float]]) -> float:
    """The quality of a kind: the most specific range that it falls under decides."""
    for one in (kind, kind.partition("/")[0] + "/*", "*/*"):
        found = [quality for named, quality in ranges if named == one]
        if found:
            return max(found)
    return 0.0


def unchanged(request: Request, tag: str) -> bool:
    """Whether If-None-Match names the state that there is, so that 304 says it all."""
    header = ",".join(request.headers.getlist("if-none-match"))
    return header.strip() == "*" or tag in _TAG.findall(header)


def tagged(request: Request, made: Response, tag: str = "") -> Response:
    """An answer under its entity tag, by default one of its content; 304 for whoever has it already."""
    made.headers["ETag"] = tag or f'"{mark(bytes(made.body))}"'
    if not unchanged(request, made.headers["ETag"].strip('"')):
        return made
    return Response(status_code=304, headers={name: made.headers[name] for name in _STILL if name in made.headers})


def tag_of(plan: StoredPlan) -> str:
    """The entity tag of a plan: its revision, which If-Match is about, and a mark of all else that may change."""
    return f'"{plan.revision}-{mark(jsons.dumps(plan).encode())}"'


def mark(body: bytes) -> str:
    """A short mark of an answer, which another answer does not have."""
    return hashlib.sha256(body).hexdigest()[:16]


def revision(match: str | None) -> int | None:
    """The revision that If-Match names; None where it names none, or any. Raises NotMatched for what is none of ours.

    Of several tags the highest counts: it is the newest one that the caller knows.
    """
    if match is None or match.strip() == "*":
        return None
    numbers = [int(found[1]) for tag in _TAG.findall(match) if (found := _REVISION.fullmatch(tag))]
    if not numbers:
        raise NotMatched("If-Match names no revision of a plan", hint="send the ETag of the plan")
    return max(numbers)
