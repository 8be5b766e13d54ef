"""Claims about templates: what is filled in, and what is refused in which words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treegate.model.globs import PatternError
from treegate.model.templates import Template, split_ext

names = st.text("aé.- \n{}\udce9", min_size=1, max_size=5).filter(lambda name: name not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=5).map("/".join)
NOON = 1_709_294_400_123_456_789  # 2024-03-01 12:00:00.123456789 UTC, a Friday


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Letters/{mtime:%Y-%m-%d} {name}", "Letters/2024-03-01 scan.one.pdf"),
        ("{stem}{ext}", "scan.one.pdf"),
        ("{parent}/{n:03} {stem}{ext}", "Scans/old/007 scan.one.pdf"),
        ("{n}-{{{name}}}", "7-{scan.one.pdf}"),
        ("{mtime:%Y/%m}/", "2024/03/"),
        ("{mtime:%B %b %A %a %H%M%S.%f %%}", "March Mar Friday Fri 120000.123456 %"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_a_template_is_filled(template: str, expected: str) -> None:
    assert Template.parse(template).fill("scan.one.pdf", "Scans/old", NOON, 7) == expected


@pytest.mark.parametrize(
    ("template", "expected"), [("{parent}/{name}", "a"), ("X/{parent}/{name}", "X/a"), ("{parent}/", "")]
)
def test_a_folder_that_is_empty_takes_its_slash_along(template: str, expected: str) -> None:
    assert Template.parse(template).fill("a", "", 0, 1) == expected


@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_times_are_those_of_strftime_in_utc(seconds: int) -> None:
    form = "%m %d %H %M %S %j %V %u %y"
    moment = datetime.fromtimestamp(0, UTC).replace(tzinfo=None)
    expected = (moment + (datetime.fromtimestamp(1, UTC) - datetime.fromtimestamp(0, UTC)) * seconds).strftime(form)
    assert Template.parse(f"{{mtime:{form}}}").fill("", "", seconds * 10**9, 1) == expected


def test_a_time_that_no_calendar_has_is_an_error_and_no_crash() -> None:
    with pytest.raises(ValueError, match="9999"):
        Template.parse("{mtime:%Y}").fill("a", "", 2**63 - 1 + 10**21, 1)


@given(names, paths, st.integers(1, 10**6))
def test_names_pass_through_a_template_unharmed(name: str, parent: str, n: int) -> None:
    """Bytes that are not UTF-8, newlines and braces in names are not looked at again."""
    assert Template.parse("{parent}/{stem}{ext}").fill(name, parent, 0, n) == f"{parent}/{name}"
    assert Template.parse("{name}").fill("{n}", parent, 0, n) == "{n}"


@pytest.mark.parametrize(
    ("template", "position", "words"),
    [
        ("a/{nme}", 3, ["'{nme}'", "{name}", "{stem}", "{ext}", "{parent}", "{mtime:", "{n:03}"]),
        ("{", 1, ["{{"]),
        ("ab}", 3, ["}}"]),
        ("{mtime}", 1, ["%Y-%m-%d"]),
        ("{mtime:%Q}", 1, ["'%Q'", "%Y"]),
        ("{mtime:%}", 1, ["'%'"]),
        ("{n:3}", 1, ["{n:03}"]),
        ("{n:}", 1, ["{n:03}"]),
        ("{name:x}", 1, ["{name}"]),
        ("{}", 1, ["{name}"]),
    ],
)
def test_a_template_that_cannot_be_read_lists_what_is_known(template: str, position: int, words: list[str]) -> None:
    with pytest.raises(PatternError) as caught:
        Template.parse(template)
    assert all(word in str(caught.value) for word in words)
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.pdf", ("a", ".pdf")),
        ("a.tar.gz", ("a.tar", ".gz")),
        (".bashrc", (".bashrc", "")),
        ("..x", ("..x", "")),
        (".a.b", (".a", ".b")),
        ("none", ("none", "")),
    ],
)
def test_dots_at_the_beginning_are_no_extension(name: str, parts: tuple[str, str]) -> None:
    assert split_ext(name) == parts


def test_the_placeholders_of_a_template_are_known() -> None:
    assert Template.parse("{parent}/{n:03} {mtime:%Y}{{x}}").placeholders == {"parent", "n", "mtime"}
