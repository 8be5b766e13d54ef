"""Claims about who must approve: rules only ever add, the strictest wins, and nobody is spared by half a rule."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treegate.model.approvals import BASE, Approval, Approvals, Missing, Rule, Yes, asked, missing, waiting
from treegate.model.conditions import CLASSES, FIGURES, Bound, Subject, When

GROUPS = {"partners": ("anna", "ben"), "clerks": ("cleo", "anna"), "empty": ()}
NOTHING = Subject()
BOTH = [Missing(3, ()), Missing(1, ("group:partners",))]
PEOPLE = ("anna", "ben", "cleo", "dora")


def when(**given) -> When:
    figures = tuple(Bound.parse(key, given.pop(key)) for key in FIGURES if key in given)
    return When(figures=figures, **given)


def wanted(*rules: Rule, required: int = 1, subject: Subject = NOTHING) -> Approvals:
    return asked(Approval(required=required, rule=rules), subject)


# --- what is asked ---------------------------------------------------------------------------------------------


def test_without_rules_the_base_requirement_is_all():
    found = wanted(required=2)
    assert [(rule.rule, rule.required) for rule in found.rules] == [(BASE, 2)]
    assert missing(found, [Yes("anna", "reviewer")], GROUPS) == [Missing(1, ())]


def test_a_rule_that_matches_says_why_and_one_that_does_not_says_why_not():
    rules = (
        Rule(name="many deletions", when=when(deletes=">20"), required=2, people=("group:partners",)),
        Rule(when=when(replacements=">=5"), required=3),
    )
    found = wanted(*rules, subject=Subject(figures={"deletes": 31, "replacements": 4}))
    assert found.why == [
        "policy.approval.required = 1",
        "many deletions asks for 2 of partners: deletes is 31, >20",
    ]
    assert [(rule.rule, rule.why) for rule in found.unmatched] == [
        ("policy.approval.rule[2]", "replacements is 4, not >=5")
    ]
    assert found.required == 2


def test_every_rule_wants_its_own_people():
    """Two partners and a clerk: the approval of someone in both groups counts for both."""
    found = wanted(Rule(required=2, people=("group:partners",)), Rule(required=1, people=("group:clerks",)))
    anna, ben, cleo = (Yes(name, "reviewer") for name in ("anna", "ben", "cleo"))
    assert missing(found, [anna, ben], GROUPS) == []
    assert missing(found, [ben, cleo], GROUPS) == [Missing(1, ("group:partners",))]
    assert missing(found, [ben, ben, ben], GROUPS) == [
        Missing(1, ("group:partners",)),
        Missing(1, ("group:clerks",)),
    ]


def test_people_are_named_by_group_role_or_name():
    for people, counting in (("group:partners", ["anna", "ben"]), ("role:admin", ["dora"]), ("cleo", ["cleo"])):
        found = wanted(Rule(required=1, people=(people,)))
        yes = {name: Yes(name, "admin" if name == "dora" else "reviewer") for name in PEOPLE}
        assert [name for name in PEOPLE if not missing(found, [yes[name]], GROUPS)] == counting
        named = missing(found, [Yes(people, "reviewer")], GROUPS)
        assert bool(named) == (":" in people), "nobody is let in by being named like a group"


def test_a_rule_that_asks_for_nobody_lifts_the_base_only_where_no_other_matches():
    nobody = Rule(name="small", when=when(only=("moved",)), required=0)
    other = Rule(when=when(files=">1"), required=1)
    alone = wanted(nobody, required=3, subject=Subject(classes=frozenset({"moved"}), figures={"files": 1}))
    assert (alone.required, missing(alone, [], GROUPS)) == (0, [])
    assert alone.why == ["small asks for nobody: all that happens is moved"]
    beside = wanted(nobody, other, required=3, subject=Subject(classes=frozenset({"moved"}), figures={"files": 2}))
    assert beside.required == 3
    assert [rule.rule for rule in beside.unmatched] == ["small"]
    unmatched = wanted(nobody, required=3, subject=Subject(classes=frozenset({"moved", "deleted"})))
    assert unmatched.required == 3
    assert unmatched.unmatched[0].why == "something is deleted"


def test_what_was_sealed_without_rules_still_wants_someone():
    """A preview of an older version has no list of rules: it is not taken for one that nobody need approve."""
    old = Approvals(required=0, own=False, expires="72h", why=[])
    assert missing(old, [], GROUPS) == [Missing(1, ())]


# --- conditions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "holds", "fails"), [(">20", 21, 20), (">=20", 20, 19), ("<20", 19, 20), ("<= 20", 20, 21), ("=0", 0, 1)]
)
def test_a_comparison_means_what_it_says(text, holds, fails):
    bound = Bound.parse("deletes", text)
    assert bound.holds(holds)
    assert not bound.holds(fails)
    assert Bound.parse("deletes", bound.written()) == bound


def test_a_size_may_be_compared_and_only_where_it_is_one():
    assert Bound.parse("delete_bytes", "> 1 GiB") == Bound("delete_bytes", ">", 1 << 30)
    assert Bound("bytes", "<=", 2048).written() == "<=2 KiB"
    for of, text in (("deletes", ">1 GiB"), ("bytes", ">5"), ("deletes", "20"), ("deletes", "=>1"), ("files", ">-1")):
        with pytest.raises(ValueError, match=r"write|unit"):
            Bound.parse(of, text)


def test_a_move_between_cases_is_no_move():
    crossing = Subject(classes=frozenset({"crossing"}))
    assert wanted(Rule(when=when(only=("moved",)), required=0), subject=crossing).required == 1
    assert wanted(Rule(when=when(any=("crossing",)), required=2), subject=crossing).required == 2
    assert wanted(Rule(when=when(any=("moved",)), required=2), subject=crossing).required == 1


def test_a_rule_that_asks_is_woken_by_one_case_and_one_that_spares_must_know_them_all():
    both = Subject(cases=("Jones", "Smith"))
    assert wanted(Rule(when=when(case=("Smith",)), required=2), subject=both).required == 2
    assert wanted(Rule(when=when(case=("Smith",)), required=0), subject=both).required == 1
    assert wanted(Rule(when=when(case=("Smith", "Jones")), required=0), subject=both).required == 0
    assert wanted(Rule(when=when(case=("Smith",)), required=0), subject=Subject()).required == 1


def test_a_rule_that_spares_must_cover_every_path():
    subject = Subject(touching=lambda patterns: "Smith/Inbox/a", outside=lambda patterns: "Smith/b")
    assert wanted(Rule(when=when(paths=("Inbox/**",)), required=2), subject=subject).required == 2
    spared = wanted(Rule(when=when(paths=("Inbox/**",)), required=0), subject=subject)
    assert spared.required == 1
    assert spared.unmatched[0].why == "'Smith/b' lies outside 'Inbox/**'"


def test_author_and_mount_are_conditions_too():
    subject = Subject(author="bot", weak=True)
    assert wanted(Rule(when=when(author=("bot",)), required=2), subject=subject).required == 2
    assert wanted(Rule(when=when(author=("eve",)), required=2), subject=subject).required == 1
    assert wanted(Rule(when=when(mount_weak=True), required=2), subject=subject).required == 2
    assert wanted(Rule(when=when(mount_weak=False), required=2), subject=subject).required == 1


# --- any rules at all ------------------------------------------------------------------------------------------

bounds = st.sampled_from([">2", "<3", "=0"])
figures = st.sampled_from(["deletes", "files", "effects"])
whens = st.builds(
    lambda figures, only, any: when(**figures, only=only, any=any),
    st.dictionaries(figures, bounds, max_size=2),
    st.sampled_from([(), ("moved",), ("moved", "made")]),
    st.sampled_from([(), ("deleted",), ("crossing", "moved")]),
)
people = st.sampled_from(["group:partners", "group:clerks", "group:empty", "role:admin", "dora"])
someone = st.lists(people, max_size=2).map(tuple)
asking = st.builds(lambda w, n, p: Rule(when=w, required=n, people=p), whens, st.integers(1, 3), someone)
sparing = st.builds(lambda w: Rule(when=w, required=0), whens)
any_rules = st.lists(st.one_of(asking, sparing), max_size=4)
subjects = st.builds(
    lambda figures, classes: Subject(figures=figures, classes=classes),
    st.dictionaries(figures, st.integers(0, 5)),
    st.frozensets(st.sampled_from(CLASSES), max_size=3),
)
yeses = st.lists(st.builds(Yes, st.sampled_from(PEOPLE), st.sampled_from(["reviewer", "admin"])), max_size=4)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(asking, sparing), max_size=4), asking, subjects, yeses, st.integers(0, 4), st.integers(1, 2)
)
def test_adding_a_rule_that_asks_for_people_never_lowers_what_is_asked(rules, more, subject, given, at, required):
    """Whatever satisfies the longer list satisfies the shorter one."""
    before = asked(Approval(required=required, rule=tuple(rules)), subject)
    after = asked(Approval(required=required, rule=(*rules[:at], more, *rules[at:])), subject)
    assert after.required >= before.required
    if not missing(after, given, GROUPS):
        assert not missing(before, given, GROUPS)


@settings(max_examples=300, deadline=None)
@given(any_rules, subjects, yeses, st.integers(1, 2))
def test_a_plan_is_satisfied_only_where_each_matching_rule_is(rules, subject, given, required):
    found = asked(Approval(required=required, rule=tuple(rules)), subject)
    each = []
    for rule in found.rules:
        alone = Approvals(required=rule.required, own=False, expires="1h", why=[], rules=[rule])
        each.append(not missing(alone, given, GROUPS))
    assert (missing(found, given, GROUPS) == []) == all(each)
    assert len(found.rules) + len(found.unmatched) in (len(rules), len(rules) + 1)


@settings(max_examples=200, deadline=None)
@given(st.lists(asking, max_size=3), st.lists(sparing, max_size=3), subjects)
def test_nobody_is_asked_only_where_no_rule_asks(rules, sparing, subject):
    found = asked(Approval(rule=(*rules, *sparing)), subject)
    without = asked(Approval(rule=tuple(rules)), subject)
    spared = asked(Approval(rule=tuple(sparing)), subject)
    assert (found.required == 0) == (len(without.rules) == 1 and spared.required == 0)
    if found.required:
        assert found.rules == without.rules


@settings(max_examples=200, deadline=None)
@given(any_rules, subjects, yeses, st.sampled_from(PEOPLE))
def test_one_more_approval_never_adds_to_what_is_missing(rules, subject, given, person):
    found = asked(Approval(rule=tuple(rules)), subject)
    before = sum(one.count for one in missing(found, given, GROUPS))
    assert sum(one.count for one in missing(found, [*given, Yes(person, "reviewer")], GROUPS)) <= before


# --- words -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "given", "words"),
    [
        ([Missing(1, ())], [], "a reviewer other than bot"),
        ([Missing(2, ())], [], "2 reviewers other than bot"),
        ([Missing(1, ()), Missing(2, ("group:partners",))], [], "2 of partners (anna, ben)"),
        (BOTH, ["ben"], "1 of partners (anna) and 3 reviewers other than bot"),
        ([Missing(2, ("group:partners",))], ["anna"], "2 of partners (only ben can, which is not enough)"),
        ([Missing(1, ("group:empty",))], [], "1 of empty (nobody can)"),
        ([Missing(1, ("role:admin",))], [], "1 of role:admin"),
        ([Missing(1, ("dora",))], [], "dora"),
        ([Missing(1, ("dora", "group:partners"))], [], "1 of dora or partners (dora, anna, ben)"),
    ],
)  # fmt: skip
def test_who_is_missing_is_said_in_words(found, given, words):
    assert waiting(found, GROUPS, [Yes(name, "reviewer") for name in given], ["bot"]) == words
