"""What is answered to a command, a button or a window: by whoever the person is here, on what they were shown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from treegate.errors import TreegateError, UsageError
from treegate.gate import Gate
from treegate.gate.plans import Shown
from treegate.gate.waiting import Status
from treegate.interfaces.notify.notifier import Caller
from treegate.interfaces.slack import cards
from treegate.interfaces.slack.cards import APPROVE, CHANGES, REJECT, Carried
from treegate.model.actors import Actor
from treegate.model.names import visible
from treegate.render import blocks
from treegate.render.blocks import Block
from treegate.render.text import clip, inert

PATIENCE = 10.0  # seconds for those who have asked when the process ends
WRITERS = 1.0  # seconds for other writers of the database: Slack waits for three
LISTED = 25  # plans of a list
WIDE = 300  # characters of each: all that a message says may come to some 13,000
_log = logging.getLogger("treegate.slack")
_USAGE = (
    "list: what waits for whom",
    "show ID: a plan, and where it stands",
    "approve ID: the plan, with a button that approves exactly what is shown",
    "reject ID REASON, changes ID COMMENT: say no, or what to change",
    "undo RUN: hand in the plan that takes a run back",
    "pause [CASE], resume [CASE]: keep runs from beginning, and let them",
)


class Reply(msgspec.Struct, frozen=True):
    """What one person is told; nobody else sees it."""

    text: str
    blocks: list[Block] = []


class Answers:
    """Answers people of Slack; `wake` is called once something is approved."""

    def __init__(self, gate: Gate, crew: Caller, public_url: str, wake: Callable[[], None]) -> None:
        self._gate, self._crew, self._url, self._wake = gate, crew, public_url, wake
        self._asked: set[asyncio.Task[Any]] = set()
        self._verbs: dict[str, Callable[[Actor, list[str]], Awaitable[Reply]]] = {
            "list": self._list,
            "show": self._show,
            "approve": self._show,
            "reject": self._reject,
            "changes": self._changes,
            "undo": self._undo,
            "pause": self._pause,
            "resume": self._resume,
        }

    async def first_time(self, trigger: str) -> bool:
        """Whether something that somebody did comes for the first time; where that cannot be told now, it does."""
        try:
            return await asyncio.to_thread(self._gate.first_time, trigger, WRITERS)
        except TreegateError:
            return True

    async def command(self, user: str, text: str) -> Reply:
        """A command, as it was typed after its name; `""` is a question what there is."""
        verb, *words = text.split() or ["help"]
        found = self._verbs.get(verb.lower())
        if found is None:
            return Reply("What there is", blocks.listed([f"/treegate {line}" for line in _USAGE]))
        return await self._told(user, lambda actor: found(actor, words))

    async def press(self, user: str, action: str, value: str) -> Reply:
        """A button that decides at once."""
        carried = cards.carried(value)
        if carried is None or action != APPROVE:
            return Reply("This button is not one of treegate's.")
        return await self._told(user, lambda actor: self._approved(actor, carried))

    async def sent(self, user: str, action: str, value: str, comment: str) -> Reply:
        """A window that was filled in."""
        carried = cards.carried(value)
        if carried is None or action not in {REJECT, CHANGES}:
            return Reply("This window is not one of treegate's.")
        method = "reject" if action == REJECT else "request_changes"
        return await self._told(user, lambda actor: self._decided(actor, method, carried, comment))

    def refusal(self, user: str) -> Reply | None:
        """What is answered to somebody who is allowed nothing here, whatever they ask; None for anybody else."""
        try:
            self._gate.of_slack(user)
        except TreegateError as error:
            return _refused(error)
        return None

    async def _told(self, user: str, do: Callable[[Actor], Awaitable[Reply]]) -> Reply:
        """What came of it, or why nothing did."""
        self._note(asyncio.current_task())
        try:
            return await do(self._gate.of_slack(user))
        except TreegateError as error:
            return _refused(error)
        except Exception:  # a fault of ours, or a disk: they are told that it did not work, and the log why
            _log.exception("somebody in Slack could not be answered")
            return Reply("Something went wrong here. /treegate show ID says what was done.")

    async def settle(self) -> None:
        """Lets those who have asked be answered, before there is nobody to do so."""
        if self._asked:
            await asyncio.wait(self._asked, timeout=PATIENCE)

    def _note(self, task: asyncio.Task[Any] | None) -> None:
        if task is not None:
            self._asked.add(task)
            task.add_done_callback(self._asked.discard)

    async def _list(self, actor: Actor, words: Sequence[str]) -> Reply:
        found: Status = await self._crew.call(actor, "status", " ".join(words) or None)
        lines = [_line(item) for item in found.waiting[:LISTED]]
        more = len(found.waiting) - len(lines) + found.more
        lines += [f"\u2026 {more:,} more"] if more > 0 else []
        paused = ", ".join(visible(one.case) or "the whole workspace" for one in found.paused)
        return Reply(
            "What waits", blocks.listed([*([f"Paused: {paused}"] if paused else []), *lines] or ["Nothing waits."])
        )

    async def _show(self, actor: Actor, words: Sequence[str]) -> Reply:
        shown: Shown = await self._crew.call(actor, "show", _first(words, "a plan"))
        about = await self._crew.call(actor, "about", shown.plan.id)
        return Reply(blocks.fallback(about.standing), cards.card(shown, about, self._url))

    async def _reject(self, actor: Actor, words: Sequence[str]) -> Reply:
        return await self._at_once(actor, "reject", words)

    async def _changes(self, actor: Actor, words: Sequence[str]) -> Reply:
        return await self._at_once(actor, "request_changes", words)

    async def _at_once(self, actor: Actor, method: str, words: Sequence[str]) -> Reply:
        """Says no to a plan as it stands: nothing happens by that, so nothing has to be shown first."""
        plan = await self._crew.call(actor, "plan", _first(words, "a plan"))
        return await self._decided(actor, method, Carried(plan.id, plan.digest or ""), " ".join(words[1:]))

    async def _approved(self, actor: Actor, carried: Carried) -> Reply:
        await self._crew.call(actor, "approve_and_ask", carried.plan, carried.digest)
        self._wake()
        return await self._stands(actor, carried.plan)

    async def _decided(self, actor: Actor, method: str, carried: Carried, comment: str) -> Reply:
        await self._crew.call(actor, method, carried.plan, carried.digest, comment)
        return await self._stands(actor, carried.plan)

    async def _stands(self, actor: Actor, plan: str) -> Reply:
        about = await self._crew.call(actor, "about", plan)
        text = f"{about.title or about.id}: {about.standing}"
        return Reply(blocks.fallback(text), blocks.says(text))

    async def _undo(self, actor: Actor, words: Sequence[str]) -> Reply:
        found = await self._crew.call(actor, "undo", _first(words, "a run"))
        about = await self._crew.call(actor, "about", found.submitted.id)
        text = f"{about.id} is the plan that takes it back. {about.standing}"
        return Reply(blocks.fallback(text), blocks.says(text))

    async def _pause(self, actor: Actor, words: Sequence[str]) -> Reply:
        return _paused(await self._crew.call(actor, "pause", " ".join(words) or None))

    async def _resume(self, actor: Actor, words: Sequence[str]) -> Reply:
        return _paused(await self._crew.call(actor, "resume", " ".join(words) or None))


def _first(words: Sequence[str], what: str) -> str:
    if not words:
        raise UsageError(f"it is not said which: name {what}", hint="/treegate list says what waits")
    return words[0]


def _refused(error: TreegateError) -> Reply:
    hint = f" ({error.hint})" if error.hint else ""
    return Reply(blocks.fallback(f"{error.message}{hint} [{error.code}]"), blocks.says(_said(error)))


def _said(error: TreegateError) -> str:
    return f"{error.message[:1].upper()}{error.message[1:]}.{f' {error.hint}.' if error.hint else ''} ({error.code})"


def _line(item: Any) -> str:
    mark = "\u25cf " if item.mine else ""
    whose = f" Waits for {item.waiting_for}." if item.waiting_for else ""
    return clip(f"{mark}{item.plan.id} {clip(inert(item.plan.title), WIDE // 3)}: {item.summary}", WIDE) + whose


def _paused(found: Sequence[Any]) -> Reply:
    text = ", ".join(visible(one.case) or "the whole workspace" for one in found)
    said = f"Paused: {text}." if text else "Nothing is paused."
    return Reply(blocks.fallback(said), blocks.says(said))
