"""An office for agents, in a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("langgraph", reason="the extra `langgraph` is not installed")

from tests.interfaces.agent.toolwork import Bureau


@pytest.fixture
def bureau(fast: Path) -> Iterator[Bureau]:
    made = Bureau(fast)
    yield made
    made.close()
