"""Treegate: the gate between an AI agent and people's real files."""

__version__ = "0.1.0"
