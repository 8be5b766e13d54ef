"""The pages in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
from browsing import SIZES, in_browser, log_in, serious
from test_plans_over_http import plan

pytestmark = in_browser


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
