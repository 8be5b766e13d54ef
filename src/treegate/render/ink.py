"""Colour for the terminal, by what a thing means; the one place that knows escape sequences (through click)."""

from __future__ import annotations

from typing import Any

import click

_STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True},
    "error": {"fg": "red", "bold": True},
    "deletions": {"fg": "red"},
    "deleted": {"fg": "red"},
    "replacements": {"fg": "yellow"},
    "replaced": {"fg": "yellow"},
    "crossings": {"fg": "magenta"},
    "odd": {"fg": "yellow"},
    "warning": {"fg": "yellow"},
    "good": {"fg": "green", "bold": True},
    "command": {"fg": "cyan"},
    "head": {"dim": True},
    "dim": {"dim": True},
}


class Ink:
    """Styles a piece of text that is laid out already; without `color` it leaves all text as it is."""

    def __init__(self, color: bool) -> None:
        self.color = color

    def __call__(self, text: str, style: str) -> str:
        """The text in a style; one that is not known, or blank text, stays plain."""
        if not self.color or style not in _STYLES or not text.strip():
            return text
        return click.style(text, **_STYLES[style])
