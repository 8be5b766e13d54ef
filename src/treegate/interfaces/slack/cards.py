"""Cards: a plan as a message of Slack, with what whoever reads it may press."""

from __future__ import annotations

from typing import Any

import msgspec

from treegate.gate.plans import Shown
from treegate.model.document import UNREADABLE
from treegate.model.lifecycle import State
from treegate.model.notification import About
from treegate.render import blocks
from treegate.render.blocks import Block

APPROVE, CHANGES, REJECT = "approve", "request-changes", "reject"  # what is pressed


class Carried(msgspec.Struct, frozen=True):
    """What a button brings back: the plan, and the digest of what was shown beside it."""

    plan: str
    digest: str
    channel: str = ""


def card(shown: Shown | None, plan: About, url: str) -> list[Block]:
    """A plan, as it stands; buttons only where it still waits for what was shown."""
    if shown is None:
        return blocks.says(f"{plan.title or plan.id}: {plan.standing}", _link(url, plan.id))
    waits = plan.state == State.PENDING and shown.preview.digest == plan.digest
    actions = _buttons(shown, plan) if waits else []
    if url:
        actions.append(blocks.opens(_link(url, plan.id), "Review" if waits else "Open"))
    page = f" It deletes {shown.preview.counts.deleted_files:,} files, and is approved on its page alone."
    return blocks.card(shown.preview, plan.standing + (page if waits and plan.by_page else ""), actions)


def _buttons(shown: Shown, plan: About) -> list[Block]:
    preview = shown.preview
    value = msgspec.json.encode(Carried(shown.plan.id, preview.digest)).decode()
    away = preview.counts.deleted_files or preview.counts.replaced
    approve = blocks.press(APPROVE, "Approve", value, "primary", preview.summary if away else "")
    return [
        *([] if plan.by_page else [approve]),
        blocks.press(CHANGES, "Ask for changes", value),
        blocks.press(REJECT, "Reject", value, "danger"),
    ]


def question(action: str, carried: Carried) -> dict[str, Any]:
    """The window that asks why, or what to change."""
    title, label = ("Reject", "Why?") if action == REJECT else ("Ask for changes", "What should be changed?")
    return blocks.question(action, title, label, msgspec.json.encode(carried).decode())


def carried(text: str) -> Carried | None:
    """What a button or a window brought back; None where it is none of ours."""
    try:
        return msgspec.json.decode(text, type=Carried)
    except (*UNREADABLE, UnicodeEncodeError):
        return None


def _link(url: str, plan: str) -> str:
    return f"{url}/ui/plans/{plan}" if url else ""
