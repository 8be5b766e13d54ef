"""Previews made by hand, of any shape and size, for the tests of the renderers."""

from __future__ import annotations

from typing import Any

import msgspec

from treegate.model.effects import Effect, Text, tagged
from treegate.model.preview import Approvals, Counts, Oddity, Pattern, Preview, Section, Weakness
from treegate.model.problems import Problem, problem

CASE = "Smith-v-Jones"
ODD = {
    "extension-lost": "'a.pdf' becomes 'a' without .pdf",
    "date-lost": "the date 2024-03-01 of 'x' is not in 'y'",
    "folder-nearly-named": "the new folder 'Correspondance' is named nearly like 'Correspondence'",
    "link-will-dangle": "'latest' points at 'Old', and nothing will be there",
    "pattern-broken": "1,200 others of this folder go elsewhere together",
    "several-hard-links": "'a' has one other name",
    "case-collision": "'A' and 'a' in the same folder differ only in case",
    "unicode-collision": "'é' and 'é' in the same folder differ only in Unicode form",
    "name-discouraged": "Windows advises against ':' in a name",
}


def effect(word: str, path: str, source: str | None = None, **more: Any) -> Effect:
    """An effect on a file of some KB, within the case."""
    given: dict[str, Any] = {"id": "e1", "kind": "file", "files": 1, "size": 14_000, "operations": (1,), **more}
    origin: Text | None = None if source is None else tagged(f"{CASE}/{source}")
    return Effect(effect=word, path=tagged(f"{CASE}/{path}"), source=origin, **given)  # type: ignore[arg-type]


def section(kind: str, count: int, name: str = "item") -> Section:
    """A grave class of so many, of which it carries the first fifty."""
    word = {"deletions": "deleted", "replacements": "replaced", "crossings": "moved"}[kind]
    source = (lambda n: f"Scans/{name} {n}.pdf") if kind == "crossings" else (lambda n: None)
    shown = [effect(word, f"{kind}/{name} {n}.pdf", source(n)) for n in range(min(count, 50))]
    return Section(kind=kind, count=count, effects=shown)


def odd(code: str, count: int, name: str = "item") -> list[Oddity]:
    """Oddities of one code."""
    return [
        Oddity(code=code, note=ODD[code], effect=effect("moved", f"{code}/{name} {n}", f"Scans/{name} {n}.pdf"))
        for n in range(count)
    ]


def pattern(count: int, folder: str = "Scans", to: str = "Correspondence", kind: str = "moved") -> Pattern:
    """So many PDFs of one folder that go to another, under new names."""
    examples = [
        effect(kind, f"{to}/2024-03-{n:02} scan{n:03}.pdf", f"{folder}/scan{n:03}.pdf") for n in range(min(count, 3))
    ]
    return Pattern(
        id="p1", effect=kind, source=f"{CASE}/{folder}/*.pdf", to=f"{CASE}/{to}/", count=count, files=count,
        size=count * 14_000, first=0, examples=examples,
    )  # type: ignore[arg-type]  # fmt: skip


def errors(count: int) -> list[Problem]:
    """Errors with hint and suggestion."""
    return [
        problem(
            "destination-exists", f"there is a file at 'Pleadings/{n}.pdf' already, and it is different", n + 1,
            f"/operations/{n}/to", path=f"{CASE}/Pleadings/{n}.pdf",
            suggestion={"op": "move", "from": "a", "to": "b"},
        )
        for n in range(count)
    ]  # fmt: skip


def preview(**given: Any) -> Preview:
    """A preview in which everything not given is ordinary."""
    oddities: list[Oddity] = given.get("oddities", [])
    problems: list[Problem] = given.get("problems", [])
    patterns: list[Pattern] = given.get("patterns", [])
    failed = sum(found.severity == "error" for found in problems)
    usual: dict[str, Any] = {
        "workspace": "ws_1", "plan": "pl_7f3k2m", "revision": 2, "plan_digest": "ab" * 32,
        "title": "Sort the discovery scans",
        "reason": "The partner asked for the scans by date, before the settlement conference",
        "requested_by": "Beatrice Aldous, in the intake thread", "thread_url": "https://chat.example/intake/417",
        "author": "intake-agent", "cases": [CASE], "on_stale": "fail",
        "summary": f"In {CASE}: 1,200 moves; 3 folders made; 1 deleted; 1 replaced.", "operations": 12,
        "counts": Counts(effects=1205, moved=1200, made=3, deleted=1, replaced=1), "sections": [],
        "oddities": oddities,
        "oddity_count": len(oddities), "patterns": patterns, "pattern_count": len(patterns), "implied": [],
        "implied_count": 0,
        "problems": problems, "errors": failed, "warnings": len(problems) - failed,
        "approvals": Approvals(required=1, own=False, expires="72h", why=["policy.approval.required = 1"]),
        "weak": [],
        "effects_digest": "cd" * 32, "policy_digest": "ef" * 32, "waiting_for": "a reviewer",
        "digest": "3f2a9c1b0d4e" + "0" * 52,
    }  # fmt: skip
    return Preview(**{**usual, **given})


def usual() -> Preview:
    """An ordinary preview with a little of everything."""
    return preview(
        sections=[
            Section(
                kind="deletions", count=2,
                effects=[
                    effect("deleted", "tmp", kind="dir", files=14, size=3_200_000, operations=(9,)),
                    effect("deleted", "Notes/Überholt – 概要.txt", size=812, operations=(10,)),
                ],
            ),
            Section(
                kind="replacements", count=1, effects=[effect("replaced", "status.json", size=3, operations=(8,))]
            ),
            section("crossings", 1),
        ],
        oddities=[
            Oddity(
                code="extension-lost", note=ODD["extension-lost"],
                effect=effect("moved", "Pleadings/2024-03-28 Answer", "Scans/scan003.pdf", operations=(3,)),
            ),
            Oddity(
                code="folder-nearly-named", note=ODD["folder-nearly-named"],
                effect=effect("made", "Correspondance", kind="dir", files=0, size=0, operations=(4,)),
            ),
        ],
        patterns=[
            pattern(1, "Notes", "Archive"), pattern(12, "Pleadings", "Binder", "copied"), pattern(1200),
        ],
        implied=[f"{CASE}/Pleadings/2024-{n:02}" for n in range(1, 13)], implied_count=31,
        weak=[Weakness("folder-moves-not-atomic", [CASE], "a folder is moved file by file, not in one act")],
        notes=["The case was counted in full, since a rule asks for totals"],
    )  # fmt: skip


def encoded(preview: Preview) -> Preview:
    """The preview as it comes back from the store."""
    return msgspec.json.decode(msgspec.json.encode(preview), type=Preview)
