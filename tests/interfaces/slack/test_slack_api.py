"""Whatever Slack answers is told as what can be done about it: look for another place, give up, or wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from treegate.interfaces.notify.port import Refused, Undelivered
from treegate.interfaces.slack.api import Api, Closed, Gone


def _answered(answer: dict[str, Any]) -> Exception | None:
    """What comes of a message that is answered so."""

    async def work() -> Exception | None:
        async def answers(_: web.Request) -> web.Response:
            return web.Response(**answer)

        app = web.Application()
        app.router.add_post("/api/chat.postMessage", answers)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        api = Api(f"http://127.0.0.1:{port}/api", "xoxb-fake")
        try:
            assert await api.post("C1", "text", [], "key") == "1.2"
            return None
        except (Undelivered, Gone) as error:
            return error
        finally:
            await api.close()
            await runner.cleanup()

    return asyncio.run(work())


def _json(text: str) -> dict[str, Any]:
    return {"text": text, "content_type": "application/json"}


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "<html>Log in to the guests' network</html>", "content_type": "text/html"},
        {"text": ""},
        {"text": '{"ok": true}', "content_type": "text/plain"},
        {"body": b"\xff\xfe{", "content_type": "application/json"},
        {"body": b"nothing packed", "headers": {"Content-Encoding": "gzip"}},
        _json("[]"),
        _json("null"),
        _json('{"ok": false}'),
        _json('{"ok": true}'),
        _json('{"ok": true, "ts": null}'),
        {"text": "upstream", "status": 502},
    ],
)
def test_an_answer_of_no_sense_leaves_in_doubt_what_arrived(answer: dict[str, Any]) -> None:
    error = _answered(answer)
    assert isinstance(error, Undelivered)
    assert not isinstance(error, Refused)
    assert not error.known


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("msg_blocks_too_long", Refused),
        ("metadata_too_large", Refused),
        ("invalid_blocks", Refused),
        ("thread_not_found", Gone),
        ("restricted_action_thread_locked", Gone),
        ("is_archived", Closed),
        ("channel_not_found", Closed),
        ("invalid_auth", Undelivered),
        ("restricted_action", Undelivered),
        ("one_that_is_not_known_yet", Undelivered),
    ],
)
def test_what_slack_says(code: str, kind: type[Exception]) -> None:
    assert type(_answered(_json(f'{{"ok": false, "error": "{code}"}}'))) is kind


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("9" * 400, 3600), ("0", 30), ("soon", 30)])
def test_slack_asks_to_wait(header: str, seconds: float) -> None:
    error = _answered({"text": "slow down", "status": 429, "headers": {"Retry-After": header}})
    assert isinstance(error, Undelivered)
    assert (error.known, error.after) == (True, seconds)


def test_slack_says_yes() -> None:
    assert _answered(_json('{"ok": true, "ts": "1.2"}')) is None
