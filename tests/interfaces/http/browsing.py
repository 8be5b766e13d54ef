"""What tests in a real browser share: where it is, logging in, what keeps somebody out of a page."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

CHROMIUM = Path("/usr/bin/chromium")
SETTLED = """Promise.all(document.getAnimations().filter(one => one instanceof CSSTransition)
    .map(one => one.finished.catch(() => null)))"""
SIZES = {"desk": (1280, 800), "phone": (390, 844)}

in_browser = pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed (apt-get install chromium)")


def log_in(page: Page, address: str, token: str) -> None:
    page.goto(f"{address}/ui/")
    page.fill("#token", token)
    page.click("main button")
    page.wait_for_selector("header .who")


def log_out(page: Page) -> None:
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/ui/login")


def serious(page: Page) -> list[str]:
    """What axe finds that keeps somebody out, and whether the page scrolls sideways.

    Colours that are on their way to others, after a change of theme, are waited for.
    """
    page.evaluate(SETTLED)
    found = Axe().run(page).response["violations"]
    wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    told = [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in {"serious", "critical"}]
    return told + (["it scrolls sideways"] if wide else [])
