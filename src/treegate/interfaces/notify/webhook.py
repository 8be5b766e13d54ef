"""Webhooks: notifications as signed JSON, by the Standard Webhooks specification (standardwebhooks.com).

The signature is `v1,` and the base64 of HMAC-SHA256 over `{id}.{timestamp}.{body}`; the key is the secret's bytes,
or, where it begins with `whsec_`, what follows as base64. The same id is sent again until it is taken, and a receiver
tells by it what it has seen already.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx2
import msgspec

from treegate import __version__
from treegate.engine.configfile import WEBHOOK_SECRET
from treegate.engine.outbox import Post
from treegate.engine.telling import Webhook, secret_of
from treegate.errors import UsageError
from treegate.gate.notifying.notices import Due
from treegate.interfaces.notify.port import Refused, Undelivered, retry_after
from treegate.model.notification import Notification

PATIENCE = 15.0  # seconds for an answer
LEAST = 16  # bytes of a key
_REFUSALS = {400, 413, 415, 422}  # of the content; any other may be mended at the other end
_PREFIX = "whsec_"


class WebhookSink:
    """One address that is told."""

    def __init__(self, hook: Webhook, kinds: Collection[str], key: bytes) -> None:
        self.name, self.kinds = hook.name, kinds
        self._url, self._key = hook.url, key
        self._client = httpx2.AsyncClient(timeout=PATIENCE, follow_redirects=False)

    @classmethod
    def of(cls, hook: Webhook, kinds: Collection[str], environ: Mapping[str, str]) -> WebhookSink:
        """The webhook of the configuration, with its secret; raises UsageError "webhook-unusable"."""
        return cls(hook, kinds, key_for(hook, environ))

    async def tell(self, due: Due) -> Post | None:
        """Sends it; raises Undelivered."""
        body = document(due.notification)
        headers = self._headers(due.notification, body)
        try:  # what is answered is in the status: a body is not read, which may have no end
            async with (
                asyncio.timeout(PATIENCE),
                self._client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                pass
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            known = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
            raise Undelivered(f"{type(error).__name__}: {error}", known=known) from None
        if answer.is_success:
            return None
        text = f"it answered {answer.status_code}"
        if answer.status_code in _REFUSALS:
            raise Refused(text)
        raise Undelivered(text, known=answer.status_code < 500, after=retry_after(answer.headers.get("retry-after")))

    async def close(self) -> None:
        """Lets go of connections."""
        await self._client.aclose()

    def _headers(self, told: Notification, body: bytes) -> dict[str, str]:
        stamp = str(int(time.time()))
        return {
            "content-type": "application/json",
            "user-agent": f"treegate/{__version__}",
            "webhook-id": told.key,
            "webhook-timestamp": stamp,
            "webhook-signature": signature(self._key, told.key, stamp, body),
        }


def document(told: Notification) -> bytes:
    """The body: type, time and data, as the specification has them."""
    at = datetime.fromtimestamp(told.at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data: dict[str, Any] = msgspec.to_builtins(told)
    return msgspec.json.encode({"type": told.kind, "timestamp": at, "data": data})


def signature(key: bytes, id: str, stamp: str, body: bytes) -> str:
    """What proves that a body is ours, and when it was sent."""
    made = hmac.new(key, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(made).decode()}"


def key_for(hook: Webhook, environ: Mapping[str, str]) -> bytes:
    """The key that a webhook's notifications are signed with; raises UsageError "webhook-unusable"."""
    try:
        return key_of(secret_of(hook.secret_file, WEBHOOK_SECRET, environ))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the webhook {hook.name} cannot be signed for: {error}",
            code="webhook-unusable",
            hint=f"put a secret of {LEAST} bytes or more into its secret_file, or into {WEBHOOK_SECRET}",
            next="treegate config show",
        ) from None


def key_of(secret: str) -> bytes:
    """The key that a secret stands for; raises ValueError."""
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise ValueError("what follows whsec_ is not base64") from None
    else:
        key = secret.encode()
    if len(key) < LEAST:
        raise ValueError(f"the secret has {len(key)} bytes")
    return key
