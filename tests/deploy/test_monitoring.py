"""What the pages for operators tell them to look at is there to be looked at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra `service` is not installed")

from fastapi.testclient import TestClient

from treegate.gate import Gate
from treegate.interfaces.http.app import create_app

TOP = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["docs/deploy.md", "docs/service.md"])
def test_every_number_that_is_named_is_told(page: str, tmp_path: Path):
    """An alarm on a number that there is not would never ring."""
    root, environ = tmp_path / "office", {"TREEGATE_STATE": str(tmp_path / "state")}
    (root / "projects/Smith").mkdir(parents=True)
    Gate.init(root, environ=environ).close()
    named = set(re.findall(r"`(treegate_[a-z_]+)", (TOP / page).read_text()))
    with TestClient(create_app(root, environ), "http://127.0.0.1", client=("127.0.0.1", 50000)) as service:
        told = set(re.findall(r"^# HELP (\w+)", service.get("/metrics").text, re.M))
    assert {one for one in named if one not in told and one.removesuffix("_total") not in told} == set()
    assert page != "docs/deploy.md" or named
