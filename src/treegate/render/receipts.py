"""The receipt of a run for the terminal: what happened, what is kept and until when, how to take it back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from treegate.render import words
from treegate.render.ink import Ink
from treegate.render.text import clip, columns, inert, sentence, wrap

_OUTCOMES = {
    "applied": ("Applied", "good"),
    "rolled-back": ("Rolled back: the tree is as it was before", "error"),
    "needs-recovery": ("Stopped midway: the run needs recovery", "error"),
    "undone": ("Undone", "good"),
}
_COUNTED = ("deleted", "replaced", "moved", "copied", "created", "made", "linked", "restored", "set", "skipped")
_COUNTED_AS = {"set": "with another mode or time", "skipped": "left alone"}
LABEL = 11


def lines(receipt: Mapping[str, Any], width: int, ink: Ink) -> Iterator[str]:
    """The lines of a receipt; tolerant, for each of its keys may be missing."""
    yield _outcome(receipt, width, ink)
    yield from wrap(counted(receipt), width, 2)
    yield from (clip(line, width) for line in filter(None, [_people(receipt)]))
    facts = [(label, text) for label, text in _facts(receipt) if text]
    yield from [""] * bool(facts)
    for label, text in facts:
        for at, line in enumerate(wrap(text, width - LABEL, 4)):
            styled = ink(line, "command") if label in ("Undo", "Next") else line
            yield ink(f"{'' if at else label:{LABEL}}", "dim") + styled


def _outcome(receipt: Mapping[str, Any], width: int, ink: Ink) -> str:
    state = _text(receipt, "state")
    sentence, style = _OUTCOMES.get(state, (state.capitalize().replace("-", " ") or "Ended", "title"))
    right = clip("  ".join(filter(None, (_text(receipt, "plan"), _text(receipt, "run")))), width // 2)
    room = width - columns(right) - 2
    head = clip(sentence, room)
    title = _text(receipt, "title")
    tail = clip(f": {title}", room - columns(head)) if title and room - columns(head) >= 8 else ""
    gap = max(2, min(width, 100) - columns(head + tail) - columns(right))
    return (ink(head, style) + tail + " " * gap + ink(right, "dim")).rstrip()


def counted(receipt: Mapping[str, Any]) -> str:
    """1,200 moved, 2 deleted (4.1 MB) in 0.41 s"""
    counts = receipt.get("counts") or {}
    parts = [
        f"{counts[kind]:,} {_COUNTED_AS.get(kind, kind)}" + _weight(kind, counts)
        for kind in _COUNTED
        if isinstance(counts.get(kind), int) and counts[kind]
    ]
    text = ", ".join(parts) or "Nothing was changed"
    seconds = receipt.get("seconds")
    return text + (f", in {words.span(seconds)}" if isinstance(seconds, int | float) else "")


def _weight(kind: str, counts: Mapping[str, Any]) -> str:
    held = counts.get(f"{kind}_bytes")
    return f" ({words.size(held)})" if isinstance(held, int) and held else ""


def _people(receipt: Mapping[str, Any]) -> str:
    approved = receipt.get("approved_by") or ()
    names = [approved] if isinstance(approved, str) else [_person(one) for one in approved]
    parts = [
        f"approved by {words.listed([inert(name) for name in names])}" if names else "",
        f"carried out by {_text(receipt, 'by')}" if _text(receipt, "by") else "",
        f"ended {_text(receipt, 'ended')}" if _text(receipt, "ended") else "",
    ]
    text = ", ".join(filter(None, parts))
    return text[:1].upper() + text[1:]


def _person(one: Any) -> str:
    return str(one.get("name", "")) if isinstance(one, Mapping) else str(one)


def _facts(receipt: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Kept", _kept(receipt)
    for note in receipt.get("notes") or ():
        yield "Note", sentence(str(note))
    yield "Verified", _verified(receipt)
    effects = receipt.get("effects")
    yield "Effects", inert(effects) if isinstance(effects, str) else ""
    state, run = _text(receipt, "state"), _text(receipt, "run")
    if state == "needs-recovery":
        yield "Next", "treegate recover"
    elif run and state in ("", "applied") and receipt.get("touched") != 0 and not _let_go(receipt):
        undo = receipt.get("undo")
        yield "Undo", inert(undo) if isinstance(undo, str) and undo else f"treegate undo {run}"


def _kept(receipt: Mapping[str, Any]) -> str:
    """Where what was deleted or replaced is, and until when."""
    vault = receipt.get("vault") or {}
    entries = vault.get("entries")
    if not isinstance(entries, int) or not entries:
        return ""
    if gone := _let_go(receipt):
        left = f"{vault['left']:,} of " if vault["left"] else "nothing any more of "
        verb = "was" if gone == 1 else "were"
        return f"{left}{words.plural(entries, 'entry', 'entries')}: {gone:,} {verb} let go or put back"
    held = f", {words.size(vault['bytes'])}," if isinstance(vault.get("bytes"), int) else ""
    until = _text(vault, "until")
    span = _left(until, _text(receipt, "ended")) if until else ""
    ends = f" until {until[:10] if _moment(until) else until}{span}" if until else ""
    return f"{words.plural(entries, 'entry', 'entries')}{held} in the vault{ends}"


def _let_go(receipt: Mapping[str, Any]) -> int:
    """How many entries that the run put into the vault are not there any more."""
    vault = receipt.get("vault") or {}
    entries, left = vault.get("entries"), vault.get("left")
    return max(0, entries - left) if isinstance(entries, int) and isinstance(left, int) else 0


def _left(until: str, ended: str) -> str:
    last, first = _moment(until), _moment(ended)
    if last is None or first is None or (last.tzinfo is None) != (first.tzinfo is None) or last <= first:
        return ""
    return f" ({words.span((last - first).total_seconds())})"


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _verified(receipt: Mapping[str, Any]) -> str:
    found = receipt.get("verified")
    if found is None:
        return ""
    if isinstance(found, str):
        return inert(found)
    good = "every content from before is in the tree or in the vault"
    return good if found else "NO: some content from before is neither in the tree nor in the vault"


def _text(receipt: Mapping[str, Any], key: str) -> str:
    value = receipt.get(key)
    return inert(str(value)) if value not in (None, "") else ""
