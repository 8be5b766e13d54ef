"""A preview of a hundred thousand effects stays small, and what is odd in it stands at the top."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from memory import CASE, Memory, file, link
from test_simulate import plan_of

from treegate.model import acts
from treegate.model.effects import Effect, untagged
from treegate.model.policy import Limits, Policy
from treegate.model.preview import CHUNK, Preview, digest_of
from treegate.model.seal import About, seal

MANY = 100_000
POLICY = Policy(limits=Limits(operations=2 * MANY, files=2 * MANY, deletes=10))

# The ten, by the path that shows each.
ODD = {
    "Case/Scans/old.pdf": "deleted",
    "Case/status.json": "replaced",
    "Rivera/letter.pdf": "crossing",
    "Case/Mail/invoice.pdf": "extension-lost",
    "Case/Mail/hearing.pdf": "date-lost",
    "Case/Correspondance": "folder-nearly-named",
    "Case/Mail/latest": "link-will-dangle",
    "Case/Elsewhere/scan 00777.pdf": "pattern-broken",
    "Case/Mail/Twice.txt": "case-collision",
    "Case/Mail/linked.txt": "several-hard-links",
}


@pytest.fixture(scope="module")
def found() -> tuple[Preview, list[list[bytes]]]:
    """The preview, and all chunks of its effects."""
    memory = Memory([CASE, "Rivera"])
    operations: list[dict[str, Any]] = []
    for n in range(MANY - 10):
        name = f"scan {n:05}.pdf"
        memory.put(f"Scans/{name}", file())
        to = "Elsewhere" if n == 777 else f"Correspondence/{n % 3}"
        operations.append({"op": "move", "from": f"Case/Scans/{name}", "to": f"Case/{to}/{name}"})
    for path, item in {
        "Scans/old.pdf": file(), "status.json": file(), "letter.pdf": file(), "Inbox/invoice.doc": file(),
        "Inbox/2024-03-01 hearing.pdf": file(), "Correspondences/x": file(), "Inbox/latest": link("invoice.doc"),
        "Inbox/Twice.txt": file(), "Mail/twice.txt": file(), "Inbox/linked.txt": file(), "Inbox/z": file(),
    }.items():  # fmt: skip
        memory.put(path, item)
    memory.at("Case/Inbox/linked.txt").nlink = 2
    operations[50_000:50_000] = [
        {"op": "delete", "path": "Case/Scans/old.pdf"},
        {"op": "replace", "path": "Case/status.json", "content": "{}"},
        {"op": "move", "from": "Case/letter.pdf", "to": "Rivera/"},
        {"op": "move", "from": "Case/Inbox/invoice.doc", "to": "Case/Mail/invoice.pdf"},
        {"op": "move", "from": "Case/Inbox/2024-03-01 hearing.pdf", "to": "Case/Mail/hearing.pdf"},
        {"op": "mkdir", "path": "Case/Correspondance"},
        {"op": "move", "from": "Case/Inbox/latest", "to": "Case/Mail/"},
        {"op": "move", "from": "Case/Inbox/Twice.txt", "to": "Case/Mail/"},
        {"op": "move", "from": "Case/Inbox/linked.txt", "to": "Case/Mail/"},
    ]
    chunks: list[list[bytes]] = []
    plan = plan_of(memory, operations, "")
    done = seal(acts.simulate(plan, memory), POLICY, About("ws"), chunks.append)
    assert done.preview.valid, done.preview.problems[:5]
    return done.preview, chunks


def test_the_model_is_small(found: tuple[Preview, list[list[bytes]]]) -> None:
    """Some tens of kilobytes, whatever the plan's size: the full list is kept beside it, in chunks."""
    preview, chunks = found
    assert len(msgspec.json.encode(preview)) < 64 * 1024
    assert preview.counts.effects > MANY
    assert sum(map(len, chunks)) == preview.counts.effects
    assert {len(chunk) for chunk in chunks[:-1]} == {CHUNK}


def test_all_that_is_odd_is_in_the_model_and_first_in_the_list(found: tuple[Preview, list[list[bytes]]]) -> None:
    """Deletions, replacements and moves between cases, then oddities; nothing plain comes before them."""
    preview, chunks = found
    graver = {"deletions": "deleted", "replacements": "replaced", "crossings": "crossing"}
    told = {untagged(effect.path): graver[part.kind] for part in preview.sections for effect in part.effects}
    told |= {untagged(oddity.effect.path): oddity.code for oddity in preview.oddities}
    assert {path: told.get(path) for path in ODD} == ODD
    assert len(told) <= 15
    first = [untagged(msgspec.json.decode(line, type=Effect).path) for line in chunks[0][: len(told)]]
    assert set(first) == set(told)


def test_what_is_alike_is_told_as_patterns(found: tuple[Preview, list[list[bytes]]]) -> None:
    """Rarest first, each with its place in the list and examples."""
    preview, chunks = found
    counts = [pattern.count for pattern in preview.patterns]
    assert counts == sorted(counts)
    assert sum(counts[-3:]) == MANY - 11
    largest = preview.patterns[-1]
    assert (untagged(largest.source or ""), largest.effect) == ("Case/Scans/*.pdf", "moved")
    assert untagged(largest.to).startswith("Case/Correspondence/")
    line = chunks[largest.first // CHUNK][largest.first % CHUNK]
    assert msgspec.json.decode(line, type=Effect) == largest.examples[0]


def test_the_summary_is_one_sentence(found: tuple[Preview, list[list[bytes]]]) -> None:
    """With the number of what happens, and how much goes away."""
    preview, _ = found
    assert "99,99" in preview.summary
    assert "1 deleted" in preview.summary
    assert preview.summary.endswith(".")
    assert "\n" not in preview.summary


def test_effects_are_numbered_as_they_are_displayed(found: tuple[Preview, list[list[bytes]]]) -> None:
    """e1, e2, ... so that a page is found by a number."""
    _, chunks = found
    assert msgspec.json.decode(chunks[0][0])["id"] == "e1"
    assert msgspec.json.decode(chunks[700][42])["id"] == f"e{700 * CHUNK + 43}"


def test_the_digest_covers_what_counts_and_no_prose(found: tuple[Preview, list[list[bytes]]]) -> None:
    """A sentence may be told in other words; an effect, a problem, the policy or the workspace may not change."""
    preview, _ = found
    assert digest_of(preview) == preview.digest
    change = msgspec.structs.replace
    assert digest_of(change(preview, summary="other words", notes=["x"], waiting_for="y")) == preview.digest
    for other in (
        change(preview, effects_digest="0"),
        change(preview, policy_digest="0"),
        change(preview, workspace="another"),
        change(preview, plan_digest="0"),
        change(preview, on_stale="skip"),
        change(preview, undo_of="run_1"),
        change(preview, schema=99),
        change(preview, problems=preview.problems[1:]),
    ):
        assert digest_of(other) != preview.digest


@pytest.mark.parametrize("change", ["content", "replaced in place", "touched", "another target file"])
def test_the_digest_covers_the_facts_of_what_is_touched(change: str) -> None:
    """The same plan on a tree that is not the same is something else to approve."""
    memory = Memory()
    memory.put("Scans/1.pdf", file("one"))
    memory.put("b", file("two"))
    plan = plan_of(
        memory,
        [
            {"op": "copy", "from": "Scans", "to": "Copy"},
            {"op": "move", "from": "b", "to": "c"},
        ],
    )
    before = seal(acts.simulate(plan, memory), POLICY, About("ws")).preview.digest
    assert before == seal(acts.simulate(plan, memory), POLICY, About("ws")).preview.digest
    scans = memory.at("Case/Scans")
    if change == "content":
        scans.children["1.pdf"].content = b"other"
    elif change == "touched":
        scans.children["1.pdf"].ctime += 1
    elif change == "replaced in place":
        memory.at("Case").children["b"] = file("two")
    else:
        scans.children["1.pdf"] = file("one")
    assert before != seal(acts.simulate(plan, memory), POLICY, About("ws")).preview.digest
