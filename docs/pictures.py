"""The pictures of the pages, taken of the sample office in a real browser.

`python docs/pictures.py` writes docs/img/review.png and run.png; with a FOLDER, the pages in both themes and two
sizes into it, to be looked at. It wants Chromium at /usr/bin/chromium.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from treegate.gate import Gate
from treegate.model.actors import Role

IMAGES = Path(__file__).parent / "img"
PROGRAM = str(Path(sys.executable).with_name("treegate"))
SIZES = {"desk": (1280, 800), "phone": (390, 844)}


@contextmanager
def served(root: Path, environ: dict[str, str]) -> Iterator[str]:
    """The address of a service on a workspace."""
    command = [PROGRAM, "serve", "--port", "0", "--json", "--workspace", str(root)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["address"]
        finally:
            process.terminate()


def main(folder: Path | None) -> None:
    """Takes them."""
    with tempfile.TemporaryDirectory() as scratch:
        root, environ = Path(scratch) / "office", {**os.environ, "TREEGATE_STATE": f"{scratch}/state"}
        subprocess.run([PROGRAM, "demo", str(root)], env=environ, check=True, capture_output=True)
        with Gate.open(root, environ) as gate:
            token = gate.create_token("Paula Partner", Role.ADMIN)[1]
        with served(root, environ) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            log_in(page, address, token)
            take_all(page, address, folder) if folder else take_two(page, address)
            browser.close()


def log_in(page: Page, address: str, token: str) -> None:
    """Through the form."""
    page.goto(f"{address}/ui/")
    page.fill("#token", token)
    page.click("main button")


def take_two(page: Page, address: str) -> None:
    """The review of what waits first, and the run that it becomes."""
    page.goto(f"{address}/ui/")
    page.locator("main a[href^='/ui/plans/']").first.click()
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / "review.png")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_selector("#receipt", timeout=60_000)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / "run.png")


def take_all(page: Page, address: str, folder: Path) -> None:
    """Every page that the sample office has."""
    folder.mkdir(parents=True, exist_ok=True)
    page.goto(f"{address}/ui/")
    plan = page.locator("main a[href^='/ui/plans/']").first.get_attribute("href")
    page.goto(f"{address}/ui/runs")
    run = page.locator("main a[href^='/ui/runs/']").first.get_attribute("href")
    places = {
        "inbox": "/ui/",
        "review": plan,
        "runs": "/ui/runs",
        "run": run,
        "cases": "/ui/cases",
        "audit": "/ui/audit",
    }
    for name, place in {**places, "health": "/ui/health"}.items():
        page.goto(f"{address}{place}")
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            for size, (width, height) in SIZES.items():
                page.set_viewport_size({"width": width, "height": height})
                page.wait_for_load_state("networkidle")
                take(page, folder / f"{name}-{theme}-{size}.png")


def take(page: Any, path: Path) -> None:
    """One picture, of the whole page."""
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")  # pictures further down are fetched when seen
    page.wait_for_load_state("networkidle")
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=path, full_page=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
