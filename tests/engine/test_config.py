"""Claims about treegate.toml: read strictly, said where, and one table behind file, variables and reference."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from treegate.engine.config import (
    FILE,
    SETTINGS,
    Config,
    _leaves,
    _lines,
    default_toml,
    load,
    reference,
    show,
)
from treegate.errors import UsageError
from treegate.model.policy import DAY, GIB, NOT_YET, Gatekeeper


def written(folder: Path, text: str | bytes) -> Path:
    (folder / FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def refused(folder: Path, text: str | bytes = "", **environ: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load(written(folder, text), environ)
    assert caught.value.code == "config-invalid"
    assert caught.value.path == str(folder / FILE)
    return caught.value


def fields(value: object, prefix: str = "") -> set[str]:
    """The dotted names of all values within a struct."""
    if not isinstance(value, msgspec.Struct):
        return {prefix}
    return {
        key
        for name in value.__struct_fields__
        if name != "origins"
        for key in fields(getattr(value, name), f"{prefix}.{name}".lstrip("."))
    }


# --- one table -------------------------------------------------------------------------------------------------


def test_the_table_has_a_row_for_every_value_of_the_configuration_and_no_other() -> None:
    assert [setting.key for setting in SETTINGS] == list(dict.fromkeys(setting.key for setting in SETTINGS))
    assert {setting.key for setting in SETTINGS} == fields(Config())


def test_without_a_file_all_is_default(tmp_path: Path) -> None:
    assert load(tmp_path, {}) == Config()
    assert load(tmp_path / "nowhere", {}) == Config()
    assert load(written(tmp_path, ""), {}) == Config()


def test_the_default_file_loads_to_the_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, default_toml()), {}) == Config()


def test_the_default_file_says_every_default_truly(tmp_path: Path) -> None:
    """With every key uncommented it still loads to the defaults, and every key is set by it."""
    active = re.sub(r"(?m)^#(?! )", "", default_toml())
    config = load(written(tmp_path, active), {})
    assert config == Config(origins=config.origins)
    assert config.origins.keys() == {setting.key for setting in SETTINGS}


def test_the_default_file_takes_a_section_appended_to_it(tmp_path: Path) -> None:
    config = load(written(tmp_path, default_toml() + "[policy.limits]\ndeletes = 7\n"), {})
    assert config.policy.limits.deletes == 7


def test_the_default_file_with_changes_loads_to_them(tmp_path: Path) -> None:
    changes = {"policy.approval.own": True, "lock_wait": 500, "vault.keep": None, "workspace.projects": "."}
    config = load(written(tmp_path, default_toml(changes)), {})
    assert config.origins.keys() == changes.keys()
    assert (config.policy.approval.own, config.lock_wait, config.vault.keep) == (True, 500, None)
    with pytest.raises(KeyError, match="no such key"):
        default_toml({"policy.nothing": 1})


def test_the_reference_has_every_key_with_its_default() -> None:
    page = reference()
    for setting in SETTINGS:
        key = setting.key.rpartition(".")[2]
        assert (
            f"| `{key}` | {setting.kind.described} | `{setting.kind.write(setting.default)}` | {setting.meaning} |"
            in page
        )
    assert all(f"`{key}`" in page for key in NOT_YET)
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(SETTINGS)
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows), "no cell breaks the table"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_each_key_is_set_by_file_and_by_variable_alike(setting, tmp_path: Path) -> None:
    value = setting.kind.write(setting.default)
    by_file = load(written(tmp_path, f"{setting.key} = {value}\n"), {})
    (tmp_path / FILE).unlink()
    text = tomllib.loads(f"v = {value}")["v"]
    text = text if isinstance(text, str) else value
    by_variable = load(tmp_path, {setting.variable: text})
    assert by_file.origins == {setting.key: f"{FILE}, line 1"}
    assert by_variable.origins == {setting.key: setting.variable}
    assert Config(origins={}) == msgspec.structs.replace(by_file, origins={})
    assert Config(origins={}) == msgspec.structs.replace(by_variable, origins={})


def test_show_says_where_each_value_comes_from(tmp_path: Path) -> None:
    text = '[policy.limits]\ndeletes = 7\nfiles = 9\n[policy.allow]\npaths = [\n  "a",\n]\n'
    shown = {
        each.key: each[1:] for each in show(load(written(tmp_path, text), {"TREEGATE_POLICY_LIMITS_FILES": "8"}))
    }
    assert list(shown) == [setting.key for setting in SETTINGS]
    assert shown["policy.limits.deletes"] == ("7", f"{FILE}, line 2")
    assert shown["policy.limits.files"] == ("8", "TREEGATE_POLICY_LIMITS_FILES")
    assert shown["policy.allow.paths"] == ('["a"]', f"{FILE}, line 5")
    assert shown["lock_wait"] == ('"10s"', "default")


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
        ("[queue]", "queue: is not a key"),
        ("sandbox.engine = 'docker'", "sandbox.engine: is not a key"),
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
        "[policy.limits.per_day]\ndeletes = 200",
        "policy.limits.per_day = 1",
        "[[policy.approval.rule]]\nrequired = 2",
        "[policy.approval]\nfrom = ['group:partners']",
        "[policy.backup]\nbefore_moves = 'reflink'",
    ],
)
def test_what_this_version_does_not_act_on_is_refused_and_never_ignored(text: str, tmp_path: Path) -> None:
    message = refused(tmp_path, text).message
    assert "later version" in message or 'must be "off"' in message
    assert re.match(rf"{FILE}, line [12]: policy\.", message)


def test_a_later_key_is_refused_as_a_variable_too(tmp_path: Path) -> None:
    error = refused(tmp_path, TREEGATE_POLICY_LIMITS_PER_DAY_DELETES="5")
    assert error.message.startswith("TREEGATE_POLICY_LIMITS_PER_DAY_DELETES: ")
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
    ]
    + ['"q.{n}" = {{ a = 1, b = {{ c = 2 }} }}', "d.e{n} = 3"]
)


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
