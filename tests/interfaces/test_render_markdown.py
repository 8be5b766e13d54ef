"""The Markdown of a preview: 64 KiB at most, its first twenty lines as telling as the terminal's."""

from __future__ import annotations

import random

import pytest
import render_samples as samples

from treegate.model.operations import Mkdir
from treegate.model.preview import Counts, Section, Weakness
from treegate.render import markdown

LIMIT = 64 * 1024
SECTIONS = ("deletions", "replacements", "crossings")


@pytest.mark.parametrize("name", ["item", "名" * 80, "`|`" * 60, "\u202e\x1b" * 90, "e" + "\u0301" * 120])
@pytest.mark.parametrize("count", [1, 50, 1000])
def test_any_preview_fits_64_kib(name: str, count: int) -> None:
    """Also with every text as long and every list as full as it gets."""
    oddities = [odd for code in samples.ODD for odd in samples.odd(code, min(count, 22), name)]
    preview = samples.preview(
        title=name * 50, reason=name * 50, author=name * 50, requested_by=name * 50, thread_url=name * 50,
        sections=[samples.section(kind, count, name) for kind in SECTIONS], oddities=oddities,
        patterns=[samples.pattern(n + 1, name, name) for n in range(200)], pattern_count=9000,
        implied=[name] * 50, implied_count=7000, problems=samples.errors(count),
        weak=[Weakness("w", [name] * 9, name * 20)] * 10, notes=[name * 20] * 50, waiting_for=name * 50,
        counts=Counts(effects=100_000, deleted=count, set=9),
    )  # fmt: skip
    operations = [Mkdir(path=f"{name}{n}", why=name) for n in range(2000)]
    text = markdown.preview(preview, operations=operations)
    assert len(text.encode()) <= LIMIT
    assert "more" in text
    assert text.rstrip().splitlines()[-1].startswith("- `treegate")


@pytest.mark.parametrize("seed", range(20))
def test_ten_planted_oddities_of_any_classes_are_in_the_first_twenty_lines(seed: int) -> None:
    rng = random.Random(seed)
    classes = [rng.choice([*SECTIONS, *samples.ODD]) for _ in range(10)]
    sections = []
    for kind in SECTIONS:
        effects = [
            effect for n, of in enumerate(classes) if of == kind
            for effect in samples.section(kind, 1, f"planted{n}x").effects
        ]  # fmt: skip
        sections += [Section(kind=kind, count=len(effects), effects=effects)] if effects else []
    oddities = [
        odd for n, of in enumerate(classes) if of in samples.ODD for odd in samples.odd(of, 1, f"planted{n}x")
    ]
    first = "\n".join(markdown.preview(samples.preview(sections=sections, oddities=oddities)).splitlines()[:20])
    assert all(f"planted{n}x" in first for n in range(10))


def test_a_class_that_the_first_table_cuts_short_follows_in_full_as_far_as_it_is_carried() -> None:
    text = markdown.preview(samples.preview(sections=[samples.section("deletions", 500)]))
    first, _, rest = text.partition("## Deleted (500)")
    assert "**487 more**" in first
    assert "deletions/item 49.pdf" in rest
    assert "... 450 more" in rest


def test_operations_that_do_not_fit_are_counted_and_where_to_see_them_is_said() -> None:
    text = markdown.preview(
        samples.preview(operations=9000), operations=[Mkdir(path=f"folder {n}") for n in range(9000)]
    )
    rows = text.count("| mkdir |")
    assert 100 < rows < 9000
    assert f"... {9000 - rows:,} more, see `treegate show pl_7f3k2m --operations`" in text


def test_a_table_of_effects_keeps_to_its_limit() -> None:
    effects = [samples.effect("moved", f"to/{n}", f"from/{n}") for n in range(3000)]
    text = markdown.effects(effects, limit=5000)
    assert len(text.encode()) <= 5000
    assert text.count("| moved |") + int(text.rsplit("... ", 1)[1].split()[0].replace(",", "")) == 3000


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("plain", "`plain`"),
        ("a`b", "``a`b``"),
        ("`", "`` ` ``"),
        ("a``b`", "``` a``b` ```"),
        (" edge ", "`  edge  `"),
        ("", ""),
    ],
)
def test_a_code_span_is_longer_than_any_run_of_backticks_in_it(text: str, span: str) -> None:
    assert markdown.code(text) == span


def test_a_pipe_never_ends_a_cell() -> None:
    assert markdown.code("a|b", cell=True) == "`a\\|b`"
    assert markdown.code("a\\|b", cell=True) == "`a\\\\x7cb`"
