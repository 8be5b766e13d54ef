"""Every page in a real browser: for whoever needs a screen reader, a phone, the dark, or only the keyboard."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from browsing import SIZES, in_browser, log_in, serious
from pagework import NAMES, Token
from test_plans_over_http import plan

pytestmark = in_browser


@pytest.fixture
def submit(address: str, office: Path, token: Token) -> Callable[..., str]:
    """Hands in a plan over the API, and carries it out if that is wanted; its id."""
    author, reviewer = (
        {"Authorization": f"Bearer {token(*who)}"} for who in (("ann", "author"), ("rita", "reviewer"))
    )

    def done(document: str, *, apply: bool = False) -> str:
        made = httpx2.post(f"{address}/plans", content=document, headers=author, timeout=60).json()
        if apply:
            where = f"{address}/plans/{made['id']}"
            httpx2.post(f"{where}/approve", json={"digest": made["digest"]}, headers=reviewer, timeout=60)
            run = httpx2.post(f"{where}/apply", headers=reviewer, timeout=60).json()["run"]
            httpx2.get(f"{address}/runs/{run}/events", headers=author, timeout=60)  # ends with the run
            return str(run)
        return str(made["id"])

    return done


def test_every_page_is_for_everybody(
    browser: Any, address: str, office: Path, token: Token, submit: Callable[..., str]
):
    """Nothing serious for axe, no sideways scroll, no error in the console; light, dark, at a desk, on a phone."""
    for name in NAMES:
        Path(os.fsdecode(bytes(office / "projects/Smith") + b"/" + name)).write_bytes(b"x")
    run = submit(
        plan({"op": "move", "match": "*.txt", "to": "Odd/"}, {"op": "delete", "path": "n" * 250}), apply=True
    )
    submit(plan({"op": "delete", "path": "scan0.pdf"}, {"op": "replace", "path": "scan1.pdf", "content": "new"}))
    page = browser.new_page()
    log_in(page, address, token("olga", "admin"))
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    places = ("", "runs", f"runs/{run}", "cases", "cases/Smith?path=scan0.pdf", "audit", "audit/verify")
    for place in (*places, "health?stories=1"):
        for scheme in ("light", "dark"):
            for width, height in SIZES.values():
                page.emulate_media(color_scheme=scheme)
                page.set_viewport_size({"width": width, "height": height})
                page.goto(f"{address}/ui/{place}")
                assert (place, serious(page)) == (place, [])
    assert said == []


def test_the_keyboard_does_it_all(browser: Any, address: str, token: Token, submit: Callable[..., str]):
    """A list of keys, places by g, items by j and k, Enter opens, x ticks; nothing while somebody types."""
    run = submit(plan({"op": "move", "match": "*.pdf", "to": "Scans/"}), apply=True)
    first, second = (submit(plan({"op": "mkdir", "path": f"New{n}"})) for n in range(2))
    page = browser.new_page()
    log_in(page, address, token("olga", "admin"))
    page.wait_for_selector(f"#{second}")
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    page.keyboard.press("j")
    assert page.locator("[data-item].current").count() == 0
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.locator("[data-item].current").get_attribute("id") == second
    page.keyboard.press("k")
    page.keyboard.press("o")
    page.wait_for_url(f"**/ui/plans/{first}")
    for key, place in (("r", "runs"), ("c", "cases"), ("a", "audit"), ("h", "health"), ("i", "")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(f"{address}/ui/{place}")
        assert page.locator("nav [aria-current=page]").count() == 1
    page.goto(f"{address}/ui/runs/{run}")
    page.keyboard.press("/")
    page.keyboard.type("gh jx")
    assert page.locator("[name=q]").input_value() == "gh jx"
    page.locator("[name=q]").blur()
    page.keyboard.press("j")
    page.keyboard.press("x")
    assert page.locator("[data-item].current input").is_checked()


def test_the_inbox_keeps_itself_up_to_date(browser: Any, address: str, token: Token, submit: Callable[..., str]):
    """A plan that comes in shows up by itself; where the reader is on the page stays as it was."""
    for n in range(12):
        submit(plan({"op": "mkdir", "path": f"New{n}"}))
    page = browser.new_page(viewport={"width": 1280, "height": 500})
    log_in(page, address, token("olga", "admin"))
    page.wait_for_selector("#inbox")
    page.evaluate("scrollTo(0, 200)")
    made = submit(plan({"op": "mkdir", "path": "Last"}))
    page.wait_for_selector(f"#{made}", state="attached", timeout=30_000)
    assert page.evaluate("scrollY") == 200
