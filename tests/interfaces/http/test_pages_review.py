"""The review page without script: what it holds, what it is asked for besides, and the decisions that it sends."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from test_pages import csrf
from test_plans_over_http import plan, submitted

from treegate.errors import UsageError
from treegate.gate import Gate, runs
from treegate.interfaces.http.app import create_app

Headers = dict[str, str]


@pytest.fixture
def page(service: TestClient, token: Callable[..., str]) -> TestClient:
    """The service, with a reviewer logged in."""
    assert service.post("/ui/login", data={"token": token("rita", "reviewer")}).status_code == 200
    return service


def form(page: TestClient, made: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What the form of the page sends."""
    text = page.get(f"/ui/plans/{made['id']}").text
    return {"csrf": csrf(text), "digest": made["digest"], **more}


def state(page: TestClient, made: dict[str, Any], author: Headers) -> str:
    return str(page.get(f"/plans/{made['id']}", headers=author).json()["state"])


def test_the_page_of_a_small_plan_holds_all_that_helps_to_decide(page: TestClient, author: Headers):
    """The sentence, the request, folders, the sample, who has to say yes: without a script, without a link."""
    document = plan({"op": "move", "match": "scan*.pdf", "to": "Scans/"}, reason="They lie about", requested_by="Ann")
    text = page.get(f"/ui/plans/{submitted(page, author, document)['id']}").text
    for words in ("for <strong>Ann</strong>", "Can be undone until", "They lie about", "afterwards", "1 needed"):
        assert words in text
    assert len(re.findall(r'class="excerpt"', text)) == 5
    assert 'name="sample" value="6"' in text


def test_a_tree_that_moved_on_is_not_approved_and_the_page_says_what_is_different(
    page: TestClient, author: Headers, office: Path
):
    """An edit after the page was shown: 409, the file by name, a button that previews it anew; undecided."""
    made = submitted(page, author)
    sent = form(page, made)
    (office / "projects/Smith/scan1.pdf").write_text("it was edited since")
    answer = page.post(f"/ui/plans/{made['id']}/approve", data=sent)
    assert answer.status_code == 409
    assert "Smith/scan1.pdf" in answer.text
    assert "nothing was approved" in answer.text
    assert state(page, made, author) == "pending"
    assert "has moved on" in page.get(f"/ui/plans/{made['id']}").text


def test_another_plan_of_the_same_entries_is_pointed_out_on_both(page: TestClient, author: Headers):
    """By its title, with a link."""
    first = submitted(page, author, plan({"op": "move", "from": "scan1.pdf", "to": "A/"}, title="First"))
    second = submitted(page, author, plan({"op": "move", "from": "scan1.pdf", "to": "B/"}, title="Second"))
    for one, other in ((first, second), (second, first)):
        assert f'<a href="/ui/plans/{other["id"]}">' in page.get(f"/ui/plans/{one['id']}").text


def test_what_is_ticked_is_what_a_request_for_changes_is_about(page: TestClient, author: Headers):
    """The author reads which operation it came from; so does whoever looks at the page."""
    made = submitted(page, author)
    sent = form(page, made, leave=["e2"], comment="not this one")
    assert page.post(f"/ui/plans/{made['id']}/request-changes", data=sent, follow_redirects=False).status_code == 303
    text = page.get(f"/ui/plans/{made['id']}").text
    assert "not this one" in text
    assert "<code>e2</code>" in text


def test_many_deletions_are_approved_only_with_their_number(
    page: TestClient, author: Headers, office: Path, environ: dict[str, str]
):
    """Above policy's number a field asks for it; a wrong one decides nothing; thousands may be parted."""
    folder = office / "projects/Smith/old"
    folder.mkdir()
    for number in range(25):
        (folder / f"{number}.txt").write_text("x")
    for number in range(200):
        (office / f"projects/Smith/keep{number}.txt").write_text("x")
    made = submitted(page, author, plan({"op": "delete", "path": "old", "recursive": True}))
    assert 'name="typed"' in page.get(f"/ui/plans/{made['id']}").text
    for typed in ("", "24", "x25"):
        answer = page.post(f"/ui/plans/{made['id']}/approve", data=form(page, made, typed=typed))
        assert answer.status_code == 422
        assert state(page, made, author) == "pending"
    sent = form(page, made, typed=" 25 ")
    assert page.post(f"/ui/plans/{made['id']}/approve", data=sent, follow_redirects=False).status_code == 303


def test_the_sample_that_was_seen_is_told_with_the_approval(page: TestClient, author: Headers):
    """On the page, and in the log."""
    made = submitted(page, author)
    page.post(f"/ui/plans/{made['id']}/approve", data=form(page, made, sample="6"))
    assert "having seen 6 by chance" in page.get(f"/ui/plans/{made['id']}").text


def test_of_a_text_the_sample_shows_the_first_lines(page: TestClient, author: Headers, office: Path):
    """As text that does nothing; what is no text has a picture, or none."""
    (office / "projects/Smith/note.txt").write_text("Dear Ms Jones,\n<script>alert(1)</script>\n\x1b[2J")
    (office / "projects/Smith/blob.bin").write_bytes(b"\0\1\2")
    document = plan({"op": "move", "from": "note.txt", "to": "N/"}, {"op": "move", "from": "blob.bin", "to": "N/"})
    text = page.get(f"/ui/plans/{submitted(page, author, document)['id']}").text
    excerpts = re.findall(r'<span class="excerpt">(.*?)</span>', text, re.DOTALL)
    assert excerpts == ["Dear Ms Jones,\n&lt;script&gt;alert(1)&lt;/script&gt;\n\\x1b[2J\n"]


def test_rows_are_sought_by_words_and_kind(page: TestClient, author: Headers):
    """A page for whoever has no script, the rows alone for one that asks."""
    made = submitted(page, author)
    for headers, whole in (({}, True), ({"HX-Request": "true"}, False)):
        text = page.get(f"/ui/plans/{made['id']}/rows?q=scan3&kind=moved", headers=headers).text
        assert "1 row" in text
        assert "scan3.pdf" in text
        assert "scan2.pdf" not in text
        assert ("<html" in text) is whole


def test_a_part_alone_is_asked_for_by_script(page: TestClient, author: Headers):
    """Each part has an address; one that there is not is told."""
    made = submitted(page, author, plan({"op": "delete", "path": "scan1.pdf"}))
    bare = page.get(f"/ui/plans/{made['id']}/parts/copies", headers={"HX-Request": "true"}).text
    assert "no copy stays" in bare
    assert "<html" not in bare
    assert "<html" in page.get(f"/ui/plans/{made['id']}/parts/copies").text
    assert page.get(f"/ui/plans/{made['id']}/parts/nothing").status_code == 404


def test_it_is_told_where_something_goes(page: TestClient, author: Headers):
    """By a form that needs no script."""
    made = submitted(page, author)
    text = page.get(f"/ui/plans/{made['id']}/where", params={"path": "Smith/scan2.pdf"}).text
    assert "Smith/Scans/scan2.pdf" in re.sub(r"<[^>]*>", "", text)


def test_a_draft_is_previewed_from_its_page(page: TestClient, author: Headers):
    """It has nothing to show yet, and says so."""
    made = page.post("/plans?draft=1", content=plan({"op": "mkdir", "path": "New"}), headers=author).json()
    text = page.get(f"/ui/plans/{made['id']}").text
    assert "Nobody has looked yet" in text
    page.post(f"/ui/plans/{made['id']}/refresh", data={"csrf": csrf(text)})
    assert state(page, made, author) == "pending"


def test_an_author_withdraws_their_own_plan_from_its_page(
    service: TestClient, author: Headers, token: Callable[..., str]
):
    """Offered to whoever may do it, as long as it can be done; refused to others whatever they send."""
    made = submitted(service, author)
    others = submitted(service, {"Authorization": f"Bearer {token('bob', 'author')}"})
    assert service.post("/ui/login", data={"token": author["Authorization"].split()[1]}).status_code == 200
    where = f"/ui/plans/{made['id']}"
    text = service.get(where).text
    assert "Withdraw this plan" in text
    assert "Withdraw this plan" not in service.get(f"/ui/plans/{others['id']}").text
    assert service.post(f"/ui/plans/{others['id']}/withdraw", data={"csrf": csrf(text)}).status_code == 403
    assert service.post(f"{where}/withdraw", data={"csrf": csrf(text)}, follow_redirects=False).status_code == 303
    assert (state(service, made, author), state(service, others, author)) == ("withdrawn", "pending")
    assert "Withdraw this plan" not in service.get(where).text


def test_what_changed_since_one_looked_stays_until_it_is_read(page: TestClient, author: Headers):
    """A revision after the first look; the button makes it go away."""
    made = submitted(page, author)
    page.get(f"/ui/plans/{made['id']}")
    page.put(f"/plans/{made['id']}", content=plan({"op": "mkdir", "path": "New"}), headers=author)
    text = page.get(f"/ui/plans/{made['id']}").text
    assert "I have read this" in text
    now = page.get(f"/plans/{made['id']}", headers=author).json()
    page.post(f"/ui/plans/{made['id']}/seen", data={"csrf": csrf(text), "digest": now["digest"]})
    assert "Nothing is different" in page.get(f"/ui/plans/{made['id']}").text


def test_leaving_nothing_out_is_no_revision(page: TestClient, author: Headers):
    """Nothing was ticked: 422, in words."""
    made = submitted(page, author)
    answer = page.post(f"/ui/plans/{made['id']}/leave-out", data=form(page, made))
    assert answer.status_code == 422
    assert "nothing is ticked" in answer.text


@pytest.mark.parametrize("typed", ["/", "/ui"])
def test_whoever_comes_to_the_front_is_led_to_the_pages(page: TestClient, typed: str):
    """The address alone, typed into a browser."""
    assert page.get(typed, follow_redirects=False).headers["location"] == "/ui/"


def test_what_is_ticked_to_be_left_out_is_not_approved(page: TestClient, author: Headers, office: Path):
    """The button that approves is pressed instead of the other one: nothing is decided, and it is said why."""
    made = submitted(page, author)
    answer = page.post(f"/ui/plans/{made['id']}/approve", data=form(page, made, leave=["e1", "e2"]))
    assert (answer.status_code, "something is ticked (2)" in answer.text) == (422, True)
    assert state(page, made, author) == "pending"


def test_a_plan_that_is_over_promises_nothing(page: TestClient, author: Headers):
    """Until when it can be undone, and what happens on a change, is told of what may still be carried out."""
    made = submitted(page, author)
    promises = ("Can be undone until", "before the run, nothing is done")
    text = page.get(f"/ui/plans/{made['id']}").text
    assert [one in text for one in promises] == [True, True]
    page.post(f"/ui/plans/{made['id']}/reject", data=form(page, made, comment="no"))
    text = page.get(f"/ui/plans/{made['id']}").text
    assert [one in text for one in promises] == [False, False]


def test_a_plan_with_faults_shows_them_and_no_empty_tables(page: TestClient, author: Headers):
    """Which operation it is, and what to change."""
    made = submitted(
        page, author, plan({"op": "mkdir", "path": "New"}, {"op": "move", "from": "x.pdf", "to": "y.pdf"})
    )
    text = page.get(f"/ui/plans/{made['id']}").text
    assert ("operation 2" in text, "x.pdf" in text) == (True, True)


def test_an_author_is_not_led_where_they_may_not_look(service: TestClient, token: Callable[..., str]):
    """No Health in the head of their pages, nor among the keys."""
    service.post("/ui/login", data={"token": token("arthur", "author")})
    text = service.get("/ui/").text
    assert ("/ui/audit" in text, "/ui/health" in text) == (True, False)
    assert service.get("/ui/health").status_code == 403


def test_an_attempt_that_came_to_nothing_is_told_on_the_plans_page(
    office: Path, environ: dict[str, str], token: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    """The approval stands, and the page says why nothing was done."""
    text = token("rita", "reviewer")
    with Gate.open(office, {**environ, "TREEGATE_TOKEN": token("ann", "author")}) as gate:
        made = gate.submit(plan({"op": "mkdir", "path": "New"}))
    with Gate.open(office, {**environ, "TREEGATE_TOKEN": text}) as gate, monkeypatch.context() as patched:
        gate.approve(made.id, made.digest)

        def away(*_: object) -> None:
            raise UsageError("the mount <i>hangs</i>", hint="look at it")

        patched.setattr(runs, "apply", away)
        with pytest.raises(UsageError):
            gate.carry_out(gate.ask(made.id).run)
    with TestClient(create_app(office, environ), "http://127.0.0.1") as page:
        page.post("/ui/login", data={"token": text})
        found = page.get(f"/ui/plans/{made.id}")
    assert (found.status_code, "the mount &lt;i&gt;hangs" in found.text) == (200, True)
    assert "look at it" in found.text
