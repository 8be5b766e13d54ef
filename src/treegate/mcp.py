"""Treegate's tools as a server of the Model Context Protocol; needs the extra `mcp`.

`server` gives one over a gate or a client, for a program that serves it by itself; `treegate mcp` serves it as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from treegate.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from treegate.client import Client
    from treegate.gate import Gate

__all__ = ["server"]


def server(door: Gate | Client, *, plans: Path | str | None = None) -> Any:
    """A server of the official SDK (`mcp.server.lowlevel.Server`), for one agent, who may only propose.

    Plans may be read as files from the folder `plans`; None: from none. Raises UsageError "extra-missing" without the
    SDK, and Denied "agent-not-author" for a client whose token can do more than propose.
    """
    try:
        from treegate.interfaces.mcp.seat import Seat
        from treegate.interfaces.mcp.server import create
    except ModuleNotFoundError as error:
        raise missing("mcp") from error
    seat = Seat(door, plans=plans)
    return create(lambda _: seat)


def missing(extras: str) -> UsageError:
    """What is said where the SDK, or what serves it over HTTP, is not installed."""
    text, hint = f"this needs the extra `{extras}`", f"pip install 'treegate[{extras}]'"
    return UsageError(text, code="extra-missing", hint=hint)
