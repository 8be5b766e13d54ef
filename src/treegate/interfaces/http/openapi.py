"""The OpenAPI document: what each operation takes, gives and refuses, said beside its route in our own types.

    @router.post("/plans/{id}/approve", **documented(takes=Decision, gives=StoredPlan, refuses=(409,)))

A type's JSON Schema comes from msgspec, an example from examples.json, a summary from the docstring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from treegate.interfaces.http.problems import MEDIA, ProblemDocument
from treegate.interfaces.http.repeating import REPEATABLE, REPLAYED

JSON, BYTES, EVENTS = "application/json", "application/octet-stream", "text/event-stream"
REF = "#/components/schemas/{name}"
FIRST = (400, 421, 431)  # what anything may be refused with, before it is looked at
ALWAYS = (401, 403, 422, 429, 500, 503)  # what anything that needs a token may be refused with
REFUSALS = {
    304: "It is what `If-None-Match` names.",
    400: "The request cannot be meant as it stands.",
    401: "There is no token, or none that holds.",
    403: "The token's role or cases do not allow it.",
    404: "There is no such thing.",
    406: "There is nothing of what `Accept` asks for.",
    408: "It has not come yet; or the body stopped coming.",
    409: "It does not fit what is there now: decided otherwise, stale, locked, paused, unfinished, under way.",
    412: "What `If-Match` names is not the newest.",
    413: "The body is larger than allowed.",
    416: "The file does not reach as far as `Range` asks.",
    421: "The service goes by another name.",
    422: "The request, or the plan it brings, is malformed.",
    429: "Too many requests: `Retry-After` says when to ask again.",
    431: "What comes before the body is larger than allowed.",
    500: "A fault of the service, or a run that failed and was taken back.",
    503: "The service cannot work now.",
}
HEADERS = {
    "ETag": "Names this state of it: send it as `If-None-Match`, or as `If-Match`.",
    REPLAYED: "`true` where this was answered before, to the same `Idempotency-Key`.",
    "Location": "Where what was made is found.",
    "Retry-After": "Seconds after which to ask again.",
}
TAGS = {
    "plans": "Handed in, looked at, decided on. An author proposes; a reviewer decides on exactly one digest.",
    "runs": "What was approved is carried out: asked for, watched, told of, taken back.",
    "sandboxes": "Commands, each run on a view of its cases; what it did becomes a plan. Output is data, only shown.",
    "cases": "Which there are, and what is in them now: read only, and no link is followed.",
    "blobs": "Contents that are sent before the plan that names them.",
    "vault": "What was deleted or replaced, and until when it is kept.",
    "audit": "What happened, and whether anybody changed the log of it.",
    "people": "Who one is, and who may propose, decide, carry out.",
    "care": "How the workspace stands, and what holds it up.",
}
ABOUT = """\
The gate between an AI agent and people's real files: a plan is handed in, previewed, approved by its digest, carried
out crash-safely, and can be undone.

Errors are problem documents (RFC 9457); `code` is stable, `hint` says what to change. Times are milliseconds since
1970, UTC. An integer beyond 2^53 is a decimal string; a path that is not UTF-8 is `{"raw": "..."}`, percent-encoded.
"""

_types: dict[Any, None] = {ProblemDocument: None}  # whose schemas the document holds, in the order they were met


def documented(
    *,
    gives: Any = None,
    takes: Any = None,
    brings: str = "",
    status: int = 200,
    also: Iterable[int] = (),
    refuses: Iterable[int] = (),
    media: Mapping[str, str] | None = None,
    streams: Any = None,
    headers: Iterable[str] = (),
    open: bool = False,
    repeats: bool = False,
) -> dict[str, Any]:
    """What a route's decorator is told: the type it `gives` as JSON, that of the JSON it `takes`, what it `refuses`.

    `media` names what else it gives, with a description each, and `streams` the type of its events; `also` are other
    statuses with which it gives the same; a body of bytes is told of in words, which it `brings`. `open` routes need
    no token; one that `repeats` honours an Idempotency-Key, in a router of `Repeatable` routes.
    """
    content = {JSON: {"schema": _ref(gives)}} if gives is not None else {}
    content |= {name: {"schema": _text(name, text)} for name, text in (media or {}).items()}
    content |= {EVENTS: {"schema": _event(streams)}} if streams is not None else {}
    given = _given(content, (*headers, *((REPLAYED,) if repeats else ())))
    body = _body(takes) if takes is not None else _bytes(brings) if brings else None
    codes = {*FIRST, *refuses, *(() if open else ALWAYS)}
    codes |= {*((408, 413) if body else ()), *((409,) if repeats else ())}
    return {
        "status_code": status,
        "response_class": Response,
        "dependencies": [REPEATABLE] if repeats else [],
        "responses": dict.fromkeys((status, *also), given) | {code: _refusal(code) for code in sorted(codes)},
        "openapi_extra": {"requestBody": body} if body else {},
    }


def _given(content: dict[str, Any], headers: Iterable[str]) -> dict[str, Any]:
    """What is answered where all is well."""
    told = {name: {"schema": {"type": "string"}, "description": HEADERS[name]} for name in headers}
    made: dict[str, Any] = {"description": "Done." if content else "Done; there is nothing to say."}
    return made | ({"content": content} if content else {}) | ({"headers": told} if told else {})


class Described(FastAPI):
    """An application whose document says what its routes say of themselves."""

    def openapi(self) -> dict[str, Any]:
        """The document; made once."""
        if self.openapi_schema is None:
            self.openapi_schema = _document(self)
        return self.openapi_schema


def operation_id(route: APIRoute) -> str:
    """An operation is called as its function is."""
    return route.name.replace("_", "-")


def operations(document: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Each operation of a document, with `POST /plans` and the like before it."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


@cache
def examples() -> dict[str, Any]:
    """What a small office asked and was answered, by operation; `docs/examples.py` makes it."""
    text = files("treegate.interfaces.http").joinpath("examples.json").read_bytes()
    found: dict[str, Any] = msgspec.json.decode(text)
    return found


def _document(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(
        title=app.title,
        version=app.version,
        description=ABOUT,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    made["components"].setdefault("schemas", {}).update(_schemas(_types)[1])
    given = examples()
    for _, operation in operations(made):
        _summarise(operation)
        _exemplify(operation, given.get(operation["operationId"], {}))
    return made


def _ref(kind: Any) -> dict[str, Any]:
    _types[kind] = None
    return _schemas([kind])[0][0]


def _schemas(kinds: Iterable[Any]) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """The schemas of types, and those of what they name."""
    return msgspec.json.schema_components(kinds, ref_template=REF)


def _body(kind: Any) -> dict[str, Any]:
    needed = any(field.required for field in msgspec.structs.fields(kind))
    return {"required": needed, "content": {JSON: {"schema": _ref(kind)}}}


def _event(kind: Any) -> dict[str, Any]:
    """One event of a stream (WHATWG HTML, 9.2), whose data is JSON."""
    data = {"type": "string", "contentMediaType": JSON, "contentSchema": _ref(kind)}
    about = "Each event: `id` is what to resume behind, `event` the kind, `data` JSON."
    properties = {"id": {"type": "string"}, "event": {"type": "string"}, "data": data}
    return {"type": "object", "description": about, "properties": properties, "required": list(properties)}


def _bytes(told: str) -> dict[str, Any]:
    return {"required": True, "content": {BYTES: {"schema": _text(BYTES, told)}}}


def _text(media: str, told: str) -> dict[str, Any]:
    return {"type": "string", "description": told} | ({"format": "binary"} if media == BYTES else {})


def _refusal(code: int) -> dict[str, Any]:
    if code < 400:
        return {"description": REFUSALS[code]}
    told: dict[str, Any] = {"description": REFUSALS[code], "content": {MEDIA: {"schema": _ref(ProblemDocument)}}}
    if code in {429, 503}:
        told["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": HEADERS["Retry-After"]}}
    return told


def _summarise(operation: dict[str, Any]) -> None:
    """The first paragraph of a docstring says what an operation is for; what follows describes it."""
    summary, _, rest = operation.pop("description", "").partition("\n\n")
    operation["summary"] = " ".join(summary.split())
    if rest:
        operation["description"] = rest


def _exemplify(operation: dict[str, Any], given: dict[str, Any]) -> None:
    if "takes" in given:
        operation["requestBody"]["content"][JSON]["example"] = given["takes"]
    for code, response in operation["responses"].items():
        for media, told in response.get("content", {}).items():
            if code < "300" and media in given.get("gives", {}):
                told["example"] = given["gives"][media]
