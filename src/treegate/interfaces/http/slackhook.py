"""Where Slack sends commands, buttons and windows: signed, young, and each heeded once."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from treegate.errors import NotFound
from treegate.interfaces.http.identity import Unknown
from treegate.interfaces.http.service import TheService

PATH = "/slack/events"
router = APIRouter(include_in_schema=False)


@router.post(PATH)
async def events(request: Request, service: TheService) -> Response:
    """Answers Slack; 401 for whatever is not its own, is later than five minutes, or was sent before."""
    door = service.doors.slack
    if door is None or door.signed is None:
        raise NotFound("Slack does not reach us here", hint="slack.channel and slack.mode say whether it does")
    body = await request.body()
    signature = request.headers.get("x-slack-signature", "")
    if not door.signed.holds(body, request.headers.get("x-slack-request-timestamp", ""), signature):
        raise _unsigned("the signature does not hold")
    if not await service.desk.do(service.gate.first_time, signature):
        raise _unsigned("this was sent before")
    status, text = await door.app.dispatch(body, dict(request.headers))
    return Response(text, status, media_type="application/json" if text.startswith("{") else "text/plain")


def _unsigned(text: str) -> Unknown:
    return Unknown(text, code="signature-invalid", hint="only Slack sends to this address; nothing was done")
