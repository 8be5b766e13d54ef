"""Claims about policy and tokens at the shell."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from treegate.engine.configfile import FILE
from treegate.interfaces.cli import cli

RULES = """
[groups]
partners = ["anna", "ben"]
[[policy.approval.rule]]
name = "any deletion"
when = { deletes = ">0" }
required = 2
from = ["group:partners"]
[[policy.approval.rule]]
when = { crossings = ">0" }
required = 3
"""


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """A workspace with rules, and a way to type commands in it."""
    (tmp_path / "office/projects/Smith").mkdir(parents=True)
    for name in ("a.txt", "b.txt"):
        (tmp_path / "office/projects/Smith" / name).write_text("12345")
    monkeypatch.setenv("TREEGATE_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path / "office")

    def type_in(*words: str):
        done = CliRunner().invoke(cli, list(words))
        assert done.exit_code == 0, done.output + repr(done.exception)
        return done.stdout

    type_in("init", ".")
    (tmp_path / "state" / FILE).write_text(RULES)
    return type_in


def document(tmp_path) -> str:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"version": 1, "case": "Smith", "operations": [{"op": "delete", "path": "a.txt"}]}))
    return str(path)


def test_explain_tells_rules_figures_and_paths_of_a_file_and_of_a_stored_plan(shell, tmp_path):
    plan = document(tmp_path)
    submitted = json.loads(shell("submit", plan, "--json"))
    for named in (plan, submitted["id"]):
        told = shell("policy", "explain", named)
        assert "asks   any deletion: 2 from group:partners; 2 missing" in told
        assert "because deletes is 1, >0" in told
        assert "no     policy.approval.rule[2]: crossings is 0, not >0" in told
        assert "group  partners: anna, ben" in told
        assert "ok     per_day.deletes in Smith: " in told
        assert "protected: **/Originals/**, *.lock" in told
    assert "waits for 2 of partners (anna, ben)" in shell("policy", "explain", submitted["id"])
    found = json.loads(shell("policy", "explain", submitted["id"], "--json"))
    assert [(rule["rule"], rule["matches"], rule["from"]) for rule in found["rules"]] == [
        ("policy.approval", True, []),
        ("any deletion", True, ["group:partners"]),
        ("policy.approval.rule[2]", False, []),
    ]


def test_a_token_for_one_case_is_not_listed_as_one_for_all(shell):
    shell("token", "create", "--name", "anna", "--role", "reviewer", "--case", "Smith")
    shell("token", "create", "--name", "ben", "--role", "reviewer")
    anna, ben = (
        next(line for line in shell("token", "list").splitlines() if name in line) for name in ("anna", "ben")
    )
    assert anna.endswith("Smith")
    assert ben.endswith("all cases")


def test_a_token_may_last_longer_than_a_calendar_can_say(shell):
    shell("token", "create", "--name", "anna", "--role", "reviewer", "--expires", "9000000000000000ms")
    assert "after the year 9999" in shell("token", "list")
