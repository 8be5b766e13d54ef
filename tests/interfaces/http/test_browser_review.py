"""The review page in a real browser: what is seen at once, and a whole story from a faulty plan to an undo."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import scenes
from browsing import in_browser, log_in, log_out, serious
from playwright.sync_api import Page, Route, expect

from treegate.gate import Gate

pytestmark = in_browser

FINDINGS = {
    "the replacement": "Notes/status.md",
    "the move between cases": "Doe-v-Roe/scan00000.pdf",
    "the changed extension": "scan00001.docx",
    "the folder nearly named like another": "is named nearly like",
    "the outlier": "Notes/scan00003.pdf",
}


@pytest.fixture
def office(tmp_path: Path, environ: dict[str, str]) -> Path:
    """Two cases, one of them full of scans."""
    root = tmp_path / "office"
    scenes.case_of_scans(root / "projects")
    Gate.init(root, environ=environ).close()
    return root


@pytest.fixture
def agent(address: str, token: Callable[..., str]) -> httpx2.Client:
    """The agent's side."""
    headers = {"Authorization": f"Bearer {token('filing-agent', 'author')}"}
    return httpx2.Client(base_url=address, headers=headers, timeout=120)


def below(page: Page, text: str) -> float:
    """Where the first thing ends, in pixels from the top of the page, that says something among the findings."""
    found = page.locator(".findings").get_by_text(text).first.bounding_box()
    assert found is not None, f"{text} is not shown"
    return float(found["y"] + found["height"])


def test_five_findings_in_five_thousand_moves_are_seen_at_once(
    browser: Any,
    address: str,
    agent: httpx2.Client,
    token: Callable[..., str],
):
    """At 1280x800 without a click or a scroll, above the buttons; within two screens of a phone."""
    made = agent.post("/plans", content=scenes.five_findings()).json()
    assert made["state"] == "pending"
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    log_in(page, address, token("rita", "reviewer"))
    page.goto(f"{address}/ui/plans/{made['id']}")
    edge = page.locator(".bar").bounding_box()
    assert edge is not None
    assert {what: below(page, text) < edge["y"] for what, text in FINDINGS.items()} == dict.fromkeys(FINDINGS, True)
    expect(page.get_by_role("button", name="Approve 1 replacement, 5,000 moves")).to_be_in_viewport()
    page.set_viewport_size({"width": 390, "height": 844})
    assert {what: below(page, text) < 2 * 844 for what, text in FINDINGS.items()} == dict.fromkeys(FINDINGS, True)


def test_what_is_typed_before_the_page_can_hear_is_sought_all_the_same(
    browser: Any,
    address: str,
    agent: httpx2.Client,
    token: Callable[..., str],
):
    """On a slow line the scripts come after the first key; the rows are those that were asked for."""
    made = agent.post("/plans", content=scenes.five_findings()).json()
    page = browser.new_page()
    log_in(page, address, token("rita", "reviewer"))
    held: list[Route] = []
    page.route("**/htmx.min.js", lambda route: held.append(route))
    page.goto(f"{address}/ui/plans/{made['id']}", wait_until="commit")
    page.get_by_label("Words").fill("scan00042")
    held[0].continue_()
    expect(page.locator("#rows [role=status]")).to_have_text("1 row")


def test_a_story_from_a_faulty_plan_to_an_undo(
    browser: Any,
    address: str,
    agent: httpx2.Client,
    office: Path,
    token: Callable[..., str],
):
    """The agent repairs its plan by the suggestion; the reviewer seeks, reads, leaves out, approves, and undoes."""
    case = office / "projects/Smith-v-Jones"
    operations = [
        {"op": "move", "match": "Scans/*.pdf", "to": "Letters/"},
        {"op": "rename", "path": "Notes/invoice.xlsx", "to": "bill.xlsx"},  # the near miss that a tool may write
        {"op": "replace", "path": "Notes/status.md", "content": "# Status\n\nopen: 0\nclosed: 4\n"},
    ]
    document = {"version": 1, "case": "Smith-v-Jones", "title": "Sort the scans", "operations": operations}
    refused = agent.post("/plans", json=document)
    assert refused.status_code == 422
    fault = refused.json()["problems"][0]
    operations[fault["operation"] - 1] = fault["suggestion"]
    made = agent.post("/plans", json=document).json()
    assert made["state"] == "pending"

    page = browser.new_page(viewport={"width": 1280, "height": 800})
    log_in(page, address, token("rita", "reviewer"))
    page.get_by_role("link", name="Sort the scans").click()
    page.locator("#rows").get_by_text("of 5,003").or_(page.locator("#rows [role=status]")).first.wait_for()
    page.get_by_label("Words").fill("scan00042")
    expect(page.locator("#rows [role=status]")).to_have_text("1 row")
    expect(page.locator("#rows")).to_contain_text("Smith-v-Jones/Letters/scan00042.pdf")
    page.get_by_label("Where does").fill("Smith-v-Jones/Scans/scan00007.pdf")
    page.get_by_role("button", name="Tell").click()
    expect(page.locator("#where")).to_contain_text("Smith-v-Jones/Letters/scan00007.pdf")
    expect(page.locator("#part-differences .add").first).to_have_text("+open: 0")
    expect(page.locator("#part-folders")).to_contain_text("5,000")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert serious(page) == []

    page.locator("li.pattern").filter(has_text="invoice").locator("input[name=leave]").check()
    expect(page.locator(".bar .primary")).to_be_disabled()
    page.get_by_role("button", name="Leave out what is ticked").click()
    page.get_by_role("button", name="Make a revision without them").click()
    expect(page.locator("#part-since")).to_contain_text("No longer")
    page.get_by_role("button", name="Approve 1 replacement, 5,000 moves").click()
    page.wait_for_url("**/ui/runs/**")
    page.wait_for_selector("#receipt", timeout=60_000)
    assert (case / "Letters/scan00042.pdf").exists()
    assert (case / "Notes/invoice.xlsx").exists()

    page.locator("input[name=path][value='Smith-v-Jones/Notes/status.md']").check()
    page.get_by_role("button", name="Undo what is ticked").click()
    page.wait_for_url("**/ui/plans/**")
    expect(page.locator(".bar")).to_contain_text("somebody else has to approve it")
    undo = page.url
    log_out(page)
    log_in(page, address, token("ben", "reviewer"))
    page.goto(undo)
    page.get_by_role("button", name="Approve 1 deletion, 1 restored").click()
    page.wait_for_selector("#receipt", timeout=60_000)
    assert "open: 3" in (case / "Notes/status.md").read_text()
