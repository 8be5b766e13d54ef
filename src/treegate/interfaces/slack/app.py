"""The app: what Slack sends, by HTTP or over its Socket Mode, handed to whoever answers.

Slack waits three seconds: everything is acknowledged at once, and done afterwards. Only what needs no answer of
ours, opening a window, comes first, for it has to be within those seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from slack_bolt import BoltResponse
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.authorization import AuthorizeResult

from treegate.interfaces.notify.port import Refused, Undelivered
from treegate.interfaces.slack import cards
from treegate.interfaces.slack.answers import Answers, Reply
from treegate.interfaces.slack.api import Api, Closed, Gone
from treegate.interfaces.slack.cards import APPROVE, CHANGES, REJECT

OWN = "/treegate"
_log = logging.getLogger("treegate.slack")
_QUIET = logging.getLogger("treegate.slack.bolt")
_QUIET.setLevel(logging.CRITICAL)  # its own account of each request, and of settings that are not ours


class App:
    """Listens to Slack."""

    def __init__(self, api: Api, answers: Answers, commands: Mapping[str, str]) -> None:
        """`commands` of one's own stand each for a word of `/treegate`."""
        self._api, self._answers = api, answers
        token = str(api.client.token)

        async def authorize() -> AuthorizeResult:
            return AuthorizeResult(enterprise_id=None, team_id=None, bot_token=token)  # the one that we have

        # Whether a request is Slack's own is seen to before it comes here.
        self.bolt = AsyncApp(
            client=api.client, authorize=authorize, request_verification_enabled=False, logger=_QUIET
        )
        self.bolt.middleware(self._once)
        for name, verb in {OWN: "", **commands}.items():
            self.bolt.command(name)(self._command_as(verb))
        self.bolt.action(APPROVE)(self._pressed)
        for action in (CHANGES, REJECT):
            self.bolt.action(action)(self._asked)
            self.bolt.view(action)(self._sent)
        self.bolt.action("open")(_acknowledged)

    async def dispatch(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        """What to answer to a request that is Slack's own: status and body."""
        try:
            request = AsyncBoltRequest(body=body.decode("utf-8"), headers=dict(headers))
            found: BoltResponse = await self.bolt.async_dispatch(request)
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # signed, and yet of no shape that we know
            _log.warning("Slack sent what makes no sense here: %s", type(error).__name__)
            return 400, ""
        return found.status, str(found.body or "")

    def line(self, token: str) -> SocketLine:
        """A connection in Socket Mode, which needs no port of ours."""
        return SocketLine(AsyncSocketModeHandler(self.bolt, token))

    async def _once(self, req: AsyncBoltRequest, body: dict[str, Any], next: Any) -> BoltResponse | None:
        """Over a connection of ours nothing is signed: what it brings a second time, as after a break, ends here."""
        trigger = str(body.get("trigger_id") or "")
        if req.mode == "socket_mode" and trigger and not await self._answers.first_time(trigger):
            return BoltResponse(status=200)
        await next()
        return None

    def _command_as(self, verb: str) -> Any:
        async def command(ack: Any, command: dict[str, Any], respond: Any) -> None:
            await ack()
            text = f"{verb} {command.get('text') or ''}".strip()
            await _respond(respond, await self._answers.command(command["user_id"], text))

        return command

    async def _pressed(self, ack: Any, body: dict[str, Any], action: dict[str, Any], respond: Any) -> None:
        await ack()
        reply = await self._answers.press(body["user"]["id"], action["action_id"], action.get("value", ""))
        await _respond(respond, reply, replace=bool((body.get("container") or {}).get("is_ephemeral")))

    async def _asked(self, ack: Any, body: dict[str, Any], action: dict[str, Any], respond: Any) -> None:
        await ack()
        carried = cards.carried(action.get("value", ""))
        if carried is None:
            return
        refused = self._answers.refusal(body["user"]["id"])
        if refused is not None:
            await _respond(respond, refused)
            return
        channel = (body.get("channel") or {}).get("id", "")
        window = cards.question(action["action_id"], cards.Carried(carried.plan, carried.digest, channel))
        try:
            await self._api.ask(body["trigger_id"], window)
        except (Undelivered, Gone) as error:
            await _respond(respond, Reply(f"The window could not be opened: {error}"))

    async def _sent(self, ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        await ack()
        user, value = body["user"]["id"], view.get("private_metadata", "")
        fields = (view.get("state") or {}).get("values") or {}
        comment = ((fields.get("comment") or {}).get("comment") or {}).get("value") or ""
        reply = await self._answers.sent(user, view.get("callback_id", ""), value, comment)
        carried = cards.carried(value)
        try:
            try:
                await self._api.whisper(
                    carried.channel if carried is not None else "", user, reply.text, reply.blocks
                )
            except (Closed, Refused):  # a channel without us, or a talk of two: then to them alone
                await self._api.post(user, reply.text, reply.blocks, "")
        except (Undelivered, Gone) as error:
            _log.warning("what came of a window could not be told: %s", error)


class SocketLine:
    """A connection to Slack that we open ourselves."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    async def open(self) -> None:
        """Opens it; from then on it mends itself."""
        await self._handler.connect_async()

    async def close(self) -> None:
        """Closes it."""
        await self._handler.close_async()


async def _acknowledged(ack: Any) -> None:
    await ack()


async def _respond(respond: Any, reply: Reply, *, replace: bool = False) -> None:
    """Tells the one person; in place of what only they saw, where they pressed something there."""
    try:
        await respond(
            text=reply.text, blocks=reply.blocks or None, response_type="ephemeral", replace_original=replace
        )
    except Exception as error:  # Slack is away: what was decided is decided, and the card will say so
        _log.warning("an answer could not be given: %s", type(error).__name__)
