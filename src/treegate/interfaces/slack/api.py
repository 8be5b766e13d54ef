"""Slack's Web API, as much of it as is needed; what it answers is told as what can be done about it."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.signature import Clock, SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from treegate.interfaces.notify.port import Refused, Undelivered, retry_after
from treegate.render.blocks import Block

PATIENCE = 15  # seconds for an answer
EVENT = "treegate_notification"  # the type of the metadata by which a message of ours is known again
SKEW = 120.0  # seconds that Slack's clock and ours may be apart
UNSAID = 30.0  # seconds to wait, where Slack asks us to and says not how long
PAGES = 20  # of a channel that are looked through
# What Slack says (docs.slack.dev, chat.postMessage and chat.update), by what can be done about it. All else is of the
# app, its token or its channel: somebody has to see to that, and until then everything waits.
_GONE = frozenset(
    {
        *("message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed"),
        *("cannot_reply_to_message", "cant_broadcast_message", "restricted_action_thread_locked"),
    }
)
_CLOSED = frozenset({"channel_not_found", "is_archived", "is_inactive", "not_in_channel"})
_CONTENT = frozenset(
    {
        *("invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text"),
        *("block_mismatch", "too_many_attachments", "attachment_payload_limit_exceeded", "markdown_text_conflict"),
        *("metadata_too_large", "invalid_metadata_format", "invalid_metadata_schema"),
        *("invalid_arguments", "invalid_arg_name", "invalid_array_arg", "invalid_charset", "invalid_form_data"),
        *("invalid_json", "json_not_object"),
    }
)
_FAILED = frozenset({"", "fatal_error", "internal_error", "service_unavailable", "request_timeout", "update_failed"})
logging.getLogger("slack_sdk").setLevel(logging.CRITICAL)  # what fails is told by us


class Gone(Exception):
    """The message that was to be changed, or answered, is not there any more."""


class Closed(Undelivered):
    """The channel is not there any more, or not for us."""

    def __init__(self, code: str) -> None:
        super().__init__(f"Slack says {code}", known=True)


class Api:
    """Slack, as one app in one workspace."""

    def __init__(self, base: str, token: str) -> None:
        # Handlers that send a request again would send a message twice.
        self.client = AsyncWebClient(token=token, base_url=f"{base}/", timeout=PATIENCE, retry_handlers=[])

    async def post(
        self, channel: str, text: str, blocks: Sequence[Block], key: str, thread: str = "", *, loud: bool = False
    ) -> str:
        """Posts a message, in a thread where one is named; `loud` shows it in the channel as well. Its time stamp."""
        metadata = {"event_type": EVENT, "event_payload": {"key": key}}
        more: dict[str, Any] = {"thread_ts": thread, "reply_broadcast": loud} if thread else {}
        with _told():
            answer = await self.client.chat_postMessage(
                channel=channel, text=text, blocks=list(blocks), metadata=metadata, unfurl_links=False, **more
            )
        stamp = answer.get("ts")
        if not isinstance(stamp, str):
            raise Undelivered("Slack said yes, and not to what", known=False)
        return stamp

    async def update(self, channel: str, stamp: str, text: str, blocks: Sequence[Block]) -> None:
        """Changes a message; raises Gone."""
        with _told():
            await self.client.chat_update(channel=channel, ts=stamp, text=text, blocks=list(blocks))

    async def find(self, channel: str, key: str, since: int, thread: str = "") -> str:
        """The time stamp of the message that was posted with a key, since a time (ms); "" where there is none."""
        oldest, cursor = f"{since / 1000 - SKEW:.6f}", ""
        for _ in range(PAGES):
            asked: dict[str, Any] = {"channel": channel, "oldest": oldest, "limit": 200, "cursor": cursor}
            with _told():
                if thread:
                    answer = await self.client.conversations_replies(ts=thread, include_all_metadata=True, **asked)
                else:
                    answer = await self.client.conversations_history(include_all_metadata=True, **asked)
            for message in answer.get("messages") or ():
                if _key(message) == key:
                    return str(message["ts"])
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                break
        return ""

    async def whisper(self, channel: str, user: str, text: str, blocks: Sequence[Block]) -> None:
        """Says something to one person in a channel, that nobody else sees."""
        with _told():
            await self.client.chat_postEphemeral(channel=channel, user=user, text=text, blocks=list(blocks))

    async def ask(self, trigger: str, view: Mapping[str, Any]) -> None:
        """Opens a window for whoever pressed something; it has to be within three seconds of that."""
        with _told():
            await self.client.views_open(trigger_id=trigger, view=dict(view))

    async def close(self) -> None:
        """Lets go of connections."""
        session = self.client.session
        if session is not None and not session.closed:
            await session.close()


class Signed:
    """Whether a request is Slack's own and young (docs.slack.dev, Verifying requests from Slack)."""

    def __init__(self, secret: str) -> None:
        self._verifier = SignatureVerifier(secret, clock=_Clock())

    def holds(self, body: bytes, stamp: str, signature: str) -> bool:
        """False for whatever else it is: forged, late, or not even well-formed."""
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16 and signature.isascii()):
            return False
        try:
            return self._verifier.is_valid(body=body, timestamp=stamp, signature=signature)
        except (ValueError, TypeError):
            return False


class _Clock(Clock):
    def now(self) -> float:
        return time.time()


def _key(message: Mapping[str, Any]) -> str:
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload") or {}
    return str(payload.get("key", "")) if metadata.get("event_type") == EVENT else ""


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Errors as what can be done about them: Gone, Refused, or Undelivered."""
    try:
        yield
    except SlackApiError as error:
        raise _answered(error) from None
    except aiohttp.ClientConnectorError as error:
        raise Undelivered(f"Slack cannot be reached: {error}", known=True) from None
    except (aiohttp.ClientError, SlackClientError, TimeoutError, OSError) as error:
        raise Undelivered(f"Slack did not answer: {type(error).__name__}", known=False) from None
    except (ValueError, TypeError, AttributeError) as error:  # an answer of no sense, of a proxy perhaps
        raise Undelivered(f"Slack's answer makes no sense: {type(error).__name__}", known=False) from None


def _answered(error: SlackApiError) -> Exception:
    answer = error.response
    status = int(getattr(answer, "status_code", 0) or getattr(answer, "status", 0))
    headers = getattr(answer, "headers", {}) or {}
    try:
        code = str(answer.get("error", ""))
    except (AttributeError, TypeError, ValueError):  # no JSON at all
        code = ""
    if code in _GONE:
        return Gone(code)
    if code in _CLOSED:
        return Closed(code)
    if code in _CONTENT:
        return Refused(f"Slack does not take the message: {code}")
    if status == 429 or code in {"ratelimited", "rate_limited"}:
        return Undelivered("Slack asks to wait", known=True, after=retry_after(headers.get("Retry-After")) or UNSAID)
    if status >= 500 or code in _FAILED or code == "None":
        return Undelivered(f"Slack has failed: {code or status}", known=False)
    return Undelivered(f"Slack says {code}", known=True)
