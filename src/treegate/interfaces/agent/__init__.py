"""Tools for agents: look, propose, check, mend, wait, carry out what a person approved; nothing here approves."""

from __future__ import annotations

from treegate.interfaces.agent.tool import Answer, Tool
from treegate.interfaces.agent.toolset import Toolset

__all__ = ["Answer", "Tool", "Toolset"]
