"""Kinds of answers by Accept, states by entity tags."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from test_plans_over_http import SORT, events, plan, submitted

Headers = dict[str, str]
JSON, MARKDOWN, HTML, TEXT = "application/json", "text/markdown", "text/html", "text/plain"
HOSTILE = "<img src=x onerror=alert(1)>\u202egpj.`|.pdf"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", JSON),
        ("", JSON),
        ("application/*", JSON),
        ("text/markdown", MARKDOWN),
        ("TEXT/HTML", HTML),
        ("text/*", MARKDOWN),
        ("text/*;q=0.5, text/plain", TEXT),
        ("text/plain;q=0.2, text/html;q=0.4", HTML),
        ("application/json;q=0, */*", MARKDOWN),
        ("image/png, */*;q=0.1", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
        ("text/markdown; charset=utf-8; q=1", MARKDOWN),
    ],
)
def test_what_is_wanted_most_is_given(service: TestClient, author: Headers, accept: str, kind: str):
    """Quality values, ranges, and, of what is wanted alike, what we offer first."""
    made = submitted(service, author)
    answer = service.get(f"/plans/{made['id']}/preview", headers={**author, "Accept": accept})
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, kind)
    assert answer.headers["vary"] == "Accept"


@pytest.mark.parametrize("accept", ["image/png", "*/*;q=0", "text/html;q=0", "text/html;q=2", "nonsense", "a/b;q=x"])
def test_what_there_is_not_is_refused(service: TestClient, author: Headers, accept: str):
    """406 as a problem document that says what there is."""
    made = submitted(service, author)
    answer = service.get(f"/plans/{made['id']}/preview", headers={**author, "Accept": accept})
    assert (answer.status_code, answer.json()["code"]) == (406, "not-acceptable")
    assert "text/markdown" in answer.json()["hint"]


class Tags(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_of_a_preview_is_inert_and_says_what_markdown_says(
    service: TestClient, office: Path, author: Headers
):
    """The sentence, what goes away, the problems, the patterns; hostile names are text, and nothing is fetched."""
    (office / f"projects/Smith/{HOSTILE.replace('/', '_')}").write_text("x")
    document = plan(
        {"op": "delete", "path": HOSTILE},
        {"op": "move", "match": "scan*.pdf", "to": "Scans/"},
        {"op": "move", "from": "nowhere.pdf", "to": "x.pdf"},
    )
    made = submitted(service, author, document)
    answer = service.get(f"/plans/{made['id']}/preview", headers={**author, "Accept": HTML})
    page = Tags(answer.text)
    lists, tables = {"p", "ul", "li"}, {"table", "thead", "tbody", "tr", "th", "td"}
    assert page.found <= {"html", "head", "meta", "title", "body", "h1", "h2", "code", "strong"} | lists | tables
    assert page.attributes <= {"lang", "charset", "name", "content", "scope"}
    markdown = service.get(f"/plans/{made['id']}/preview", headers={**author, "Accept": MARKDOWN}).text
    preview = service.get(f"/plans/{made['id']}/preview", headers=author).json()
    for words in (preview["summary"], "Scans/", "nowhere.pdf", "Problems (1)", "Folders made on the way (1)"):
        assert words in page.text
        assert words in markdown
    assert "Deleted (1)" in page.text
    assert "<img src=x onerror=alert(1)>" in page.text
    assert "\u202e" not in answer.text


def test_what_has_not_changed_is_not_sent_again(service: TestClient, author: Headers, reviewer: Headers):
    """304 for the tag that one has, with that tag; once a decision is in, the same tag gives the plan anew."""
    made = submitted(service, author)
    for path in ("", "/preview"):
        first = service.get(f"/plans/{made['id']}{path}", headers=author)
        tag = first.headers["etag"]
        for header in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = service.get(f"/plans/{made['id']}{path}", headers={**author, "If-None-Match": header})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        other = service.get(f"/plans/{made['id']}{path}", headers={**author, "If-None-Match": '"other"'})
        assert other.content == first.content
        body = {"digest": made["digest"], "comment": "no"}
        if not path:
            continue
        service.post(f"/plans/{made['id']}/reject", json=body, headers=reviewer)
        after = service.get(f"/plans/{made['id']}", headers={**author, "If-None-Match": tag})
        assert (after.status_code, after.json()["state"]) == (200, "rejected")


def test_each_kind_of_a_preview_has_a_tag_of_its_own(service: TestClient, author: Headers):
    """A strong tag names one content (RFC 9110, 8.8.1)."""
    made = submitted(service, author)
    kinds = (JSON, MARKDOWN, HTML, TEXT)
    headers = [{**author, "Accept": kind} for kind in kinds]
    tags = {service.get(f"/plans/{made['id']}/preview", headers=one).headers["etag"] for one in headers}
    assert len(tags) == len(kinds)


@pytest.mark.parametrize("match", ['"0"', '"2"', '"x"', "nonsense", '"99999999999"', '""'])
def test_a_precondition_that_does_not_hold_fails(service: TestClient, author: Headers, match: str):
    """412, as a problem document, and nothing is stored; `*` and no header at all hold."""
    made = submitted(service, author)
    other = plan({"op": "mkdir", "path": "New"})
    answer = service.put(f"/plans/{made['id']}", content=other, headers={**author, "If-Match": match})
    assert (answer.status_code, answer.json()["code"]) == (412, "revision-not-current")
    assert service.get(f"/plans/{made['id']}", headers=author).json()["revision"] == 1
    answer = service.put(f"/plans/{made['id']}", content=other, headers={**author, "If-Match": "*"})
    assert (answer.status_code, answer.json()["revision"]) == (200, 2)
    tag = answer.headers["etag"]
    assert tag == service.get(f"/plans/{made['id']}", headers=author).headers["etag"]
    answer = service.put(f"/plans/{made['id']}", content=SORT, headers={**author, "If-Match": tag})
    assert (answer.status_code, answer.json()["revision"]) == (200, 3)


def test_a_receipt_never_changes(service: TestClient, author: Headers, reviewer: Headers):
    """Who has it need not be sent it again."""
    made = submitted(service, author)
    service.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    run = service.post(f"/plans/{made['id']}/apply", headers=reviewer).json()["run"]
    assert events(service.get(f"/runs/{run}/events", headers=author).text)[-1][2]["state"] == "applied"
    tag = service.get(f"/runs/{run}/receipt", headers=author).headers["etag"]
    again = service.get(f"/runs/{run}/receipt", headers={**author, "If-None-Match": tag})
    assert again.status_code == 304
