"""What the terminal shows: everything grave in 20 lines, everything in 60, columns that line up."""

from __future__ import annotations

import itertools
import json
import random
import re

import msgspec
import pytest
import render_samples as samples
from wcwidth import wcswidth

from treegate.model.approvals import Approvals
from treegate.model.preview import Counts, Oddity, Preview, Section, Weakness
from treegate.model.problems import problem
from treegate.render import tables, terminal, words
from treegate.render.grave import allot
from treegate.render.operations import operation_rows

WIDTHS = (80, 160)
SECTIONS = ("deletions", "replacements", "crossings")


def lines_of(preview: Preview, width: int = 80, **more: object) -> list[str]:
    return terminal.preview(preview, width=width, color=False, **more).splitlines()  # type: ignore[arg-type]


def fits(lines: list[str], width: int) -> bool:
    return len(lines) <= 60 and all(0 <= wcswidth(line) <= width for line in lines)


def crowded(sections: dict[str, int], odd: dict[str, int], patterns: int = 200) -> Preview:
    """A preview of 100,000 effects with so many of each class and everything else as long as it gets."""
    oddities = [item for code, count in odd.items() for item in samples.odd(code, count)]
    return samples.preview(
        sections=[samples.section(kind, count) for kind, count in sections.items() if count],
        oddities=oddities[:200],
        oddity_count=len(oddities),
        patterns=[samples.pattern(n + 1, f"Folder {n}") for n in range(min(patterns, 200))],
        pattern_count=patterns,
        summary="In 3 cases: " + "; ".join(f"{n:,} of something that happens" for n in range(9)) + ".",
        implied=[f"{samples.CASE}/Folder {n}" for n in range(50)],
        implied_count=900,
        weak=[
            Weakness(f"w{n}", [samples.CASE], "a promise that takes a good many words to say " * 3) for n in range(9)
        ],
        notes=["a note that takes a good many words to write down " * 3] * 9,
        counts=Counts(effects=100_000, moved=99_000, deleted=sections.get("deletions", 0), set=40),
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("count", [0, 1, 10, 1000])
@pytest.mark.parametrize("odd", [0, 1, 10, 1000])
def test_any_preview_fits_sixty_lines_that_never_wrap(width: int, count: int, odd: int) -> None:
    preview = crowded(dict.fromkeys(SECTIONS, count), dict.fromkeys(samples.ODD, odd), patterns=max(1, odd))
    assert fits(lines_of(preview, width), width)


def test_no_line_of_the_sixty_is_left_unused_where_there_is_more_to_show() -> None:
    assert len(lines_of(crowded(dict.fromkeys(SECTIONS, 1000), {"date-lost": 1000}))) == 60


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("seed", range(40))
def test_ten_planted_oddities_of_any_classes_are_in_the_first_twenty_lines(width: int, seed: int) -> None:
    """Whatever the classes, and beside a class of thousands of another kind."""
    rng = random.Random(seed)
    classes = [rng.choice([*SECTIONS, *samples.ODD]) for _ in range(10)]
    flood = rng.choice([kind for kind in SECTIONS if kind not in classes] or [""])
    sections, oddities, names = [], [], []
    for kind in SECTIONS:
        planted = [f"planted{n}x" for n, of in enumerate(classes) if of == kind]
        names += planted
        effects = [effect for one in planted for effect in samples.section(kind, 1, one).effects]
        if planted:
            sections.append(Section(kind=kind, count=len(effects), effects=effects))
        elif kind == flood:
            sections.append(samples.section(kind, 1000))
    for n, code in enumerate(classes):
        if code in samples.ODD:
            names.append(f"planted{n}x")
            oddities += samples.odd(code, 1, f"planted{n}x")
    oddities.sort(key=lambda odd: odd.code)
    preview = samples.preview(sections=sections, oddities=oddities, patterns=[samples.pattern(99_000)])
    first = "\n".join(lines_of(preview, width)[:20])
    assert [name for name in names if name not in first] == []


@pytest.mark.parametrize("code", samples.ODD)
def test_ten_oddities_of_one_kind_are_all_shown_beside_floods_of_two_others(code: str) -> None:
    preview = samples.preview(
        sections=[samples.section("deletions", 1000), samples.section("replacements", 1000)],
        oddities=samples.odd(code, 10, "planted"),
        problems=[],
    )
    first = "\n".join(lines_of(preview)[:20])
    assert all(f"planted {n}" in first for n in range(10))
    assert "+ 998 more" in first or "+ 999 more" in first


def test_a_flood_in_one_class_is_cut_to_a_few_and_its_count() -> None:
    preview = samples.preview(sections=[samples.section("deletions", 500)], oddities=samples.odd("date-lost", 10))
    first = lines_of(preview)[:20]
    assert sum("deletions/item" in line for line in first) == 3
    assert any("+ 497 more" in line for line in first)


def test_the_order_is_errors_deletions_replacements_crossings_oddities_patterns() -> None:
    preview = msgspec.structs.replace(samples.usual(), problems=samples.errors(1), errors=1)
    lines = lines_of(preview, 160)
    heads = [re.match(r"  (\S+(?: \S+)?)  ", line) for line in lines]
    labels = [head[1] for head in heads if head and not head[1].startswith("treegate")]
    assert labels == [
        "error #1", "deleted", "replaced", "leaves case", "extension lost", "nearly named", "moved", "copied",
        "moved",
    ]  # fmt: skip


def test_an_error_says_its_operation_message_code_hint_and_that_a_suggestion_stands_ready() -> None:
    text = "\n".join(lines_of(samples.preview(problems=samples.errors(2)), 100))
    assert "error #2  there is a file at 'Pleadings/1.pdf' already, and it is different" in text
    assert "destination-exists, suggestion available: choose another name, or say `if_exists`" in text


def test_an_entry_odd_in_two_ways_says_both_on_one_line() -> None:
    first = samples.odd("extension-lost", 1)[0]
    warnings = [
        problem("extension-lost", "it loses .pdf", 1, path=f"{samples.CASE}/extension-lost/item 0"),
        problem("date-lost", "the date is gone too", 1, path=f"{samples.CASE}/extension-lost/item 0"),
    ]
    lines = lines_of(samples.preview(oddities=[first], problems=warnings), 160)
    assert [line for line in lines if "extension lost" in line and "also date lost; 'a.pdf' becomes" in line]
    assert sum("item 0" in line for line in lines) == 1


def test_a_warning_that_no_effect_stands_for_has_a_line_of_its_own() -> None:
    lines = lines_of(samples.preview(problems=[problem("nothing-to-do", "'a' is where it is already", 7)]))
    assert any(re.search(r"nothing to do  'a' is where it is already +#7$", line) for line in lines)


def test_oddities_that_the_model_does_not_carry_are_counted() -> None:
    preview = samples.preview(oddities=samples.odd("date-lost", 20), oddity_count=300)
    assert any("+ 287 more" in line for line in lines_of(preview)[:20])


def test_the_largest_patterns_stay_in_sight_when_not_all_fit() -> None:
    preview = samples.preview(patterns=[samples.pattern(n + 1, f"Folder {n}") for n in range(150)])
    text = "\n".join(lines_of(preview))
    assert "1 x Folder 0/scan000.pdf -> " in text
    assert "150 x Folder 149/*.pdf -> Correspondence/" in text
    assert re.search(r"\+ \d+ more patterns", text)


def test_a_pattern_reads_as_the_contract_writes_it_with_up_to_three_examples() -> None:
    lines = lines_of(samples.preview(patterns=[samples.pattern(1200)]))
    at = next(n for n, line in enumerate(lines) if "1,200 x Scans/*.pdf -> Correspondence/" in line)
    assert [line.strip() for line in lines[at + 1 : at + 4]] == [
        f"Scans/scan00{n}.pdf -> Correspondence/2024-03-0{n} scan00{n}.pdf" for n in range(3)
    ]


def test_columns_line_up_under_accents_and_wide_characters() -> None:
    names = ["plain.pdf", "Überholt é.pdf", "Ue\u0301berholt.pdf", "概要書.pdf", "한국어.pdf", "🗂.pdf"]
    effects = [samples.effect("deleted", name) for name in names]
    preview = samples.preview(sections=[Section(kind="deletions", count=len(names), effects=effects)])
    rows = [line for line in lines_of(preview) if "14.0 KB" in line]
    assert len({wcswidth(line[: line.index("14.0 KB")]) for line in rows}) == 1
    table = terminal.effects(effects, width=80, color=False).splitlines()[1:]
    assert len({wcswidth(line[: line.index("14.0 KB")]) for line in table}) == 1


def test_paths_are_shown_within_the_only_case_and_in_full_with_several() -> None:
    one = "\n".join(lines_of(samples.preview(sections=[samples.section("deletions", 1)])))
    two = "\n".join(
        lines_of(samples.preview(sections=[samples.section("deletions", 1)], cases=[samples.CASE, "Estate-of-K"]))
    )
    assert "  deletions/item 0.pdf" in one
    assert f"  {samples.CASE}/deletions/item 0.pdf" in two


def test_reasons_of_the_plan_stand_beside_what_they_are_for() -> None:
    from treegate.model.operations import Delete

    preview = samples.preview(sections=[samples.section("deletions", 1)])
    text = "\n".join(lines_of(preview, operations=[Delete(path="x", why="it is there twice")]))
    assert re.search(r"deletions/item 0.pdf +14.0 KB  e1 #1  it is there twice", text)


def test_the_table_of_operations_shows_as_many_rows_as_there_is_room_for() -> None:
    from treegate.model.operations import Mkdir

    few = lines_of(samples.preview(), operations=[Mkdir(path=f"d{n}") for n in range(5)])
    many = lines_of(samples.preview(), operations=[Mkdir(path=f"d{n}") for n in range(5000)])
    assert sum(" mkdir " in line for line in few) == 5
    assert len(many) <= 60
    assert any(re.search(r"\+ 4,9\d\d more: treegate show pl_7f3k2m --operations", line) for line in many)


def test_an_operation_row_has_its_ends_its_reason_and_its_gravest_problem() -> None:
    from treegate.model.plan import Plan

    operations = [
        {"op": "move", "from": "a", "to": "b/", "why": "so"},
        {"op": "move", "match": "S/*", "to": "T/"},
        {"op": "rename", "path": "R%E9", "name": "R", "raw": True},
        {"op": "create", "path": "I", "content": "é"},
        {"op": "delete", "path": "d"},
        {"op": "symlink", "path": "l", "target": "t"},
        {"op": "set", "path": "s", "mode": "0644"},
        {"op": "restore", "run": "run_1", "entry": 3, "to": "back"},
    ]
    plan = Plan.decode(json.dumps({"version": 1, "case": "C", "operations": operations}))
    found = [problem("date-lost", "m", 1), problem("destination-exists", "m", 1), problem("date-lost", "m", 2)]
    rows = [tuple(row) for row in operation_rows(plan.operations, found)]
    assert rows == [
        (1, "move", "a", "b/", "so", "error: destination-exists"),
        (2, "move", "S/*", "T/", "", "warning: date-lost"),
        (3, "rename", "R\udce9", "R", "", "ok"),
        (4, "create", "2 bytes in the plan", "I", "", "ok"),
        (5, "delete", "d", "", "", "ok"),
        (6, "symlink", "t", "l", "", "ok"),
        (7, "set", "s", "0644", "", "ok"),
        (8, "restore", "vault:run_1/3", "back", "", "ok"),
    ]
    untried = operation_rows(plan.operations, [problem("unknown-case", "m")])
    assert {row.result for row in untried} == {"not tried"}


def test_a_table_is_made_as_it_is_read() -> None:
    """A pager that is left after a page has not made a hundred thousand lines."""
    made = itertools.count()
    endless = (samples.effect("moved", f"to/{next(made)}", "from") for _ in itertools.repeat(0))
    page = list(itertools.islice(tables.effect_lines(endless, width=80, color=False), 50))
    assert len(page) == 50
    assert next(made) < 500


def test_colour_is_there_only_when_asked_for_and_changes_no_text() -> None:
    plain = terminal.preview(samples.usual(), width=80, color=False)
    coloured = terminal.preview(samples.usual(), width=80, color=True)
    assert "\x1b" not in plain
    assert "\x1b[" in coloured
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in stripped.splitlines()] == plain.splitlines()


def test_what_to_type_next_depends_on_where_the_plan_stands() -> None:
    def commands(preview: Preview) -> list[str]:
        return [command for command, _ in words.next_commands(preview, "my plan.json")]

    assert commands(samples.preview())[0] == "treegate approve pl_7f3k2m --digest 3f2a9c1b0d4e"
    assert commands(samples.preview(plan="")) == ["treegate submit 'my plan.json'"]
    assert commands(samples.preview(plan="", problems=samples.errors(1))) == ["treegate check 'my plan.json' --fix"]
    assert commands(samples.preview(problems=samples.errors(1)))[0] == "treegate revise pl_7f3k2m PLAN"


def test_problems_are_shown_whole_and_wrapped() -> None:
    found = [problem("source-missing", "there is nothing at 'Pleadings/a' " * 8, 3, suggestion={"op": "delete"})]
    text = terminal.problems(found, width=60, color=False)
    assert all(len(line) <= 60 for line in text.splitlines())
    assert " ".join(text.split()).count("there is nothing at 'Pleadings/a'") == 8
    assert "error in operation 3: source-missing" in text
    assert 'instead: {"op": "delete"}' in text


@pytest.mark.parametrize(
    ("demands", "room", "given"),
    [
        ([500, 10], 14, [4, 10]),
        ([1000, 1000, 10], 14, [2, 2, 10]),
        ([1, 2, 3], 14, [1, 2, 3]),
        ([11, 11, 11], 14, [5, 5, 4]),
        ([10, 10, 10], 14, [5, 5, 4]),
        ([1] * 20, 14, [1] * 14 + [0] * 6),
        ([5], 14, [5]),
    ],
)
def test_no_class_starves_another(demands: list[int], room: int, given: list[int]) -> None:
    assert allot(demands, room) == given


def test_more_classes_than_lines_are_at_least_named() -> None:
    oddities = [
        Oddity(code=f"kind-{n}", note="", effect=samples.effect("moved", f"b{n}", f"a{n}")) for n in range(20)
    ]
    text = "\n".join(lines_of(samples.preview(oddities=oddities), 160)[:20])
    assert re.search(r"also kind \d+ \(1\), kind \d+ \(1\) and \d more", text)


def test_each_rule_of_approval_has_a_line_of_its_own() -> None:
    """Beyond three, the others are counted: a policy of many rules does not push the effects out of sight."""
    why = ["policy.approval.required = 1", *(f"rule {n} asks for 2: deletes is 31, >20" for n in range(1, 6))]
    shown = lines_of(samples.preview(approvals=Approvals(required=2, own=False, expires="72h", why=why)), width=160)
    at = next(number for number, line in enumerate(shown) if line.startswith("Approvals"))
    assert shown[at].endswith("good for 72h; policy.approval.required = 1")
    assert [line.split()[:2] for line in shown[at + 1 : at + 4]] == [["rule", "1"], ["rule", "2"], ["rule", "3"]]
    assert "2 more" in shown[at + 4]
