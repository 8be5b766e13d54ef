"""The sink that is a channel of Slack: a card for each plan that waits, in whose thread its story is told."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from treegate.engine.outbox import Post
from treegate.errors import TreegateError
from treegate.gate import Gate
from treegate.gate.notifying.notices import Due
from treegate.gate.plans import Shown
from treegate.interfaces.notify.notifier import OURSELVES, Caller
from treegate.interfaces.slack import cards
from treegate.interfaces.slack.api import Api, Closed, Gone
from treegate.model.actors import SLACK
from treegate.model.lifecycle import State
from treegate.model.notification import About, Kind
from treegate.render import blocks
from treegate.render.blocks import Block


class Where(msgspec.Struct, frozen=True):
    """A message: its channel and its time stamp."""

    channel: str
    stamp: str


class SlackSink:
    """One channel."""

    def __init__(self, gate: Gate, crew: Caller, api: Api, channel: str, public_url: str) -> None:
        self.name = SLACK
        self.kinds: Collection[str] = tuple(Kind)
        self._gate, self._crew, self._api, self._channel, self._url = gate, crew, api, channel, public_url

    async def tell(self, due: Due) -> Post | None:
        """Tells it; raises Undelivered."""
        told = due.notification
        if told.plan is None:
            await self._say(due)
            return None
        if told.kind is Kind.PLAN_WAITING:
            return await self._new_card(due, told.plan)
        card = _where(self._gate.post_of(SLACK, told.plan.id))
        kept = card is not None and await self._brought(card, told.plan)
        if told.kind in {Kind.RUN_ENDED, Kind.ALERT_RAISED} or told.event in {"go-stale", "expire"}:
            await self._say(due, card if kept else None)
        if card is not None and not kept:
            return await self._again(due, told.plan)
        return None

    async def close(self) -> None:
        """Lets go of connections."""
        await self._api.close()

    async def _new_card(self, due: Due, plan: About) -> Post | None:
        """The card of a preview that somebody has to look at; one of an earlier preview says that it is over."""
        told = due.notification
        if told.data.get("digest") != plan.digest:
            return None  # it was previewed anew since, and that is told next
        before = self._gate.post_of(SLACK, plan.id)
        old = _where(before)
        if before is not None and old is not None:
            if before.preview == plan.preview:
                await self._brought(old, plan)
                return None
            await self._over(old, told.text)
        stamp = await self._found(due)
        shown = await self._shown(plan)
        made = cards.card(shown, plan, self._url)
        if not stamp:
            stamp = await self._api.post(self._channel, blocks.fallback(told.text), made, told.key)
        return _post(plan, Where(self._channel, stamp))

    async def _brought(self, card: Where, plan: About) -> bool:
        """Brings a card in line with what became of its plan; whether it is there at all."""
        made = cards.card(await self._shown(plan), plan, self._url)
        try:
            await self._update(card, _named(plan), made)
        except Gone:
            return False
        return True

    async def _update(self, card: Where, text: str, made: Sequence[Block]) -> None:
        """Changes a message; raises Gone, also of a channel of former days that is closed to us."""
        try:
            await self._api.update(card.channel, card.stamp, blocks.fallback(text), made)
        except Closed as error:
            if card.channel == self._channel:
                raise
            raise Gone(str(error)) from None

    async def _over(self, card: Where, text: str) -> None:
        """An older card offers nothing any more."""
        try:
            said = "This was previewed anew: look at the newer message."
            await self._update(card, text, blocks.says(said))
        except Gone:
            return

    async def _again(self, due: Due, plan: About) -> Post:
        """Somebody deleted the card: a plan that still waits gets another one; of any other there is none now."""
        if plan.state != State.PENDING:
            return _post(plan, None)
        made = cards.card(await self._shown(plan), plan, self._url)
        key = f"{due.notification.key}-again"
        stamp = await self._api.find(self._channel, key, due.since) if due.doubtful else ""
        stamp = stamp or await self._api.post(self._channel, blocks.fallback(_named(plan)), made, key)
        return _post(plan, Where(self._channel, stamp))

    async def _say(self, due: Due, card: Where | None = None) -> None:
        """A message, in the thread of a card where there is one; what is grave shows in the channel, too."""
        told = due.notification
        if await self._found(due, card):
            return
        made = blocks.says(told.text, f"{self._url}{told.link}" if self._url and told.link else "")
        channel, thread = (card.channel, card.stamp) if card is not None else (self._channel, "")
        try:
            await self._api.post(channel, blocks.fallback(told.text), made, told.key, thread, loud=told.grave)
        except Gone:
            await self._api.post(self._channel, blocks.fallback(told.text), made, told.key)

    async def _found(self, due: Due, card: Where | None = None) -> str:
        """The message that was sent already, perhaps; looked for only where nobody knows."""
        if not due.doubtful:
            return ""
        key, thread = due.notification.key, card.stamp if card is not None else ""
        try:
            return await self._api.find(card.channel if card is not None else self._channel, key, due.since, thread)
        except Gone:
            return ""

    async def _shown(self, plan: About) -> Shown | None:
        """The preview of a plan; None where it has none now."""
        if not plan.preview:
            return None
        try:
            found: Shown = await self._crew.call(OURSELVES, "show", plan.id)
        except TreegateError:
            return None
        return found


def _named(plan: About) -> str:
    return f"{plan.title or plan.id}: {plan.standing}"


def _where(post: Post | None) -> Where | None:
    if post is None or not post.place:
        return None
    channel, _, stamp = post.place.partition(":")
    return Where(channel, stamp)


def _post(plan: About, where: Where | None) -> Post:
    place = "" if where is None else f"{where.channel}:{where.stamp}"
    return Post(plan=plan.id, preview=plan.preview, place=place)
