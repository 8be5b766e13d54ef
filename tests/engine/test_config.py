"""Claims about the settings: one table behind the file, the variables and the reference."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from treegate.engine.config import SETTINGS, Config
from treegate.engine.configfile import FILE, load
from treegate.engine.configpages import default_toml, reference, show
from treegate.model.policy import NOT_YET


def written(folder: Path, text: str | bytes) -> Path:
    (folder / FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


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


def test_the_table_has_a_row_for_every_value_of_the_configuration_and_no_other() -> None:
    assert [setting.key for setting in SETTINGS] == list(dict.fromkeys(setting.key for setting in SETTINGS))
    kept_elsewhere = {"groups": "policy.groups"}  # a section of its own in the file, and a part of policy
    assert {kept_elsewhere.get(setting.key, setting.key) for setting in SETTINGS} == fields(Config())


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
    found = show(load(written(tmp_path, text), {"TREEGATE_POLICY_LIMITS_FILES": "8"}))
    shown = {each.key: (each.value, each.origin) for each in found}
    assert list(shown) == [setting.key for setting in SETTINGS]
    assert shown["policy.limits.deletes"] == ("7", f"{FILE}, line 2")
    assert shown["policy.limits.files"] == ("8", "TREEGATE_POLICY_LIMITS_FILES")
    assert shown["policy.allow.paths"] == ('["a"]', f"{FILE}, line 5")
    assert shown["lock_wait"] == ('"10s"', "default")
