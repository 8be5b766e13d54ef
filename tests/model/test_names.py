"""Claims about name rules, likeness of names, and showing hostile names."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treegate.model.capabilities import Capabilities
from treegate.model.likeness import distance, nearest
from treegate.model.names import RULES, NameCheck, fold_key, visible

anything = st.text(st.characters(), max_size=12) | st.text("\\xuU0189aé\x1b\u202e\udce9\xa0", max_size=12)
on_disk = st.characters(exclude_characters="/\0", exclude_categories=["Cs"]) | st.sampled_from("\udc80\udce9 .:\x1b")
names = st.text(on_disk, min_size=1, max_size=12).filter(lambda n: n not in (".", ".."))


def codes(name: str, *rules: str, **mount: int) -> dict[str, str]:
    return {found.code: found.severity for found in NameCheck(rules, Capabilities(**mount)).name(name)}


# --- rules -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a", "2024-03-01 Complaint (final).pdf", "Müller.pdf", "日本語　資料.pdf", "a#b:c?.txt"]
)
def test_posix_takes_nearly_everything(name: str) -> None:
    assert codes(name, "posix") == {}


@pytest.mark.parametrize(
    ("rules", "name", "code", "severity"),
    [
        ("gcs", "a\rb", "name-forbidden", "error"),
        ("gcs", "a\nb", "name-forbidden", "error"),
        *[("gcs", f"a{c}b", "name-discouraged", "warning") for c in '#[]*?:"<>|\x7f\x84\x86\x9f'],
        ("gcs", "a\udce9", "name-not-utf8", "error"),
        ("s3", "a\udce9", "name-not-utf8", "error"),
        ("azure", "a\\b", "name-forbidden", "error"),
        ("azure", "a.", "name-forbidden", "error"),
        *[("windows", f"a{c}b", "name-forbidden", "error") for c in '<>:"\\|?*\x01\x1f'],
        ("windows", "a ", "name-forbidden", "error"),
        ("windows", "a.", "name-forbidden", "error"),
        *[("windows", n, "name-reserved", "error") for n in ("CON", "nul.txt", "Com1.tar.gz", "LPT9", "aux .c")],
        ("posix", "a\x1b[31m", "name-control", "warning"),
        ("posix", "a\u202ecod.exe", "name-unseen", "warning"),
        ("posix", "a\u200bb", "name-unseen", "warning"),
        ("posix", "a\udce9", "name-not-utf8", "warning"),
        ("posix", " a", "name-edge", "warning"),
        ("posix", "a ", "name-edge", "warning"),
        ("posix", "a.", "name-edge", "warning"),
        ("posix", ".a", "name-hidden", "warning"),
        ("posix", "x" * 256, "name-too-long", "error"),
        ("posix", "é" * 128, "name-too-long", "error"),
    ],
)
def test_what_each_place_asks_of_names(rules: str, name: str, code: str, severity: str) -> None:
    assert codes(name, rules).get(code) == severity


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        ("gcs", "a\x85b"),
        ("windows", "CON1"),
        ("windows", "console"),
        ("windows", "COM0"),
        ("s3", "a#b"),
        ("posix", "x" * 255),
    ],
)
def test_what_just_escapes_a_rule(rules: str, name: str) -> None:
    assert not {"name-forbidden", "name-discouraged", "name-reserved", "name-too-long"} & codes(name, rules).keys()


def test_the_mount_says_how_long_a_name_may_be() -> None:
    assert codes("abcd", name_max=3) == {"name-too-long": "error"}
    assert codes("abc", name_max=3) == {}


@settings(max_examples=800, deadline=None)
@given(names, st.lists(st.sampled_from(sorted(RULES)), max_size=3))
def test_a_suggestion_breaks_no_rule_and_is_a_name(name: str, rules: list[str]) -> None:
    check = NameCheck(rules)
    for finding in check.name(name):
        if finding.suggestion is not None:
            left = {found.code for found in check.name(finding.suggestion)}
            assert left <= {"name-hidden", "name-not-utf8"}, left
            assert not any(found.severity == "error" for found in check.name(finding.suggestion))
            assert "/" not in finding.suggestion
            assert finding.suggestion != name


@settings(max_examples=500, deadline=None)
@given(names, st.lists(st.sampled_from(sorted(RULES)), max_size=3))
def test_the_fast_way_and_the_slow_way_agree(name: str, rules: list[str]) -> None:
    """A trailing character that no fast way takes leads the whole name through the slow one."""
    check = NameCheck(rules)
    if check.name(name) == ():
        assert check.name(name + "é") == ()


@pytest.mark.parametrize(
    ("rules", "name", "suggestion"),
    [
        ("windows", "Re: Smith?.pdf", "Re- Smith.pdf"),
        ("windows", "con.txt", "con_.txt"),
        ("windows", "x. .", "x"),
        ("posix", " two\nlines ", "two lines"),
        ("posix", "a\u202efdp.exe", "afdp.exe"),
        ("s3", "caf\udce9.txt", "caf_.txt"),
        ("posix", ".git", None),
        ("windows", "???", None),
        ("posix", "x" * 300 + ".pdf", "x" * 251 + ".pdf"),
        ("posix", "é" * 200 + ".pdf", "é" * 125 + ".pdf"),
    ],
)
def test_the_suggestion_that_people_would_make(rules: str, name: str, suggestion: str | None) -> None:
    assert {found.suggestion for found in NameCheck([rules]).name(name)} == {suggestion}


def test_errors_come_before_warnings_and_no_sentence_carries_a_hostile_character() -> None:
    found = NameCheck(["windows", "gcs"]).name(" \x1b[31m\u202e\udce9:")
    assert [f.severity for f in found] == sorted(f.severity for f in found)
    assert all(f.sentence.isprintable() for f in found)


@pytest.mark.parametrize(
    ("rules", "path", "code"),
    [
        ("gcs", "a/" * 512 + "b", "path-too-long"),
        ("gcs", ".well-known/acme-challenge/x", "path-reserved"),
        ("s3", "é" * 513, "path-too-long"),
        ("azure", "é/" * 512 + "b", "path-too-long"),
        ("azure", "a/" * 254 + "b", "path-too-long"),
        ("posix", "a/" * 2047 + "bb", "path-too-long"),
    ],
)
def test_whole_paths_are_measured(rules: str, path: str, code: str) -> None:
    assert {found.code for found in NameCheck([rules]).path(path)} == {code}


def test_paths_at_the_limit_pass_and_what_stands_before_them_counts() -> None:
    assert NameCheck(["gcs"]).path("a/" * 511 + "bb") == ()
    assert NameCheck(["azure"]).path("a/" * 253 + "b") == ()
    assert NameCheck(["posix"]).path("a/" * 2047 + "b") == ()
    assert NameCheck(["posix"], root_bytes=1).path("a/" * 2047 + "b") != ()


# --- names taken for one ---------------------------------------------------------------------------------------


def test_names_collide_only_where_the_mount_folds() -> None:
    nfc, nfd = "é", "e\u0301"
    assert fold_key("A", False, False) != fold_key("a", False, False)
    assert fold_key("A", True, False) == fold_key("a", True, False)
    assert fold_key(nfc, False, True) == fold_key(nfd, False, True)
    assert fold_key(nfc, True, False) != fold_key(nfd, True, False)
    assert fold_key(nfc, True, True) == fold_key(nfd.upper(), True, True)
    assert fold_key("STRASSE", True, False) == fold_key("straße", True, False)
    assert fold_key("\udce9", True, True) == "\udce9"


def test_windows_rules_fold_case_on_any_mount() -> None:
    assert NameCheck(["windows"]).key("A") == NameCheck(["windows"]).key("a")
    assert NameCheck(["posix"]).key("A") != NameCheck(["posix"]).key("a")


@given(names)
def test_folding_ignores_the_form_that_a_name_came_in(name: str) -> None:
    assert fold_key(unicodedata.normalize("NFD", name), True, True) == fold_key(name, True, True)
    assert fold_key(name.lower(), True, True) == fold_key(name.upper().lower(), True, True) or not name.isascii()


# --- the nearest name ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "candidates", "expected"),
    [
        ("smith-v-jones", ["Doe", "Smith-v-Jones"], "Smith-v-Jones"),
        ("Smith-v-Jnes", ["Smith-v-James", "Smith-v-Jones"], "Smith-v-Jones"),
        ("Muller.pdf", ["Moller.pdf", "Müller.pdf"], "Müller.pdf"),
        ("scna001.pdf", ["scan001.pdf", "scan002.pdf"], "scan001.pdf"),
        ("Complaint.pdf", ["2024-03-01 Complaint.pdf", "x"], "2024-03-01 Complaint.pdf"),
        ("Pleading", ["Pleadings", "Reading"], "Pleadings"),
        ("a", ["b", "c"], None),
        ("nothing like it", ["Complaint.pdf"], None),
        ("x", [], None),
        ("", ["a"], None),
        ("caf\udce9.txt", ["caf\udce8.txt"], "caf\udce8.txt"),
    ],
)
def test_the_nearest_name_is_the_one_that_was_meant(name: str, candidates: list[str], expected: str | None) -> None:
    assert nearest(name, candidates) == expected


@settings(max_examples=200, deadline=None)
@given(st.text("abc", min_size=4, max_size=10), st.lists(st.text("abc", min_size=1, max_size=10), max_size=12))
def test_no_candidate_is_nearer_than_the_nearest(name: str, candidates: list[str]) -> None:
    found = nearest(name, candidates)
    bound = min(4, (len(name) + 2) // 4, len(name) - 1)
    least = min((slow_distance(name, c) for c in candidates), default=99)
    if least <= bound:
        assert found is not None
        assert slow_distance(name, found) == least
    else:
        assert found is None or name in found or found in name


def slow_distance(a: str, b: str) -> int:
    if not a or not b:
        return len(a) + len(b)
    if a[0] == b[0]:
        return slow_distance_cached(a[1:], b[1:])
    ways = [slow_distance_cached(a[1:], b), slow_distance_cached(a, b[1:]), slow_distance_cached(a[1:], b[1:])]
    if a[:2] == b[1::-1] and len(a) > 1:
        ways.append(slow_distance_cached(a[2:], b[2:]))
    return 1 + min(ways)


_memory: dict[tuple[str, str], int] = {}


def slow_distance_cached(a: str, b: str) -> int:
    if (a, b) not in _memory:
        _memory[a, b] = slow_distance(a, b)
    return _memory[a, b]


@given(st.text("abc", max_size=8), st.text("abc", max_size=8), st.integers(0, 8))
def test_the_bounded_distance_is_the_distance_up_to_its_bound(a: str, b: str, bound: int) -> None:
    assert min(distance(a, b, bound), bound + 1) == min(slow_distance(a, b), bound + 1)


def test_the_nearest_of_a_hundred_thousand_is_found() -> None:
    candidates = [f"scan{n:06}.pdf" for n in range(100_000)]
    assert nearest("Scan04711.pdf", [*candidates, "Scan04712.pdf"]) == "scan004711.pdf"


# --- shown -----------------------------------------------------------------------------------------------------


def read_back(shown: str) -> str:
    """Undo `visible` by its documented rule."""

    def one(escape: re.Match[str]) -> str:
        if escape[0] == "\\\\":
            return "\\"
        code = int(escape[0][2:], 16)
        return chr(0xDC00 + code) if escape[0][1] == "x" and code >= 0x80 else chr(code)

    return re.sub(r"\\\\|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}", one, shown)


@settings(max_examples=2000, deadline=None)
@given(anything)
def test_what_is_shown_is_inert_and_tells_any_two_texts_apart(text: str) -> None:
    shown = visible(text)
    assert read_back(shown) == text
    assert all(c.isprintable() or c == "\u3000" for c in shown)
    assert not set(shown) & HOSTILE
    shown.encode()


HOSTILE = {
    chr(code) for code in [*range(32), *range(0x7F, 0xA0), 0x61C, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0xFEFF]
}
HOSTILE |= {chr(code) for code in [*range(0x2028, 0x202F), *range(0x2060, 0x2070), *range(0xFE00, 0xFE10), 0xAD]}
HOSTILE |= {chr(code) for code in [*range(0xE0000, 0xE0200), *range(0xD800, 0xE000), 0x115F, 0x3164, 0x2800]}


def test_each_hostile_character_is_escaped() -> None:
    shown = {hostile: visible(f"a{hostile}b") for hostile in HOSTILE}
    assert [ascii(hostile) for hostile in HOSTILE if not re.fullmatch(r"a\\[xuU][0-9a-f]+b", shown[hostile])] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2024-03-01 Müller & Söhne.pdf", "2024-03-01 Müller & Söhne.pdf"),
        ("日本語　資料", "日本語　資料"),
        ("e\u0301", "e\u0301"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\u202eb", r"a\u202eb"),
        ("caf\udce9", r"caf\xe9"),
        ("two\nlines", r"two\x0alines"),
        ("C:\\temp", "C:\\temp"),
        ("\\x1b", r"\\x1b"),
        ("\\\x1b", r"\\\x1b"),
        ("end\\", "end\\"),
        ("\xa0", r"\u00a0"),
        ("\U000e0041", r"\U000e0041"),
        ("<b>`|", "<b>`|"),
    ],
)
def test_how_names_look(text: str, shown: str) -> None:
    assert visible(text) == shown
