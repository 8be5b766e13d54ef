"""Counts, bytes, spans and moments as people say them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from treegate.render import words
from treegate.render.text import clip, cut, wrap


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 KB"), (999_949, "999.9 KB"),
        (999_950, "1.0 MB"), (5_000_000_000, "5.0 GB"), (10**21, "1000.0 EB"),
    ],
)  # fmt: skip
def test_bytes_are_said_in_the_unit_that_fits(count: int, said: str) -> None:
    assert words.size(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.413, "0.41 s"), (42.4, "42 s"), (60, "1 minute"), (7200, "2 hours"), (30 * 86400, "30 days")],
)
def test_a_span_is_said_in_its_largest_unit(seconds: float, said: str) -> None:
    assert words.span(seconds) == said


def test_a_moment_is_said_as_seen_from_now() -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert words.age(now - timedelta(hours=3), now) == "3 hours ago"
    assert words.age(now + timedelta(days=30), now) == "in 30 days"
    assert words.age(now - timedelta(seconds=5), now) == "just now"


def test_a_list_ends_in_and() -> None:
    assert words.listed([]) == ""
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed(list("abcdefgh")) == "a, b, c and 5 more"


def test_a_path_is_cut_in_the_middle_and_a_sentence_at_its_end() -> None:
    assert cut("Correspondence/2024-03-01 Letter.pdf", 20) == "Corresp…1 Letter.pdf"
    assert clip("the folder is not empty", 12) == "the folder…"


def test_the_part_after_a_cut_does_not_begin_with_a_mark() -> None:
    """It would land on the ellipsis."""
    assert cut("abcdefe\u0301gh", 5) == "a…gh" or cut("abcdefe\u0301gh", 4) == "a…gh"
    assert "…\u0301" not in "".join(cut("abcdefe\u0301gh", room) for room in range(2, 9))


def test_wrapped_text_breaks_between_words_and_says_when_it_is_cut() -> None:
    assert wrap("a bb ccc dddd", 5) == ["a bb", "ccc", "dddd"]
    assert wrap("a bb ccc dddd", 5, 2) == ["a bb", "ccc…"]
    assert wrap("abcdefgh", 3) == ["abc", "def", "gh"]
