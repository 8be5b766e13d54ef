"""Retention: what goes, when and why, for any vault."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from treegate.model.measures import MINUTE
from treegate.model.retention import Because, Entry, Limits, Verdict, judge, went_back

NOW = 1_000
ENTRIES = some.lists(
    some.builds(
        Entry,
        case=some.sampled_from(["Smith", "Jones"]),
        size=some.integers(0, 9),
        until=some.none() | some.integers(NOW - 3, NOW + 3),
        named_by=some.sampled_from(["", "", "pl_a", "run_a"]),
    ),
    max_size=12,
)
SIZES = some.none() | some.integers(0, 40)
LIMITS = some.builds(Limits, case=SIZES, total=SIZES)


def staying(entries: list[Entry], verdicts: list[Verdict], case: str = "") -> list[Entry]:
    pairs = zip(entries, verdicts, strict=True)
    return [entry for entry, verdict in pairs if not verdict.due and case in ("", entry.case)]


@given(ENTRIES, LIMITS, some.booleans())
def test_nothing_goes_while_something_names_it(entries, limits, back):
    """Neither by age nor by size; and the verdict says which kind of thing it was."""
    for entry, verdict in zip(entries, judge(entries, NOW, limits, clock_back=back), strict=True):
        if entry.named_by:
            because = Because.RUN if entry.named_by == "run_a" else Because.PLAN
            assert verdict == Verdict(None, False, because)


@given(ENTRIES, LIMITS)
def test_all_that_is_past_its_time_goes_and_nothing_else_goes_by_age(entries, limits):
    for entry, verdict in zip(entries, judge(entries, NOW, limits), strict=True):
        past = not entry.named_by and entry.until is not None and entry.until <= NOW
        assert (verdict.due and verdict.because is Because.AGE) == past
        if verdict.because is Because.AGE:
            assert verdict.goes_at == entry.until


@given(ENTRIES, LIMITS)
def test_what_stays_fits_unless_something_names_all_of_it(entries, limits):
    """In each case, and in all."""
    verdicts = judge(entries, NOW, limits)
    for case, most in (("Smith", limits.case), ("Jones", limits.case), ("", limits.total)):
        left = staying(entries, verdicts, case)
        free = [entry for entry in left if not entry.named_by and entry.size]
        assert most is None or sum(entry.size for entry in left) <= most or not free


@given(ENTRIES, LIMITS)
def test_size_takes_the_oldest_first_and_no_more_than_it_must(entries, limits):
    """With the last one that it took, what stays would not have fitted; and none that it could take is older."""
    verdicts = judge(entries, NOW, limits)
    for because, most in ((Because.CASE_SIZE, limits.case), (Because.SIZE, limits.total)):
        for case in ("Smith", "Jones") if because is Because.CASE_SIZE else ("",):
            rows = [n for n, entry in enumerate(entries) if case in ("", entry.case)]
            taken = [n for n in rows if verdicts[n].because is because]
            if not taken:
                continue
            gone_before = {Because.AGE, Because.CASE_SIZE} - {because}
            left = [n for n in rows if not verdicts[n].due]
            if because is Because.CASE_SIZE:  # what the limit on all took besides was still there
                left += [n for n in rows if verdicts[n].because is Because.SIZE]
            assert sum(entries[n].size for n in left) + entries[taken[-1]].size > most
            older = [n for n in rows if n < taken[-1] and entries[n].size and not entries[n].named_by]
            assert all(verdicts[n].due and verdicts[n].because in {because, *gone_before} for n in older)


@given(ENTRIES, LIMITS)
def test_what_is_not_due_stays_when_pruned_again(entries, limits):
    """Pruning is done in one go: judged again, what stayed stays."""
    left = staying(entries, judge(entries, NOW, limits))
    assert not any(verdict.due for verdict in judge(left, NOW, limits))


@given(ENTRIES)
def test_by_a_clock_that_went_back_nothing_goes_by_age(entries):
    verdicts = judge(entries, NOW, Limits(), clock_back=True)
    assert not any(verdict.due for verdict in verdicts)
    for entry, verdict in zip(entries, verdicts, strict=True):
        past = not entry.named_by and entry.until is not None and entry.until <= NOW
        assert (verdict.because is Because.CLOCK) == past


def test_a_clock_may_be_set_back_a_little():
    """Less than a minute is what keeping time does to clocks."""
    assert not went_back(NOW, NOW + MINUTE)
    assert went_back(NOW, NOW + MINUTE + 1)


def test_what_is_kept_for_good_goes_by_size_alone():
    entries = [Entry("Smith", 5, None), Entry("Smith", 5, None)]
    assert [v.because for v in judge(entries, NOW, Limits())] == [Because.FOREVER, Because.FOREVER]
    assert judge(entries, NOW, Limits(case=5))[0] == Verdict(NOW, True, Because.CASE_SIZE)
