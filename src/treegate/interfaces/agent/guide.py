"""The guide: one page for a system prompt, on the loop and on the format of plans."""

from __future__ import annotations

from importlib.resources import files


def prompt() -> str:
    """The page, as Markdown; `treegate prompt` prints it."""
    return files("treegate.interfaces").joinpath("agent", "prompt.md").read_text(encoding="utf-8")
