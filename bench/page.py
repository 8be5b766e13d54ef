"""The review page of a large plan in a browser: how long until it can be read and used, and how long a filter takes.

    python bench/page.py [--files 100000] [--rounds 5] [--at DIR]

A page can be used once its buttons are there and what is grave is shown; its parts that cost more follow. Chromium,
the service and its workers share the machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import httpx2
from playwright.sync_api import Page, sync_playwright

import office
from serve import serving
from treegate.gate import Gate
from treegate.model.actors import Role

CHROMIUM = Path("/usr/bin/chromium")
USABLE = """() => {
  const [load] = performance.getEntriesByType('navigation');
  return [load.responseStart, load.domContentLoadedEventEnd, load.transferSize];
}"""


def main() -> None:
    options = parser().parse_args()
    if not CHROMIUM.exists():
        print(f"the review page in a browser: not measured, for there is no {CHROMIUM}")
        return
    with office.scratch(options.at) as root:
        measure(root, options)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="the review page in a browser")
    made.add_argument("--files", type=int, default=100_000)
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--at", default=".", help="a folder on the filesystem to measure")
    return made


def measure(root: Path, options: argparse.Namespace) -> None:
    workspace = root / "ws"
    office.build(workspace / "projects", 1, options.files)
    environ = {"TREEGATE_STATE": str(root / "state")}
    with Gate.init(workspace, environ=environ) as gate:
        author, reviewer = (gate.create_token(role, Role(role))[1] for role in ("author", "reviewer"))
    with serving(workspace, environ) as address, sync_playwright() as playwright:
        headers = {"Authorization": f"Bearer {author}"}
        answer = httpx2.post(f"{address}/plans", content=office.moves(1, options.files), headers=headers, timeout=600)
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{address}/ui/")
        page.fill("#token", reviewer)
        page.click("main button")
        looked(page, f"{address}/ui/plans/{answer.json()['id']}", options.rounds)
        browser.close()


def looked(page: Page, where: str, rounds: int) -> None:
    """Opens the page anew each time; then types into its filter."""
    usable, whole, filters = [], [], []
    told: Any = None
    for number in range(rounds):
        start = time.perf_counter()
        page.goto(where, wait_until="commit")
        page.get_by_role("button", name="Approve").wait_for()
        usable.append(time.perf_counter() - start)
        page.wait_for_load_state("networkidle")
        whole.append(time.perf_counter() - start)
        told = page.evaluate(USABLE)
        start = time.perf_counter()
        page.get_by_label("Words").fill(f"scan0{number}12")
        page.locator("#rows tbody").get_by_text(f"scan0{number}12").first.wait_for()
        filters.append(time.perf_counter() - start)
    first, ready, size = told
    print(f"review page: usable after {statistics.median(usable) * 1e3:.0f} ms (longest {max(usable) * 1e3:.0f}), "
          f"all its parts after {statistics.median(whole) * 1e3:.0f} ms; the last one: first byte {first:.0f} ms, "
          f"built {ready:.0f} ms, {size / 1024:.0f} KiB")  # fmt: skip
    print(f"filter, from the last key to its rows: {statistics.median(filters) * 1e3:.0f} ms, of which 150 are "
          "waited for another key")  # fmt: skip


if __name__ == "__main__":
    main()
