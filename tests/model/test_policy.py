"""Claims about the policy: who is kept from what, what is too much, and how it is written down."""

from __future__ import annotations

import msgspec
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from treegate.model.approvals import Approval
from treegate.model.measures import GIB, HOUR, parse_duration, parse_size, write_duration, write_size
from treegate.model.policy import (
    NOT_YET,
    Counts,
    Gatekeeper,
    Limits,
    Paths,
    Policy,
    canonical,
    needs_case_files,
    over_limits,
)


def keeper(allow: tuple[str, ...] = ("**",), protect: tuple[str, ...] = ()) -> Gatekeeper:
    return Gatekeeper(Policy(allow=Paths(paths=allow), protect=Paths(paths=protect)))


# --- paths -----------------------------------------------------------------------------------------------------


def test_the_default_protects_originals_anywhere_and_locks_at_the_top_of_a_case() -> None:
    gate = Gatekeeper(Policy())
    assert gate.protected("Smith/a/Originals/x.pdf") == "**/Originals/**"
    assert gate.protected("Smith/Originals") == "**/Originals/**"
    assert gate.protected("Smith/word.lock") == "*.lock"
    assert gate.protected("Smith/a/word.lock") is None
    assert gate.allowed("Smith/anything/.hidden")


def test_protection_wins_over_leave() -> None:
    refusal = keeper(allow=("**",), protect=("a",)).refusal("Smith/a/b")
    assert refusal is not None
    assert refusal.code == "path-protected"
    assert "'a'" in refusal.hint


def test_what_is_not_named_is_not_allowed() -> None:
    gate = keeper(allow=("Inbox/**", "/Jones/x"))
    assert gate.allowed("Smith/Inbox/a")
    assert gate.allowed("Jones/x/y")
    assert not gate.allowed("Smith/Inbox")
    assert not gate.allowed("Smith/x")
    assert not gate.allowed("Smith/Inbox-evil/a")
    refusal = gate.refusal("Smith/x")
    assert refusal is not None
    assert refusal.code == "path-not-allowed"
    assert "'Inbox/**', '/Jones/x'" in refusal.hint
    assert keeper(allow=()).refusal("Smith/x") is not None


def test_a_moved_folder_must_be_looked_into_where_a_rule_could_reach_its_contents() -> None:
    assert keeper(protect=("**/Originals/**",)).concerns("Smith/any/folder")
    assert keeper(protect=("a/b/*.pdf",)).concerns("Smith/a")
    assert not keeper(protect=("a/b/*.pdf",)).concerns("Smith/c")
    assert not keeper().concerns("Smith/c")
    assert not keeper(allow=("Inbox/**",)).concerns("Smith/Inbox/x")
    assert keeper(allow=("Inbox/**",)).concerns("Smith/Inbox")


def test_an_implied_folder_needs_no_leave_of_its_own_but_is_held_to_protection() -> None:
    gate = keeper(allow=("Inbox/**",), protect=("X",))
    assert gate.refusal("Smith/Inbox", implied=True) is None
    refused = gate.refusal("Smith/Inbox")
    assert refused is not None
    assert refused.code == "path-not-allowed"
    protected = gate.refusal("Smith/X", implied=True)
    assert protected is not None
    assert protected.code == "path-protected"


# --- limits ----------------------------------------------------------------------------------------------------

FULL = Counts(
    operations=100_000,
    files=100_000,
    deletes=100,
    delete_bytes=5 * GIB,
    replacements=100,
    case_deletes={"Smith": 100},
    case_files={"Smith": 400},
)


def test_a_plan_at_every_limit_passes_none() -> None:
    assert over_limits(Policy(), FULL) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"operations": 100_001}, "limit-operations"),
        ({"files": 100_001}, "limit-files"),
        ({"deletes": 101}, "limit-deletes"),
        ({"delete_bytes": 5 * GIB + 1}, "limit-delete-bytes"),
        ({"replacements": 101}, "limit-replacements"),
        ({"case_files": {"Smith": 399}}, "limit-delete-share"),
    ],
)
def test_one_more_than_a_limit_passes_it(change: dict[str, int], code: str) -> None:
    passed = over_limits(Policy(), FULL._replace(**change))
    assert [each.code for each in passed] == [code]
    assert f"policy.limits.{code.removeprefix('limit-').replace('-', '_')}" in passed[0].hint


def test_the_share_is_of_each_case_for_itself() -> None:
    counts = Counts(deletes=6, case_deletes={"A": 1, "B": 5}, case_files={"A": 100, "B": 10, "C": 1000})
    (passed,) = over_limits(Policy(), counts)
    assert passed.sentence == "the plan deletes 5 of the 10 files of 'B'; policy allows 25 % of them"


def test_files_of_a_case_are_counted_only_where_something_is_deleted_and_a_share_is_set() -> None:
    assert not needs_case_files(Policy(), Counts(operations=5))
    assert needs_case_files(Policy(), Counts(deletes=5))
    assert not needs_case_files(Policy(limits=Limits(delete_share=1.0)), Counts(deletes=5))
    assert over_limits(Policy(limits=Limits(delete_share=1.0)), Counts(deletes=5, case_deletes={"A": 5})) == []
    with pytest.raises(ValueError, match="counted"):
        over_limits(Policy(), Counts(deletes=5, case_deletes={"A": 5}))


def test_a_handful_of_deletions_in_a_small_case_is_no_matter_of_shares() -> None:
    few = Counts(deletes=8, case_deletes={"A": 4, "B": 4}, case_files={"A": 4, "B": 4})
    assert not over_limits(Policy(), few)
    strict = Policy(limits=Limits(delete_share_from=1))
    assert [each.code for each in over_limits(strict, few)] == ["limit-delete-share"] * 2


def test_undoing_a_runs_own_work_is_limited_by_nothing() -> None:
    assert over_limits(Policy(), FULL._replace(deletes=10**6, operations=10**7, case_files=None), undoing=True) == []


# --- approval and digest ---------------------------------------------------------------------------------------


def test_one_other_person_within_three_days_by_default() -> None:
    assert Policy().approval == Approval(required=1, own=False, expires=72 * HOUR)


def test_the_canonical_policy_is_what_rfc_8785_makes_of_it() -> None:
    """msgspec's sorted encoding equals RFC 8785 only without floating-point numbers."""
    for share in (0.25, 1.0, 1e-7, 1 / 3):
        plain = canonical(Policy(limits=Limits(delete_share=share)))
        assert msgspec.json.Encoder(order="sorted").encode(plain) == rfc8785.dumps(plain)
        assert float(plain["limits"]["delete_share"]) == share


def leaves(value: object, prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {key: leaf for name, inner in value.items() for key, leaf in leaves(inner, (*prefix, name)).items()}


def test_every_key_of_the_policy_is_in_its_digest() -> None:
    plain = leaves(canonical(Policy()))
    fields = leaves(msgspec.to_builtins(Policy()))
    assert plain.keys() == fields.keys()
    for changed in (
        Policy(weak_mounts="allow"),
        Policy(protect=Paths(paths=())),
        Policy(limits=Limits(deletes=99)),
        Policy(approval=Approval(own=True)),
    ):
        assert canonical(changed) != canonical(Policy())


def test_no_key_is_both_acted_on_and_refused() -> None:
    fields = {"policy." + ".".join(key) for key in leaves(msgspec.to_builtins(Policy()))}
    assert not any(field == key or field.startswith(f"{key}.") for field in fields for key in NOT_YET)


# --- sizes and durations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5 GiB", 5 * 2**30),
        ("5GiB", 5 * 2**30),
        ("0 B", 0),
        ("1 kB", 1000),
        (" 2 TB ", 2 * 10**12),
        ("7 MiB", 7 * 2**20),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("5", ["'5' has no unit", "GiB"]),
        ("5 gib", ["'gib' is not a unit", "GiB"]),
        ("1.5 GiB", ["'1.5 GiB'", "whole number"]),
        ("-1 B", ["'-1 B'"]),
        ("", ["''"]),
        ("\x1b B", [r"\x1b"]),
        ("9007199254740992 B", ["too large"]),
        ("٣ B", ["whole number"]),
    ],
)
def test_what_is_no_size_is_refused_in_a_sentence(text: str, words: list[str]) -> None:
    with pytest.raises(ValueError) as caught:
        parse_size(text)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("72h", 72 * HOUR), ("10s", 10_000), ("90d", 90 * 24 * HOUR), ("2w", 14 * 24 * HOUR), ("250ms", 250), ("0s", 0)],
)
def test_durations_are_read(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


@given(st.integers(0, 2**53 - 1))
def test_what_is_written_reads_back_exactly(number: int) -> None:
    assert parse_size(write_size(number)) == number
    assert parse_duration(write_duration(number)) == number


def test_they_are_written_as_people_write_them() -> None:
    assert write_size(5 * GIB) == "5 GiB"
    assert write_duration(72 * HOUR) == "72h"
    assert write_duration(90 * 24 * HOUR) == "90d"
    assert write_duration(10_000) == "10s"


NAMES = st.sampled_from(["a", "b.pdf", "é", "e\u0301", "Originals", "word.lock", ".x", "A"])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(["**", "Inbox/**", "**/*.pdf", "/Smith/é", "a/**", "/Jones/**"]), max_size=3),
    st.lists(st.sampled_from(["**/Originals/**", "*.lock", "**/é", "Inbox/a", "**/[ab]*", "/Smith/**"]), max_size=3),
    st.sampled_from(["Smith", "Smith/Inbox", "Smith/a/b", "Jones/Originals/x"]),
    st.sets(NAMES),
)
def test_names_of_one_folder_are_refused_together_as_they_are_one_by_one(
    allow: list[str], protect: list[str], folder: str, names: set[str]
) -> None:
    """The quick way gives the very names that the slow way does, accents in either form included."""
    gate = keeper(allow=tuple(allow), protect=tuple(protect))
    assert gate.refused_in(folder, names) == {name for name in names if gate.refusal(f"{folder}/{name}")}
