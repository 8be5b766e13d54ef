"""An office that agents come to over MCP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="the extra `mcp` is not installed")

from agentwork import Office


@pytest.fixture
def office(fast: Path) -> Iterator[Office]:
    """A workspace of two cases."""
    made = Office(fast)
    yield made
    made.close()
