"""Treegate for deepagents: a backend whose changes become a plan that people decide on.

`TreegateBackend` reads and proposes, `TreegateSandbox` runs commands, too; `draft_tools` are the tools for their
draft, `PROMPT` what to tell an agent of it; `with_scratch` keeps what deepagents puts aside out of the case.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from treegate.errors import UsageError

if TYPE_CHECKING:
    from treegate.interfaces.deepagents.backend import TreegateBackend
    from treegate.interfaces.deepagents.sandbox import TreegateSandbox
    from treegate.interfaces.deepagents.tools import PROMPT, draft_tools, with_scratch

__all__ = ["PROMPT", "TreegateBackend", "TreegateSandbox", "draft_tools", "with_scratch"]

_HOMES = {
    "TreegateBackend": "backend",
    "TreegateSandbox": "sandbox",
    "PROMPT": "tools",
    "draft_tools": "tools",
    "with_scratch": "tools",
}
_EXTRA = ("deepagents", "langchain_core")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'treegate.deepagents' has no attribute {name!r}")
    try:
        return getattr(import_module(f"treegate.interfaces.deepagents.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        hint = "pip install 'treegate[deepagents]'"
        raise UsageError(f"{error.name} is not installed", code="extra-missing", hint=hint) from None
