"""Treegate: the gate between an AI agent and people's real files.

`open` gives the gate of a workspace, `connect` the same behind a service; `check` previews a plan on any folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from treegate.client import Client
    from treegate.gate import Gate
    from treegate.model.preview import Preview

__version__ = "0.1.0"

_LAZY = {
    "Gate": "treegate.gate",
    "Plan": "treegate.model.plan",
    "Preview": "treegate.model.preview",
    "Receipt": "treegate.engine.receipts",
    "TreegateError": "treegate.errors",
    "UsageError": "treegate.errors",
    "PlanError": "treegate.errors",
    "Denied": "treegate.errors",
    "Stale": "treegate.errors",
    "RolledBack": "treegate.errors",
    "NeedsRecovery": "treegate.errors",
    "Busy": "treegate.errors",
    "NotFound": "treegate.errors",
    "NotVerified": "treegate.errors",
    "Rejected": "treegate.errors",
    "Expired": "treegate.errors",
    "Waiting": "treegate.errors",
    "Unreachable": "treegate.errors",
    "Client": "treegate.client",
}

__all__ = ["__version__", "check", "connect", "open", *sorted(_LAZY)]


def open(root: str | Path) -> Gate:
    """The gate of a workspace, as the OS user or whoever TREEGATE_TOKEN names."""
    from treegate.gate import Gate

    return Gate.open(root)


def connect(url: str, token: str) -> Client:
    """The gate of a workspace behind a service, as whoever the token names."""
    from treegate.client import Client

    return Client(url, token)


def check(plan: bytes | str | dict[str, Any], root: str | Path) -> Preview:
    """The preview of a plan on a folder that is taken as the one case; no workspace is needed, nothing is written."""
    from treegate.gate.bare import check as check_bare

    return check_bare(plan, root)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'treegate' has no attribute {name!r}")
