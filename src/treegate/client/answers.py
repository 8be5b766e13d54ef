"""What a service answers, in our own types, and what it refuses, as our own errors."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from treegate.errors import PlanError, TreegateError, Unreachable, retold
from treegate.model.effects import Raw, untagged
from treegate.model.problems import Problem

T = TypeVar("T")


def refusal(status: int, media: str, body: bytes, url: str) -> TreegateError:
    """The error that a problem document tells; what is none comes from something that is no service of ours."""
    if media != "application/problem+json":
        text = f"{url} answers with {status} and {media or 'nothing'}: this is no service of treegate's"
        return Unreachable(text, code="not-a-service", hint="name the address that `treegate serve` printed")
    found = _decoded(body, dict[str, Any])
    error = retold({**found, "message": found.get("detail", "")})
    if "path" in found:
        error.path = untagged(msgspec.convert(found["path"], str | Raw))
    if isinstance(error, PlanError):
        error.problems = msgspec.convert(found.get("problems", []), list[Problem])
    return error


def read(body: bytes, kind: type[T] | Any, member: str = "") -> T:
    """JSON as a `kind`; `member`: of the object that is answered, only this."""
    found: T = _decoded(_decoded(body, dict[str, msgspec.Raw])[member] if member else body, kind)
    return found


def _decoded(body: bytes | msgspec.Raw, kind: Any) -> Any:
    """JSON as a `kind`. Names that are not UTF-8 and integers beyond 2^53 stand in it as jsons.dumps writes them."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        pass
    except msgspec.DecodeError as error:
        raise Unreachable(
            f"the answer is no JSON: {error}", code="not-a-service", hint="is it the service?"
        ) from None
    try:
        return msgspec.convert(_plain(msgspec.json.decode(body)), kind, strict=False)
    except msgspec.ValidationError as error:
        text, hint = f"the answer is not understood: {error}", "the service may be of another version"
        raise Unreachable(text, code="not-understood", hint=hint, next="treegate --version") from None


def _plain(value: Any) -> Any:
    """The same, with tagged names as plain ones."""
    if isinstance(value, dict):
        if value.keys() == {"raw"} and isinstance(value["raw"], str):
            return untagged(Raw(value["raw"]))
        return {key: _plain(held) for key, held in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
