"""Slack's Web API as its documentation has it (docs.slack.dev), on a port of this machine, with its weather.

It holds what it is sent to Slack's own limits, keeps messages, and can be slow, away, in a hurry or forgetful.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import WSMsgType, web
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block

SECRET, BOT, APP = "8f742231b10e8888abcd99yyyzzz85a5", "xoxb-fake", "xapp-fake"
CHANNEL = "C0123CASES"


class FakeSlack:
    """One workspace with one app in it. Its state may be read from any thread."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}  # by time stamp
        self.whispers: list[dict[str, Any]] = []  # what one person alone was told
        self.direct: list[dict[str, Any]] = []  # what one person is told in a talk of two
        self.windows: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []  # sent to a response_url
        self.calls: list[str] = []
        self.faults: list[str] = []  # what was sent and Slack would not take
        self.weather = ""  # "", "down", "busy" (429), "broken" (500), "deaf" (does, and says nothing)
        self.after = 1  # seconds, of Retry-After
        self.slow = 0.0
        self._number = 0
        self._sockets: list[web.WebSocketResponse] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    # --- what a test looks at ---------------------------------------------------------------------------------

    def channel(self) -> list[dict[str, Any]]:
        """The messages of the channel itself, in order, threads left out."""
        return [one for _, one in sorted(self.messages.items()) if "thread_ts" not in one]

    def thread(self, stamp: str) -> list[dict[str, Any]]:
        return [one for _, one in sorted(self.messages.items()) if one.get("thread_ts") == stamp]

    def delete(self, stamp: str) -> None:
        del self.messages[stamp]

    def buttons(self, message: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """What can be pressed on a message, by what it does."""
        return {
            element["action_id"]: element
            for block in message.get("blocks") or ()
            if block["type"] == "actions"
            for element in block["elements"]
        }

    def clear_up(self) -> None:
        self.weather, self.slow = "", 0.0

    # --- what Slack sends ---------------------------------------------------------------------------------------

    def command(self, text: str, user: str = "U0RITA", name: str = "/treegate") -> bytes:
        return urlencode(
            {
                "token": "old", "team_id": "T1", "channel_id": CHANNEL, "user_id": user, "command": name,
                "text": text,
                "response_url": f"{self.address}/respond", "trigger_id": f"tr.{time.monotonic_ns()}",
                "api_app_id": "A1",
            }
        ).encode()  # fmt: skip

    def pressed(
        self,
        message: Mapping[str, Any],
        action: str,
        user: str = "U0RITA",
        *,
        alone: bool = False,
        channel: str = CHANNEL,
    ) -> bytes:
        button = self.buttons(message)[action]
        container = {"type": "message", "message_ts": message.get("ts", ""), "is_ephemeral": alone}
        payload = {
            "type": "block_actions", "user": {"id": user, "team_id": "T1"}, "team": {"id": "T1"},
            "trigger_id": f"tr.{time.monotonic_ns()}",
            "api_app_id": "A1", "token": "old", "container": container, "channel": {"id": channel, "name": "cases"},
            "response_url": f"{self.address}/respond",
            "actions": [{"type": "button", "block_id": "b", "action_ts": "1", **button}],
        }  # fmt: skip
        return urlencode({"payload": json.dumps(payload)}).encode()

    def filled(self, window: Mapping[str, Any], comment: str, user: str = "U0RITA") -> bytes:
        state = {"values": {"comment": {"comment": {"type": "plain_text_input", "value": comment}}}}
        payload = {
            "type": "view_submission", "user": {"id": user, "team_id": "T1"}, "team": {"id": "T1"}, "token": "old",
            "api_app_id": "A1", "trigger_id": f"tr.{time.monotonic_ns()}",
            "view": {"id": "V1", **window, "state": state},
        }  # fmt: skip
        return urlencode({"payload": json.dumps(payload)}).encode()

    def send(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Sends something over Socket Mode."""
        self._number += 1
        envelope = {
            "envelope_id": f"e{self._number}",
            "type": kind,
            "payload": dict(payload),
            "accepts_response_payload": True,
        }
        asyncio.run_coroutine_threadsafe(self._sockets[-1].send_json(envelope), self._loop).result(10)

    @property
    def connected(self) -> bool:
        return bool(self._sockets)

    # --- the server ---------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._begin())
        self._ready.set()
        self._loop.run_forever()

    async def _begin(self) -> None:
        app = web.Application()
        app.router.add_post("/api/{method}", self._api)
        app.router.add_get("/api/{method}", self._api)
        app.router.add_post("/respond", self._respond)
        app.router.add_get("/link", self._link)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self.address = f"http://127.0.0.1:{port}"
        self._port = port

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        given = dict(request.query) or await _fields(request)
        self.calls.append(method)
        await asyncio.sleep(self.slow)
        if self.weather == "down":
            return self._cut(request)
        if self.weather == "broken":
            return web.Response(status=503, text="upstream is away")
        if self.weather == "busy":
            error = {"ok": False, "error": "ratelimited"}
            return web.json_response(error, status=429, headers={"Retry-After": str(self.after)})
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        wanted = APP if method.startswith("apps.") else BOT
        if token != wanted:
            return web.json_response({"ok": False, "error": "invalid_auth"})
        answer = self._do(method, given)
        if self.weather == "deaf":
            return self._cut(request)
        return web.json_response(answer)

    def _cut(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    def _do(self, method: str, given: dict[str, Any]) -> dict[str, Any]:
        if method == "auth.test":
            return {"ok": True, "user_id": "UBOT", "bot_id": "B1", "team_id": "T1", "url": self.address}
        if method == "apps.connections.open":
            return {"ok": True, "url": f"ws://127.0.0.1:{self._port}/link"}
        if method == "views.open":
            self.windows.append(given["view"])
            return {"ok": True, "view": {"id": "V1"}}
        if method in {"conversations.history", "conversations.replies"}:
            return {"ok": True, "messages": self._history(given), "has_more": False}
        if faulty := _faulty(given):
            self.faults.append(faulty)
            return {"ok": False, "error": "invalid_blocks", "response_metadata": {"messages": [faulty]}}
        if method == "chat.postEphemeral":
            if given["channel"] != CHANNEL:
                return {"ok": False, "error": "channel_not_found"}
            self.whispers.append(given)
            return {"ok": True, "message_ts": "1.0"}
        if method == "chat.update":
            if given["channel"] != CHANNEL:
                return {"ok": False, "error": "channel_not_found"}
            if given["ts"] not in self.messages:
                return {"ok": False, "error": "message_not_found"}
            self.messages[given["ts"]] |= {"text": given["text"], "blocks": given["blocks"]}
            return {"ok": True, "ts": given["ts"]}
        if method == "chat.postMessage":
            return self._posted(given)
        return {"ok": False, "error": "unknown_method"}

    def _posted(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["channel"].startswith("U"):
            self.direct.append(given)
            return {"ok": True, "ts": "1.0", "channel": "D1"}
        if given["channel"] != CHANNEL:
            return {"ok": False, "error": "channel_not_found"}
        if given.get("thread_ts") and given["thread_ts"] not in self.messages:
            return {"ok": False, "error": "thread_not_found"}
        self._number += 1
        stamp = f"{time.time():.0f}.{self._number:06}"
        self.messages[stamp] = {**given, "ts": stamp}
        return {"ok": True, "ts": stamp, "channel": CHANNEL}

    def _history(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        found = self.thread(given["ts"]) if "ts" in given else self.channel()
        return [one for one in reversed(found) if float(one["ts"]) >= float(given.get("oldest", 0))]

    async def _respond(self, request: web.Request) -> web.Response:
        self.answers.append(await request.json())
        return web.Response(text="ok")

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1})
        self._sockets.append(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.answers.append({"ack": json.loads(message.data)})
        self._sockets.remove(socket)
        return socket


async def _fields(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/json":
        found: dict[str, Any] = await request.json()
        return found
    return {
        key: json.loads(value) if key in {"blocks", "metadata", "view"} else value
        for key, value in (await request.post()).items()
    }


def _faulty(given: Mapping[str, Any]) -> str:
    """What Slack would not take of a message: Block Kit's limits."""
    blocks = given.get("blocks") or []
    try:
        for known in Block.parse_all(blocks):
            known.validate_json()
    except SlackObjectFormationError as error:
        return str(error)
    if len(blocks) > 50:
        return f"{len(blocks)} blocks"
    for block in blocks:
        texts = [block.get("text"), *(block.get("elements") or [])] if block["type"] in {"section", "context"} else []
        for text in texts:
            if text is not None and not 1 <= len(text["text"]) <= 3000:
                return f"a text of {len(text['text'])} characters"
        if block["type"] == "header" and not 1 <= len(block["text"]["text"]) <= 150:
            return "a long header"
        if block["type"] == "actions":
            ids = [element["action_id"] for element in block["elements"]]
            if not 1 <= len(ids) <= 25 or len(set(ids)) < len(ids):
                return f"actions {ids}"
            if any(len(element.get("value", "")) > 2000 for element in block["elements"]):
                return "a long value"
        if block["type"] == "rich_text" and any(not element["elements"] for element in block["elements"]):
            return "an empty list"
    return ""


def signed(body: bytes, at: float | None = None, secret: str = SECRET) -> dict[str, str]:
    """The headers that Slack signs a request with (docs.slack.dev, Verifying requests from Slack), made by hand."""
    stamp = str(int(time.time() if at is None else at))
    made = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={made}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
