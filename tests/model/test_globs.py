"""Claims about patterns, held against an oracle that tries everything."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treegate.model.globs import Glob, PathRule, PathRules, PatternError

# --- the oracle: plain recursion over characters and components ------------------------------------------------


def name_matches(pattern: str, name: str, hidden: bool) -> bool:
    if name.startswith(".") and not hidden and not pattern.startswith("."):
        return False
    return run_matches(pattern, name)


def run_matches(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(run_matches(pattern[1:], text[i:]) for i in range(len(text) + 1))
    if not text:
        return False
    if pattern[0] == "?":
        return run_matches(pattern[1:], text[1:])
    if pattern[0] == "[":
        end = pattern.index("]", 3 if pattern[1] == "!" else 2)
        inside, negated = pattern[1:end].removeprefix("!"), pattern[1] == "!"
        return (text[0] in members(inside)) != negated and run_matches(pattern[end + 1 :], text[1:])
    return pattern[0] == text[0] and run_matches(pattern[1:], text[1:])


def members(inside: str) -> set[str]:
    if len(inside) == 3 and inside[1] == "-":
        return {chr(code) for code in range(ord(inside[0]), ord(inside[2]) + 1)}
    return set(inside)


def path_matches(pattern: list[str], path: list[str], hidden: bool) -> bool:
    if not pattern:
        return not path
    if pattern[0] != "**":
        return (
            bool(path) and name_matches(pattern[0], path[0], hidden) and path_matches(pattern[1:], path[1:], hidden)
        )
    if len(pattern) == 1:
        return bool(path) and (hidden or not any(name.startswith(".") for name in path))
    crossed = bool(path) and (hidden or not path[0].startswith("."))
    return path_matches(pattern[1:], path, hidden) or (crossed and path_matches(pattern, path[1:], hidden))


LETTERS = ["a", "b", ".", "-", "é", "\udce9", "\n", " "]
names = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=5).map("".join).filter(lambda n: n not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=5).map("/".join)
pieces = st.sampled_from([*LETTERS, "*", "*", "?", "[ab]", "[!a]", "[a-é]", "[]a]", "[!]a]", "[-a]", "[.]"])
components = (
    st.lists(pieces, min_size=1, max_size=5).map("".join).filter(lambda c: "**" not in c and c not in (".", ".."))
)
patterns = st.lists(components | st.just("**"), min_size=1, max_size=5).map("/".join)


@settings(max_examples=1500, deadline=None)
@given(patterns, paths)
def test_a_glob_matches_what_trying_everything_matches(pattern: str, path: str) -> None:
    expected = path_matches(pattern.split("/"), path.split("/"), hidden=False)
    assert Glob.parse(pattern).matches(path, is_dir=False) == expected
    assert Glob.parse(pattern + "/").matches(path, is_dir=True) == expected


@settings(max_examples=500, deadline=None)
@given(patterns, paths)
def test_a_walk_that_is_pruned_misses_nothing(pattern: str, path: str) -> None:
    """Wherever a path matches, each folder above it may be entered, and it lies under the literal prefix."""
    glob = Glob.parse(pattern)
    above = [path.rsplit("/", n)[0] for n in range(1, path.count("/") + 1)] + [""]
    if glob.matches(path, is_dir=False):
        assert all(glob.may_match_below(folder) for folder in above)
        assert path.startswith(glob.literal_prefix)


@pytest.mark.parametrize(
    ("pattern", "folder", "expected"),
    [
        ("Scans/*.pdf", "", True),
        ("Scans/*.pdf", "Scans", True),
        ("Scans/*.pdf", "Scans/2024", False),
        ("Scans/*.pdf", "Letters", False),
        ("**/x", "a/b/c", True),
        ("**/x", "a/.git", False),
        ("a/*/c/*.txt", "a/anything/c", True),
        ("a/*/c/*.txt", "a/anything/d", False),
    ],
)
def test_a_walk_enters_only_folders_where_something_can_match(pattern: str, folder: str, expected: bool) -> None:
    assert Glob.parse(pattern).may_match_below(folder) is expected


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("Scans/2024/*.pdf", "Scans/2024"),
        ("a/b.pdf", "a"),
        ("*/a", ""),
        ("**", ""),
        ("a/[x]/b/c", "a"),
        ("a/b/", "a"),
    ],
)
def test_the_literal_prefix_is_the_folder_part_without_magic(pattern: str, prefix: str) -> None:
    assert Glob.parse(pattern).literal_prefix == prefix


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.pdf", "a.pdf", True),
        ("*.pdf", ".pdf", False),
        ("*.pdf", "A.PDF", False),
        ("*.pdf", "x/a.pdf", False),
        (".*", ".git", True),
        ("*", ".git", False),
        ("?git", ".git", False),
        ("[.]git", ".git", False),
        ("**/a", "a", True),
        ("**/a", "x/y/a", True),
        ("**/a", ".x/a", False),
        (".x/**", ".x/a", True),
        ("a/**", "a", False),
        ("a/**", "a/b/c", True),
        ("a/**/**/b", "a/b", True),
        ("[*]", "*", True),
        ("a{b}", "a{b}", True),
        ("?", "\udce9", True),
        ("*.txt", "two\nlines.txt", True),
        ("a\\*", "a\\b", True),
    ],
)
def test_cases_that_people_ask_about(pattern: str, path: str, expected: bool) -> None:
    assert Glob.parse(pattern).matches(path, is_dir=False) is expected


def test_only_a_pattern_that_ends_in_a_slash_means_folders() -> None:
    assert Glob.parse("Scans/*/").matches("Scans/old", is_dir=True)
    assert not Glob.parse("Scans/*/").matches("Scans/old", is_dir=False)
    assert not Glob.parse("Scans/*").matches("Scans/old", is_dir=True)


@pytest.mark.parametrize(
    ("pattern", "position", "word"),
    [
        ("", 1, "empty"),
        ("/a", 1, "relative"),
        ("a//b", 3, "empty component"),
        ("//", 1, "relative"),
        ("a/../b", 3, "'..'"),
        ("./a", 1, "'.'"),
        ("ab[c", 3, "never closed"),
        ("x/[a/b]", 3, "never closed"),
        ("[]", 1, "never closed"),
        ("[!]", 1, "never closed"),
        ("a**", 2, "alone"),
        ("x/***", 3, "alone"),
        ("x/[^a]", 3, "[!"),
        ("[[:digit:]]", 1, "[A-Za-z]"),
        ("[z-a]", 1, "backwards"),
        ("a\0", 2, "NUL"),
    ],
)
def test_a_pattern_that_cannot_be_read_says_what_and_where(pattern: str, position: int, word: str) -> None:
    with pytest.raises(PatternError) as caught:
        Glob.parse(pattern)
    assert word in str(caught.value)
    assert caught.value.position == position
    assert f"character {position}" in str(caught.value)


def test_no_pattern_backtracks_for_ever() -> None:
    """Each of these would take years with a plain translation of stars: that the test ends is the claim."""
    assert not Glob.parse("*a" * 30 + "*b").matches("a" * 250, is_dir=False)
    assert not Glob.parse("**/a/" * 30 + "b").matches("/".join("a" * 1000), is_dir=False)
    assert not Glob.parse("**/*a*a*a/" * 10 + "b").matches("/".join(["a" * 100] * 40), is_dir=False)


# --- policy ----------------------------------------------------------------------------------------------------


def covered(pattern: str, path: str, itself: bool) -> bool:
    """By trying every folder above the path, and the path."""
    parts = pattern.removeprefix("/").split("/")
    while parts[-2:] == ["**", "**"]:
        parts.pop()
    parts = parts if pattern.startswith("/") else ["*", *parts]
    tried = ["/".join(path.split("/")[: n + 1]) for n in range(path.count("/") + 1)]
    short = [parts[:-1]] if itself and parts[-1] == "**" else []
    return (
        any(path_matches(each, above.split("/"), hidden=True) for each in [parts, *short] for above in tried)
        or [] in short
    )


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", "/"]), patterns).map("".join), max_size=3), paths, st.booleans())
def test_path_rules_cover_what_trying_everything_covers(rules: list[str], path: str, itself: bool) -> None:
    asked = PathRules([PathRule.parse(rule, itself=itself) for rule in rules])
    found = asked.covering(path)
    assert (found is not None) == any(covered(rule, path, itself) for rule in rules)
    assert found is None or covered(found, path, itself)
    assert asked.covering(path) == found, "the answer from memory is the same"
    for n in range(path.count("/")):
        folder = "/".join(path.split("/")[: n + 1])
        assert found is None or asked.may_cover_below(folder)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("**/Originals/**", "Smith/Originals", True),
        ("**/Originals/**", "Smith/a/b/Originals/c/d", True),
        ("**/Originals/**", "Smith/originals/c", False),
        ("*.lock", "Smith/a.lock", True),
        ("*.lock", "Smith/.lock", True),
        ("*.lock", "Smith/a/b.lock", False),
        ("*.lock", "Smith/dir.lock/inside", True),
        ("/Smith/Originals/**", "Smith/Originals/x", True),
        ("/Smith/Originals/**", "Jones/Originals/x", False),
        ("Smith", "Smith/x", False),
        ("/data", "data-evil/x", False),
        ("Übersicht", "Smith/U\u0308bersicht/x", True),
        ("Übersicht", "Smith/U\u0308bersicht", True),
    ],
)
def test_what_a_protected_pattern_covers(pattern: str, path: str, expected: bool) -> None:
    rules = PathRules([PathRule.parse(pattern, itself=True)])
    assert (rules.covering(path) is not None) is expected


def test_leave_to_work_in_a_folder_is_no_leave_to_remove_it() -> None:
    rules = PathRules([PathRule.parse("Inbox/**", itself=False)])
    assert rules.covering("Smith/Inbox/a") == "Inbox/**"
    assert rules.covering("Smith/Inbox") is None


def test_a_folder_that_no_rule_can_reach_needs_no_walk() -> None:
    rules = PathRules([PathRule.parse("/Smith/a/*.pdf", itself=True)])
    assert rules.may_cover_below("Smith")
    assert rules.may_cover_below("Smith/a")
    assert rules.may_cover_below("Smith/a/x.pdf"), "covered, and so is all below"
    assert not rules.may_cover_below("Smith/b")
    assert not rules.may_cover_below("Jones")


def test_rules_forget_folders_rather_than_grow_without_end_and_still_answer() -> None:
    rules = PathRules([PathRule.parse("**/x", itself=True)])
    rules.KEPT = 10
    for n in range(100):
        assert rules.covering(f"Smith/{n}/deep/x") == "**/x"
        assert rules.covering(f"Smith/{n}/deep/y") is None
    assert len(rules._spots) < 20


def test_very_deep_paths_are_followed() -> None:
    deep = "/".join(["d"] * 2000)
    assert PathRules([PathRule.parse("**/x", itself=True)]).covering(f"{deep}/x") == "**/x"


@pytest.mark.parametrize("pattern", ["", "/", "a/", "a//b", "[", "a/../b"])
def test_a_policy_pattern_that_cannot_be_read_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        PathRule.parse(pattern, itself=True)


def test_a_pattern_that_is_longer_than_any_path_is_refused() -> None:
    """It would take time by the square of its length."""
    with pytest.raises(PatternError, match="more than 10,000 characters"):
        Glob.parse("*" + "a" * 1_000_000)
