"""Treegate for LangChain and LangGraph: `pip install 'treegate[langgraph]'`."""

from __future__ import annotations

from treegate.errors import UsageError

try:
    from treegate.interfaces.agent.guide import prompt
    from treegate.interfaces.langgraph.asking import decide
    from treegate.interfaces.langgraph.middleware import TreegateMiddleware
    from treegate.interfaces.langgraph.tools import TreegateTool, treegate_tools
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] == "treegate":
        raise
    raise UsageError(
        f"{error.name} is not installed", code="extra-missing", hint="pip install 'treegate[langgraph]'"
    ) from error

__all__ = ["TreegateMiddleware", "TreegateTool", "decide", "prompt", "treegate_tools"]
