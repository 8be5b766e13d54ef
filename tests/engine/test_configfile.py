"""Claims about treegate.toml: read strictly, and said where."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treegate.engine.config import Config
from treegate.engine.configfile import FILE, _leaves, _lines, load
from treegate.engine.configpages import show
from treegate.errors import UsageError
from treegate.model.conditions import Bound
from treegate.model.measures import DAY, GIB
from treegate.model.policy import Gatekeeper


def written(folder: Path, text: str | bytes) -> Path:
    (folder / FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def refused(folder: Path, text: str | bytes = "", **environ: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load(written(folder, text), environ)
    assert caught.value.code == "config-invalid"
    assert caught.value.path == str(folder / FILE)
    return caught.value


# --- values ----------------------------------------------------------------------------------------------------


def test_values_arrive_in_their_units(tmp_path: Path) -> None:
    text = """
lock_wait = "1m"
[vault]
keep = "2w"
max_size = "3 GiB"
[policy.limits]
delete_share = 1
[policy.names]
rules = ["gcs", "windows", "gcs"]
[policy.apply]
by = []
"""
    config = load(written(tmp_path, text), {})
    assert (config.lock_wait, config.vault.keep, config.vault.max_size) == (60_000, 14 * DAY, 3 * GIB)
    assert config.policy.limits.delete_share == 1.0
    assert config.policy.names.rules == ("gcs", "windows")
    assert config.policy.apply.by == ()


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("a/**, /Smith/b", ("a/**", "/Smith/b")),
        ('["a, b", "c"]', ("a, b", "c")),
        ("[ab]*", ("[ab]*",)),
        ("", ()),
    ],
)
def test_a_list_in_a_variable_is_toml_or_has_commas(text: str, patterns: tuple[str, ...], tmp_path: Path) -> None:
    config = load(tmp_path, {"TREEGATE_POLICY_PROTECT_PATHS": text})
    assert config.policy.protect.paths == patterns
    Gatekeeper(config.policy)


def test_other_variables_of_ours_are_left_alone(tmp_path: Path) -> None:
    assert (
        load(tmp_path, {"TREEGATE_WORKSPACE": "x", "TREEGATE_STATE": "y", "TREEGATE_TOKEN": "z", "PATH": ""})
        == Config()
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("policy.limits.deletes = '20'", "policy.limits.deletes: must be a whole number, 0 or more, not text"),
        ("policy.limits.deletes = true", "not true or false"),
        ("policy.limits.deletes = -1", "not -1"),
        ("policy.limits.deletes = 1.5", "not a fraction"),
        ("policy.limits.deletes = 9007199254740992", "not 9007199254740992"),
        ("policy.limits.deletes = 2024-01-01", "not a date or time"),
        ("policy.limits.deletes = [1]", "not a list"),
        ("policy.limits.delete_share = 1.01", "a number from 0 to 1, not 1.01"),
        ("policy.limits.delete_share = nan", "not nan"),
        pytest.param("policy.limits.delete_share = 1" + "0" * 400, "not 1000", id="larger than any fraction"),
        ("policy.limits.delete_share = true", "not true or false"),
        ("policy.limits.delete_bytes = 5", "not a whole number"),
        ("policy.limits.delete_bytes = '5 gib'", "'gib' is not a unit of a size"),
        ("policy.approval.required = 0", "1 or more, not 0"),
        ("policy.approval.own = 1", "must be true or false"),
        ("policy.approval.expires = '72'", "'72' has no unit"),
        ("policy.allow.paths = 'a'", "must be a list of patterns, not text"),
        ("policy.allow.paths = ['a', 3]", "each in quotes, not a whole number"),
        ("policy.allow.paths = ['a', 'b**']", "holds the pattern 'b**': '**' must stand alone"),
        ("policy.allow.paths = ['a/']", "write 'a' or 'a/**'"),
        ("policy.names.rules = ['gsc']", "holds 'gsc'"),
        ("policy.apply.by = ['reviewr']", "did you mean 'reviewer'?"),
        ("policy.weak_mounts = 'maybe'", 'one of "refuse", "allow", not \'maybe\''),
        ("vault.keep = 'never'", '"forever"'),
        ("workspace.reports = '/abs'", "not '/abs'"),
        ("workspace.reports = '../x'", "relative to the workspace"),
        ("workspace.reports = '.'", "relative to the workspace"),
        ("workspace.reports = 'a/.treegate'", "relative to the workspace"),
        ("workspace.reports = 'projects/x'", "are not apart"),
        ("workspace.reports = 'Database'", "are not apart"),
    ],
)
def test_a_wrong_value_is_refused_with_its_line(line: str, said: str, tmp_path: Path) -> None:
    message = refused(tmp_path, f"# first\n\n{line}\n").message
    assert said in message
    assert message.startswith(f"{FILE}, line 3: ")


def test_the_workspace_itself_may_hold_the_cases(tmp_path: Path) -> None:
    assert load(written(tmp_path, "workspace.projects = '.'"), {}).workspace.projects == "."


# --- keys ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("policy.limits.delets = 1", "did you mean policy.limits.deletes?"),
        ("policy.deletes = 1", "did you mean policy.limits.deletes?"),
        ("lockwait = '1s'", "did you mean lock_wait?"),
        ("[queues]", "queues: is not a key"),
        ("sandbox.engin = 'docker'", "did you mean sandbox.engine?"),
        ("policy = 3", "is a section, [policy]"),
        ("[policy.limits.deletes]", "must be a whole number, 0 or more, not a section"),
        ("policy.limits.deletes.x = 1", "policy.limits.deletes.x: is not a key"),
        ("slack.signing_secret = 'hunter2'", "secrets come from variables or files"),
        ('"\\u202e" = 1', r"\u202e: is not a key"),
    ],
)
def test_an_unknown_key_is_refused_with_its_line_and_what_was_meant(line: str, said: str, tmp_path: Path) -> None:
    message = refused(tmp_path, f"\n{line}\n").message
    assert message.startswith(f"{FILE}, line 2: ")
    assert said in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    "text",
    [
        "[policy.approval]\nfrom = ['group:partners']",
    ],
)
def test_what_this_version_does_not_act_on_is_refused_and_never_ignored(text: str, tmp_path: Path) -> None:
    message = refused(tmp_path, text).message
    assert "later version" in message
    assert re.match(rf"{FILE}, line [12]: policy\.", message)


def test_a_later_key_is_refused_as_a_variable_too(tmp_path: Path) -> None:
    error = refused(tmp_path, TREEGATE_POLICY_APPROVAL_FROM="anna")
    assert error.message.startswith("TREEGATE_POLICY_APPROVAL_FROM: ")
    assert "later version" in error.message


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TREEGATE_POLICY_LIMITS_DELETES", "many", "must be a whole number, 0 or more, not text"),
        ("TREEGATE_POLICY_LIMITS_DELETES", "1\n2", "not text"),
        ("TREEGATE_POLICY_LIMITS_DELETES", "[" * 9000, "not text"),
        ("TREEGATE_POLICY_LIMIT_DELETES", "1", "did you mean policy.limits.deletes?"),
        ("TREEGATE_POLICY_APPROVAL_OWN", "yes", "must be true or false"),
        ("TREEGATE_POLICY_ALLOW_PATHS", "caf\udce9", "is not UTF-8"),
        ("TREEGATE_VAULT_KEPT", "1d", "is not a key"),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(name: str, value: str, said: str, tmp_path: Path) -> None:
    message = refused(tmp_path, **{name: value}).message
    assert message.startswith(f"{name}: ")
    assert said in message


def test_all_that_is_wrong_is_said_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "lock_wait = 3\n[queue]\nx = 1\n[policy.limits]\ndeletes = 'x'\nfiles = 'y'\n[vault]\nkept = 1\n"
    lines = refused(tmp_path, text, TREEGATE_LOCK_WAIT="x").message.splitlines()
    assert [re.match(rf"{FILE}, line (\d+)|TREEGATE_LOCK_WAIT", line)[1] for line in lines] == [
        "1",
        "3",
        "5",
        "6",
        "8",
        None,
    ]


# --- rules and groups ------------------------------------------------------------------------------------------

RULES = """
[groups]
partners = ["anna", "ben"]

[[policy.approval.rule]]
name = "many"
when = { deletes = ">20", delete_bytes = ">=1 GiB", any = ["crossing"], paths = ["Contracts/**"], mount_weak = true }
required = 2
from = ["group:partners", "role:admin", "dora"]

[[policy.approval.rule]]
required = 0
[policy.approval.rule.when]
only = ["moved", "made"]
case = ["Smith"]
author = ["bot"]
"""


def test_rules_and_groups_are_read_and_written_as_they_mean(tmp_path: Path) -> None:
    config = load(written(tmp_path, RULES), {})
    many, few = config.policy.approval.rule
    assert config.groups == {"partners": ("anna", "ben")}
    assert (many.name, many.required, many.people) == ("many", 2, ("group:partners", "role:admin", "dora"))
    assert many.when.figures == (Bound("deletes", ">", 20), Bound("delete_bytes", ">=", GIB))
    assert (many.when.any, many.when.paths, many.when.mount_weak) == (("crossing",), ("Contracts/**",), True)
    assert (few.required, few.when.only, few.when.case) == (0, ("moved", "made"), ("Smith",))
    assert few.when.author == ("bot",)
    again = "".join(f"{row.key} = {row.value}\n" for row in show(config))
    assert load(written(tmp_path, again), {}).policy == config.policy


def test_rules_and_groups_may_be_variables_written_as_toml(tmp_path: Path) -> None:
    rule = '[{ required = 2, from = ["group:p.q"] }]'
    config = load(tmp_path, {"TREEGATE_GROUPS": '{ "p.q" = ["x"] }', "TREEGATE_POLICY_APPROVAL_RULE": rule})
    assert config.groups == {"p.q": ("x",)}
    assert config.policy.approval.rule[0].people == ("group:p.q",)
    assert load(tmp_path, {"TREEGATE_GROUPS": show(config)[1].value}).groups == config.groups
    assert "TREEGATE_POLICY_APPROVAL_RULE: policy.approval.rule[1].from: there is no group 'p.q'" in (
        refused(tmp_path, TREEGATE_POLICY_APPROVAL_RULE=rule).message
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('deletes = ">20"', 'delets = ">20"', 7, "rule[1].when.delets: is not a condition; did you mean deletes?"),
        ('deletes = ">20"', "deletes = 20", 7, 'rule[1].when.deletes: must be a comparison in quotes, such as ">20"'),
        ('">20"', '"20"', 7, "does not compare"),
        ('">=1 GiB"', '">=1"', 7, "has no unit"),
        ('["crossing"]', '["crosing"]', 7, "did you mean 'crossing'?"),
        ('["crossing"]', "[]", 7, "and not empty"),
        ('["Contracts/**"]', '["Contracts/"]', 7, "rule[1].when.paths: holds the pattern 'Contracts/'"),
        ("mount_weak = true", "mount_weak = 1", 7, "rule[1].when.mount_weak: must be true or false"),
        ("required = 2", "requires = 2", 8, "rule[1].requires: is not a key of a rule; did you mean required?"),
        ("required = 2", "", 5, "rule[1]: does not say how many must approve"),
        ("required = 2", "required = -1", 8, "rule[1].required: must be a whole number"),
        ("group:partners", "group:partner", 9, "rule[1].from: there is no group 'partner'; did you mean partners?"),
        ("role:admin", "role:boss", 9, "rule[1].from: holds 'boss'"),
        ('"dora"', '"user:dora"', 9, "write a person's name, group:NAME or role:NAME"),
        ('case = ["Smith"]', "case = 'Smith'", 15, "rule[2].when.case: must be a list of names"),
        ('only = ["moved", "made"]', 'any = ["moved"]', 11, "`any` leaves open what else may happen; use `only`"),
        ("required = 0", "required = 0\nfrom = ['anna']", 11, "asks for nobody (required = 0), and yet names people"),
        ('["anna", "ben"]', '"anna"', 3, "groups.partners: must be a list of names"),
        ('["anna", "ben"]', '["anna", ""]', 3, "groups.partners: holds an empty name"),
    ],
)
def test_what_is_wrong_in_a_rule_or_group_is_refused_with_its_own_line(
    old: str, new: str, line: int, said: str, tmp_path: Path
) -> None:
    assert old in RULES
    message = refused(tmp_path, RULES.replace(old, new, 1)).message
    assert said in message
    assert message.startswith(f"{FILE}, line {line}: ")


def test_a_rule_that_asks_for_nobody_says_when(tmp_path: Path) -> None:
    for text in ("required = 0", "required = 0\nwhen = {}"):
        assert "whatever the plan does" in refused(tmp_path, f"[[policy.approval.rule]]\n{text}\n").message


def test_everything_wrong_in_the_rules_is_said_at_once(tmp_path: Path) -> None:
    text = RULES.replace('">20"', "3").replace("required = 2", "required = true").replace('"Smith"', "4")
    lines = refused(tmp_path, text).message.splitlines()
    assert [line.partition(": ")[0].rpartition(" ")[2] for line in lines] == ["7", "8", "15"]


# --- files that are no configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\na = 2\n", 2),
        ("[policy]\n[vault]\n[policy]\n", 3),
        ("x = \n", 1),
        ("\n\nnonsense\n", 3),
        ('lock_wait = "10s\n', 1),
        ("policy.allow.paths = [\n'a',\n", 3),
        (b"# ok\nlock_wait = '\xff'\n", 2),
    ],
)
def test_a_file_that_is_not_toml_is_refused_with_its_line(text: str | bytes, line: int, tmp_path: Path) -> None:
    assert f"line {line}:" in refused(tmp_path, text).message


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    assert "too deeply" in refused(tmp_path, "x = " + "[" * 5000 + "]" * 5000).message


def test_a_folder_in_the_files_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path, {})


def test_other_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    config = load(written(tmp_path, b"\xef\xbb\xbf# x\r\n[policy.limits]\r\ndeletes = 3\r\n"), {})
    assert config.policy.limits.deletes == 3
    assert config.origins == {"policy.limits.deletes": f"{FILE}, line 3"}


statements = st.sampled_from(
    [
        "",
        "# note",
        "[s{n}]",
        "[s{n}.t]",
        "[[list{n}]]",
        "k{n} = 1",
        "k{n} = '''\n[no]\nx = 2\n'''",
        "k{n} = [\n  1,\n]",
        "k{n} = [ # ] \"\n  \"]\", [\n], '[', # '\n]",
        'k{n} = """\n]\\"""\n"["""""',
    ]
    + ['"q.{n}" = {{ a = 1, b = {{ c = 2 }} }}', "d.e{n} = 3"]
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nlock_wait = " + "9" * 5000, "line 2: a number has more digits"),
        ("\n\n" + "a." * 5000 + "b = 1", "line 3: a key has more than a hundred parts"),
        ("\n" * 70_000, "more than 65,536 bytes"),
    ],
    ids=["digits", "parts", "size"],
)
def test_what_would_take_too_much_to_read_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in str(refused(tmp_path, text))


def test_a_value_of_many_lines_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once more for each line that might be its last: a file of 60 KiB would take minutes."""
    parsed: list[str] = []
    real = tomllib.loads
    monkeypatch.setattr(tomllib, "loads", lambda text: parsed.append(text) or real(text))
    refused(tmp_path, "x = [\n" + "[],\n" * 15_000 + "]\n")
    assert sum(map(len, parsed)) <= 3 * 60_010


@given(st.lists(statements, max_size=8))
def test_every_key_of_a_file_has_the_line_where_it_stands(parts: list[str]) -> None:
    text = "\n".join(part.format(n=n) for n, part in enumerate(parts))
    lines = _lines(text)
    for key, _ in _leaves((), tomllib.loads(text)):
        if key:
            number = re.search(r"\d+", key[0]) or re.search(r"\d+", key[-1]) or re.search(r"\d+", key[1])
            part = int(re.findall(r"\d+", " ".join(key))[-1]) if number else 0
            before = "\n".join(p.format(n=n) for n, p in enumerate(parts[:part]))
            assert lines[key] == (before.count("\n") + 2 if part else 1)
