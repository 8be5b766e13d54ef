"""The pages in a real browser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright
from test_plans_over_http import plan
from test_service_killed import Serving

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed (apt-get install chromium)")

SIZES = {"desk": (1280, 800), "phone": (390, 844)}


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
    """The service as people start it."""
    found = Serving(office, {**environ, "PATH": os.environ["PATH"]})
    yield found.address
    found.process.terminate()
    found.process.wait(60)


def log_in(page: Page, address: str, token: str) -> None:
    page.goto(f"{address}/ui/")
    page.fill("#token", token)
    page.click("main button")


def serious(page: Page) -> list[str]:
    """What axe finds that keeps somebody out, and whether the page scrolls sideways."""
    found = Axe().run(page).response["violations"]
    wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    told = [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in {"serious", "critical"}]
    return told + (["it scrolls sideways"] if wide else [])


def test_a_plan_is_reviewed_approved_and_one_file_undone(
    browser: Any, address: str, office: Path, token: Callable[..., str]
):
    """Handed in by the API, read and approved in the browser, one file taken back; axe finds nothing serious."""
    author = {"Authorization": f"Bearer {token('ann', 'author')}"}
    document = plan({"op": "delete", "path": "scan4.pdf"}, {"op": "move", "match": "scan*.pdf", "to": "Scans/"})
    made = httpx2.post(f"{address}/plans", content=document, headers=author, timeout=60).json()
    page = browser.new_page()
    log_in(page, address, token("rita", "reviewer"))
    for scheme in ("light", "dark"):
        for width, height in SIZES.values():
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": height})
            for where in ("/ui/", f"/ui/plans/{made['id']}", "/ui/runs"):
                page.goto(address + where)
                assert serious(page) == []
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{address}/ui/plans/{made['id']}")
    page.get_by_role("button", name="Approve 1 deletion, 4 moves").click()
    page.wait_for_selector("#receipt")
    assert (office / "projects/Smith/Scans/scan1.pdf").read_text() == "Smith 1"
    assert serious(page) == []
    page.locator("input[name=path][value='Smith/Scans/scan1.pdf']").check()
    page.get_by_role("button", name="Undo what is ticked").click()
    page.wait_for_url("**/ui/plans/**")
    assert "1 move" in page.locator(".summary").inner_text()
