"""Outcomes: what an agent sees of a case beforehand is what is there once its plan is carried out."""

from __future__ import annotations

import hashlib
import os

import pytest
from gatework import OLD, Office

from treegate.errors import Denied, NotFound, PlanError
from treegate.gate import Gate
from treegate.model.actors import Role
from treegate.model.effects import untagged

RICH = (
    {"op": "move", "from": "a.txt", "to": "Sorted/2024/a.txt"},
    {"op": "move", "match": "Scans/*.pdf", "to": "Sorted/"},
    {"op": "rename", "path": "Scans", "name": "Rest"},
    {"op": "copy", "from": "Sorted/2024/a.txt", "to": "Binder/01.txt"},
    {"op": "create", "path": "INDEX.md", "content": "# Index\n"},
    {"op": "replace", "path": "b.txt", "content": "new b"},
    {"op": "delete", "path": "tmp", "recursive": True},
    {"op": "symlink", "path": "latest", "target": "Sorted"},
    {"op": "set", "path": "c.txt", "mode": "0600", "mtime": "2024-03-01T09:00:00.000000001Z"},
    {"op": "move", "from": "x", "to": "swap"},
    {"op": "move", "from": "y", "to": "x"},
    {"op": "move", "from": "swap", "to": "y"},
)


@pytest.fixture
def filled(office: Office) -> Office:
    for name in ("a.txt", "b.txt", "c.txt", "x", "y", "Scans/1.pdf", "Scans/2.pdf", "Scans/note", "tmp/deep/old"):
        office.put(f"Smith/{name}", f"{name} was here\n")
    office.put("Jones/secret.txt", "of somebody else")
    return office


def seen(gate: Gate, plan: str | None) -> dict[str, tuple[str, int, bytes]]:
    """The whole outcome, page by page: kind, size and content."""
    found = {}
    for match in ("**", "**/"):
        cursor: str | None = ""
        while cursor is not None:
            page = gate.find_in_outcome("Smith", match, plan, cursor=cursor, limit=3)
            for one in page.entries:
                path = untagged(one.path)
                data = gate.read_outcome("Smith", path, plan).data if one.kind == "file" else b""
                found[path] = (one.kind, one.size, data)
            cursor = page.next
    return found


def test_what_is_seen_beforehand_is_what_is_there_afterwards(filled: Office):
    plan = filled.document(*RICH)
    before, foreseen = seen(filled.gate, None), seen(filled.gate, plan)
    assert seen(filled.gate, None) == before != foreseen
    looks = {path: filled.gate.outcome_info("Smith", path, plan) for path in foreseen}
    filled.carried_out(*RICH)
    assert seen(filled.gate, None) == foreseen
    for path, info in looks.items():
        now = filled.gate.outcome_info("Smith", path)
        assert (info.sha256, info.target, info.holds) == (now.sha256, now.target, now.holds), path
        assert info.mode in (None, now.mode), path
        if info.entry.kind == "file":
            assert info.entry.mtime in (None, now.entry.mtime), path
            assert info.sha256 == hashlib.sha256(filled.path(f"Smith/{path}").read_bytes()).hexdigest()


def test_it_is_told_where_things_are_now_and_what_is_not_there_yet(filled: Office):
    plan = filled.document(*RICH)
    folder = {untagged(one.path): one for one in filled.gate.list_outcome("Smith", "", plan).entries}
    assert folder["x"].was == "y"
    assert folder["y"].was == "x"
    assert folder["Rest"].was == "Scans"
    assert folder["INDEX.md"].new
    assert folder["INDEX.md"].was is None
    assert folder["INDEX.md"].mtime is None
    assert folder["Sorted"].new
    assert not folder["c.txt"].new
    assert folder["c.txt"].was is None
    below = {untagged(one.path): one for one in filled.gate.list_outcome("Smith", "Rest", plan).entries}
    assert below["Rest/note"].was == "Scans/note"
    assert "Rest/1.pdf" not in below
    assert filled.gate.outcome_info("Smith", "Binder/01.txt", plan).entry.was == "a.txt"


def test_pages_of_a_folder_join_up(filled: Office):
    names, cursor = [], ""
    while True:
        page = filled.gate.list_outcome("Smith", "", cursor=cursor, limit=2)
        names += [untagged(one.path) for one in page.entries]
        if page.next is None:
            break
        cursor = page.next
    assert names == sorted(os.listdir(filled.path("Smith")))


def test_texts_are_sought_as_they_would_be(filled: Office):
    plan = filled.document(*RICH)
    filled.put("Smith/binary.bin", b"\0was here")
    hits = filled.gate.seek_in_outcome("Smith", "was here", plan=plan)
    assert hits.complete
    assert {untagged(hit.path) for hit in hits.hits} == {
        *("Binder/01.txt", "Sorted/2024/a.txt", "Sorted/1.pdf", "Sorted/2.pdf", "Rest/note", "c.txt", "x", "y"),
    }
    assert filled.gate.seek_in_outcome("Smith", "new b", plan=plan).hits[0].line == 1
    cut = filled.gate.seek_in_outcome("Smith", "was here", "*.txt", limit=2)
    assert len(cut.hits) == 2
    assert not cut.complete


def test_faulty_operations_are_left_out_and_counted(filled: Office):
    plan = filled.document(
        {"op": "move", "from": "nowhere", "to": "z"}, {"op": "move", "from": "a.txt", "to": "q.txt"}
    )
    page = filled.gate.list_outcome("Smith", "", plan)
    assert page.faulty == 1
    assert "q.txt" in {untagged(one.path) for one in page.entries}


def test_names_of_any_bytes_are_told_and_found_again(filled: Office):
    filled.put(os.fsdecode(b"Smith/caf\xe9/in\xff"), "odd")
    found = [one.path for one in filled.gate.find_in_outcome("Smith", "**").entries]
    odd = [untagged(path) for path in found if not isinstance(path, str)]
    assert [os.fsencode(path) for path in odd] == [b"caf\xe9/in\xff"]
    assert filled.gate.read_outcome("Smith", odd[0]).data == b"odd"


def test_nothing_outside_of_the_case_is_seen(filled: Office):
    (filled.root / "outside").write_text("outside")
    filled.path("Smith/link").symlink_to(filled.root)
    for path in ("link/outside", "../Jones/secret.txt", "/etc/passwd", ".treegate", "no/such"):
        with pytest.raises((NotFound, PlanError)):
            filled.gate.read_outcome("Smith", path)
    with pytest.raises(NotFound, match="regular file"):
        filled.gate.read_outcome("Smith", "link")
    with pytest.raises(NotFound, match="regular file"):
        filled.gate.read_outcome("Smith", "tmp")
    with pytest.raises(NotFound, match="no case"):
        filled.gate.list_outcome("Smit")
    with pytest.raises(PlanError, match="character"):
        filled.gate.find_in_outcome("Smith", "a//b")


def test_whoever_may_not_see_a_case_sees_nothing_of_it_by_way_of_a_plan(filled: Office):
    agent = filled.person("agent", Role.AUTHOR, cases=["Smith"])
    plan = filled.document({"op": "copy", "from": "Jones/secret.txt", "to": "Smith/mine.txt"}, case=None)
    for ask in (
        lambda: agent.read_outcome("Smith", "mine.txt", plan),
        lambda: agent.list_outcome("Jones"),
        lambda: agent.seek_in_outcome("Jones", "somebody"),
    ):
        with pytest.raises(Denied) as caught:
            ask()
        assert caught.value.code == "case-not-allowed"


def test_a_hash_is_no_right_to_a_content(filled: Office):
    """Whoever is confined to some cases reads of a plan what it carries, and not what others have sent."""
    secret = b"of Jones alone"
    filled.submit({"op": "create", "path": "Jones/x", "content": secret.decode()}, case=None)
    name = hashlib.sha256(secret).hexdigest()
    plan = filled.document({"op": "create", "path": "fresh", "blob": f"sha256:{name}"})
    agent = filled.person("agent", Role.AUTHOR, cases=["Smith"])
    with pytest.raises(NotFound) as caught:
        agent.read_outcome("Smith", "fresh", plan)
    assert caught.value.code == "file-not-readable"
    assert agent.seek_in_outcome("Smith", "Jones alone", plan=plan).hits == []
    assert filled.gate.read_outcome("Smith", "fresh", plan).data == secret


def test_a_copy_looks_like_what_it_is_a_copy_of(filled: Office):
    plan = filled.document({"op": "copy", "from": "c.txt", "to": "d.txt"})
    info = filled.gate.outcome_info("Smith", "d.txt", plan)
    assert (info.entry.mtime, info.mode) == (OLD // 1_000_000, "0640")


def test_of_a_long_line_what_stands_around_the_hit_is_told(filled: Office):
    filled.put("Smith/long.txt", "x" * 5000 + " needle " + "y" * 5000)
    hit = filled.gate.seek_in_outcome("Smith", "needle").hits[0]
    assert "needle" in hit.text
    assert len(hit.text) <= 400
    filled.put("Smith/dos.txt", "z" * 500 + "end\r\n")
    assert filled.gate.seek_in_outcome("Smith", "end\r").hits[0].line == 1
