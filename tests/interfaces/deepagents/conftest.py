"""Offices in temporary folders, and backends over one of their cases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("deepagents", reason="the extra `deepagents` is not installed")

from deepwork import Called, Office

from treegate.interfaces.deepagents.backend import TreegateBackend

FILES = {
    "a.txt": "alpha\nbeta\ngamma\n",
    "Notes/todo.md": "one\ntwo [x]\n",
    "Notes/deep/er.md": "Deep one\n",
    "Scans/1.pdf": "%PDF one",
    "Scans/2.pdf": "%PDF two",
    ".env": "SECRET=one\n",
    ".github/workflows/ci.yml": "on: one\n",
}


@pytest.fixture
def office(fast: Path) -> Iterator[Office]:
    """A workspace of one person, whose case Smith holds some files."""
    made = Office(fast / "office", fast / "state")
    for name, text in FILES.items():
        made.put(f"Smith/{name}", text)
    yield made
    made.close()


@pytest.fixture
def backend(office: Office) -> TreegateBackend:
    return TreegateBackend(office.gate, "Smith")


@pytest.fixture(params=["sync", "async"])
def files(request: pytest.FixtureRequest, backend: TreegateBackend) -> Called:
    """The backend, whose methods are called both ways."""
    return Called(backend, twins=request.param == "async")
