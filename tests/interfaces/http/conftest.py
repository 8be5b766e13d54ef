"""A small office behind the service, and a client for each role."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra `service` is not installed")

from browsing import CHROMIUM
from fastapi.testclient import TestClient
from nearby import Nearby
from playwright.sync_api import sync_playwright

from treegate.gate import Gate
from treegate.interfaces.http.app import create_app
from treegate.model.actors import Role


@pytest.fixture
def environ(fast: Path) -> dict[str, str]:
    return {"TREEGATE_STATE": str(fast / "state"), "PATH": "/usr/bin:/bin", "TREEGATE_SANDBOX_ENGINE": "bwrap"}


@pytest.fixture
def office(fast: Path, environ: dict[str, str]) -> Path:
    """A workspace of two cases."""
    root = fast / "office"
    for case in ("Smith", "Jones"):
        folder = root / "projects" / case
        folder.mkdir(parents=True)
        for number in range(5):
            (folder / f"scan{number}.pdf").write_text(f"{case} {number}")
    Gate.init(root, environ=environ).close()
    return root


@pytest.fixture
def token(office: Path, environ: dict[str, str]) -> Callable[..., str]:
    """Makes a token: token("ann", "author", ["Smith"])."""

    def make(name: str, role: str, cases: list[str] | None = None) -> str:
        with Gate.open(office, environ) as gate:
            return gate.create_token(name, Role(role), cases)[1]

    return make


@pytest.fixture
def service(office: Path, environ: dict[str, str]) -> Iterator[TestClient]:
    """The service, running; nobody is logged in."""
    with TestClient(create_app(office, environ), "http://127.0.0.1", client=("127.0.0.1", 50000)) as client:
        yield client


@pytest.fixture
def author(token: Callable[..., str]) -> dict[str, str]:
    return bearer(token("ann", "author"))


@pytest.fixture
def reviewer(token: Callable[..., str]) -> dict[str, str]:
    return bearer(token("rita", "reviewer"))


def bearer(text: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture
def browser() -> Iterator[Any]:
    """A headless browser that asks nobody for anything."""
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        yield found
        found.close()


@pytest.fixture
def address(office: Path, environ: dict[str, str]) -> Iterator[str]:
    """A service with an address that a browser can go to."""
    found = Nearby(office, {**environ, "PATH": os.environ["PATH"]})
    yield found.address
    found.close()
