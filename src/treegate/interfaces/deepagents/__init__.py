"""Deepagents: a backend whose files are those of a case as they would be, and whose changes become one plan."""
