"""Slack blocks: a preview as a message, deletions first; what it says in plain text elements alone.

Text from outside stands only where Slack neither looks for markup nor for people to call (docs.slack.dev, Block Kit:
`plain_text`, and `text` elements of rich text). Limits are Slack's: 3,000 characters a text, 50 blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from treegate.model.preview import Preview
from treegate.render import words
from treegate.render.grave import Item, Lot, allot, lots
from treegate.render.lines import effect_line, only_case, pattern_line
from treegate.render.text import clip, inert, sentence

ROWS = 20  # of what must not be missed
PATTERNS = 6
LINE = 120  # characters of a line
PLAIN = 1200  # characters of a text: Slack takes 3,000, and some 13,000 of all blocks as JSON together
FALLBACK = 300  # characters of what is shown in a notification

Block = dict[str, Any]


def card(preview: Preview, standing: str, actions: Sequence[Block] = ()) -> list[Block]:
    """A plan that waits, or waited: what it would do, where it stands, and what there is to press."""
    title = inert(preview.title) or f"Plan {inert(preview.plan)}"
    return [
        {"type": "header", "text": _plain(clip(title, 140))},
        {"type": "section", "text": _plain(clip(inert(preview.summary), PLAIN))},
        {"type": "context", "elements": [_plain(clip(_facts(preview), PLAIN))]},
        *_lists(preview),
        {"type": "context", "elements": [_plain(clip(sentence(standing), PLAIN))]},
        *([{"type": "actions", "elements": list(actions)}] if actions else []),
    ]


def says(text: str, link: str = "", label: str = "Open") -> list[Block]:
    """One sentence, and where to look."""
    made: list[Block] = [{"type": "section", "text": _plain(clip(sentence(text), PLAIN))}]
    return [*made, {"type": "actions", "elements": [opens(link, label)]}] if link else made


def listed(lines: Sequence[str]) -> list[Block]:
    """Lines, as many as there is room for."""
    return [{"type": "section", "text": _plain(clip(line, PLAIN))} for line in lines[:45]]


def press(action: str, label: str, value: str, style: str = "", confirm: str = "") -> Block:
    """A button; `confirm` is what is asked once more."""
    made: Block = {"type": "button", "action_id": action, "text": _plain(label), "value": value}
    if style:
        made["style"] = style
    if confirm:
        made["confirm"] = {
            "title": _plain(f"{label}?"),
            "text": _plain(clip(inert(confirm), 290)),
            "confirm": _plain(label),
            "deny": _plain("Not yet"),
        }
    return made


def opens(link: str, label: str) -> Block:
    """A button that opens a page."""
    return {"type": "button", "action_id": "open", "text": _plain(label), "url": link}


def question(action: str, title: str, label: str, carried: str) -> Block:
    """A window that asks for a few words (a `modal`); `carried` comes back with them."""
    words: Block = {"type": "plain_text_input", "action_id": "comment", "multiline": True, "max_length": 2000}
    return {
        "type": "modal",
        "callback_id": action,
        "private_metadata": carried,
        "title": _plain(title),
        "submit": _plain("Send"),
        "close": _plain("Cancel"),
        "blocks": [{"type": "input", "block_id": "comment", "label": _plain(label), "element": words}],
    }


def fallback(text: str) -> str:
    """What stands for the blocks where they cannot be shown; `&`, `<` and `>` mean something there."""
    short = clip(sentence(text), FALLBACK)
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _facts(preview: Preview) -> str:
    parts = [
        f"{inert(preview.plan)}, revision {preview.revision}, digest {preview.digest[: words.DIGEST]}",
        ", ".join(map(inert, preview.cases)),
        f"written by {inert(preview.author)}" if preview.author else "",
        f"asked for by {inert(preview.requested_by)}" if preview.requested_by else "",
        f"takes back {inert(preview.undo_of)}" if preview.undo_of else "",
        f"why: {inert(preview.reason)}" if preview.reason else "",
        f"approvals: {words.approvals(preview)}" if preview.valid else "",
    ]
    return " \u00b7 ".join(part for part in parts if part)


def _lists(preview: Preview) -> Iterator[Block]:
    found = lots(preview)
    elements: list[Block] = []
    if found:
        for lot, count in zip(found, allot([lot.total for lot in found], ROWS), strict=True):
            elements += _lot(lot, count, only_case(preview))
    elements += _patterns(preview)
    if elements:
        yield {"type": "rich_text", "elements": elements}


def _lot(lot: Lot, count: int, case: str) -> Iterator[Block]:
    yield _bold(f"{lot.label.capitalize()} ({words.number(lot.total)})")
    rows = [_item(item, case) for item in lot.items[:count]]
    more = lot.total - len(rows)
    yield _bullets([*rows, f"\u2026 {words.number(more)} more"] if more else rows)


def _item(item: Item, case: str) -> str:
    if item.effect is not None:
        held = words.holds(item.effect)
        text = effect_line(item.effect, LINE, case) + (f" ({held})" if held else "")
        return clip(f"{text}: {inert(item.note)}" if item.note else text, 2 * LINE)
    assert item.problem is not None
    return clip(sentence(item.problem.message), 2 * LINE)


def _patterns(preview: Preview) -> Iterator[Block]:
    shown = preview.patterns[:PATTERNS]
    if not shown:
        return
    case = only_case(preview)
    rows = [f"{words.number(one.count)} x {one.effect} {pattern_line(one, LINE, case)}" for one in shown]
    more = preview.pattern_count - len(rows)
    yield _bold("Everything else, rarest first" if lots(preview) else "Rarest first")
    yield _bullets([*rows, f"\u2026 {words.plural(more, 'more pattern')}"] if more else rows)


def _bold(text: str) -> Block:
    return {"type": "rich_text_section", "elements": [{"type": "text", "text": text, "style": {"bold": True}}]}


def _bullets(rows: Sequence[str]) -> Block:
    items = [{"type": "rich_text_section", "elements": [{"type": "text", "text": row or " "}]} for row in rows]
    return {"type": "rich_text_list", "style": "bullet", "elements": items}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text or " ", "emoji": False}
