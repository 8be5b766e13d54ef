"""Streaming: what a command does as it is told elsewhere, in JSON: output as text, and as bytes where it is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from treegate.engine.sandbox.order import (
    Captured,
    Ended,
    EngineName,
    Exited,
    Failed,
    Finding,
    Output,
    Started,
    ViewName,
)
from treegate.gate.sandboxing.events import Event, Finished
from treegate.model.effects import Text, tagged, untagged


class Told(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """What happened, and when, in ms since 1970; its number is the id of the event that it comes in."""

    at: int


class ToldStarted(Told, frozen=True, kw_only=True, tag="started"):
    """The command runs, on an engine, with a view of its cases."""

    engine: EngineName
    view: ViewName
    warnings: list[Text] = []


class ToldOutput(Told, frozen=True, kw_only=True, tag="output"):
    """A piece of what it wrote; where that is no UTF-8, `text` has U+FFFD for what is not, and `base64` the bytes."""

    stream: Literal["stdout", "stderr"]
    text: str
    base64: bytes | None = None


class ToldExited(Told, frozen=True, kw_only=True, tag="exited"):
    """It ended, with a status as a shell has it, by itself or by a limit; `cut`: it wrote more than is kept."""

    status: int
    why: Ended
    seconds: float
    cut: bool = False


class ToldFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What it did and no plan does, or what is to be known of it."""

    code: str
    path: Text
    text: str


class ToldCaptured(Told, frozen=True, kw_only=True, tag="captured"):
    """What it did is known: so many operations; and what others changed meanwhile."""

    operations: int
    findings: list[ToldFinding] = []
    changed: list[Text] = []
    changed_more: int = 0
    seconds: float = 0.0


class ToldFailed(Told, frozen=True, kw_only=True, tag="failed"):
    """It could not be run, or what it did not be captured."""

    code: str
    message: str
    hint: str = ""


class ToldFinished(Told, frozen=True, kw_only=True, tag="finished"):
    """All that came of it; nothing follows."""

    id: str
    state: str
    status: int | None = None
    why: str | None = None
    plan: str | None = None
    plan_state: str = ""
    waiting_for: str = ""
    summary: str = ""
    digest: str = ""
    warnings: int = 0
    run: str = ""
    logs: list[str] = []
    error: Mapping[str, Any] | None = None


AnyTold = ToldStarted | ToldOutput | ToldExited | ToldCaptured | ToldFailed | ToldFinished


def told(event: Event) -> AnyTold:
    """An event as it is told elsewhere."""
    what, at = event.what, event.at
    if isinstance(what, Output):
        text, exact = _text(what.data)
        return ToldOutput(at=at, stream=what.stream, text=text, base64=None if exact else what.data)
    if isinstance(what, Started):
        return ToldStarted(at=at, engine=what.engine, view=what.view, warnings=[tagged(one) for one in what.warnings])
    if isinstance(what, Exited):
        return ToldExited(at=at, status=what.status, why=what.ended, seconds=what.seconds, cut=what.cut)
    if isinstance(what, Captured):
        return _captured(what, at)
    if isinstance(what, Failed):
        return ToldFailed(at=at, code=what.code, message=what.message, hint=what.hint)
    return ToldFinished(at=at, **{**msgspec.structs.asdict(what), "logs": list(what.logs)})


def _captured(what: Captured, at: int) -> ToldCaptured:
    return ToldCaptured(
        at=at,
        operations=what.operations,
        findings=[ToldFinding(code=one.code, path=tagged(one.path), text=one.text) for one in what.findings],
        changed=[tagged(path) for path in what.changed],
        changed_more=what.changed_more,
        seconds=what.seconds,
    )


def _text(data: bytes) -> tuple[str, bool]:
    """Bytes as text, and whether they are that."""
    try:
        return data.decode(), True
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace"), False


def read(number: int, found: AnyTold) -> Event:
    """The event that was told."""
    return Event(n=number, at=found.at, what=_what(found))


def _what(found: AnyTold) -> Started | Output | Exited | Captured | Failed | Finished:
    if isinstance(found, ToldOutput):
        return Output(found.stream, found.text.encode() if found.base64 is None else found.base64)
    if isinstance(found, ToldStarted):
        return Started(found.engine, found.view, tuple(untagged(one) for one in found.warnings))
    if isinstance(found, ToldExited):
        return Exited(found.status, found.why, found.seconds, found.cut)
    if isinstance(found, ToldCaptured):
        findings = tuple(Finding(one.code, untagged(one.path), one.text) for one in found.findings)
        changed = tuple(untagged(one) for one in found.changed)
        return Captured(found.operations, findings, changed, found.changed_more, found.seconds)
    if isinstance(found, ToldFailed):
        return Failed(found.code, found.message, found.hint)
    given = msgspec.structs.asdict(found)
    del given["at"]
    return Finished(
        **{**given, "logs": tuple(found.logs), "error": None if found.error is None else dict(found.error)}
    )
