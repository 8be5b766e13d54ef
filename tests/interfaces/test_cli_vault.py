"""treegate vault at the shell: what it says of what it let go."""

from __future__ import annotations

import json

from click.testing import CliRunner

from treegate.gate import Gate
from treegate.interfaces.cli import cli, common


def test_prune_says_what_it_let_go_and_what_it_cleared_besides(tmp_path):
    """With `--dry-run` the same is said and nothing done; the second time there is nothing left."""
    (tmp_path / "ws/projects/Smith").mkdir(parents=True)
    (tmp_path / "ws/projects/Smith/a").write_text("a")
    environ = {"TREEGATE_STATE": str(tmp_path / "state"), "TREEGATE_VAULT_KEEP": "0s"}
    gate = Gate.init(tmp_path / "ws", solo=True, environ=environ)
    operations = [{"op": "delete", "path": "a"}]
    done = gate.submit(json.dumps({"version": 1, "case": "Smith", "operations": operations}))
    gate.approve(done.id, done.digest)
    gate.apply(done.id)
    gate.close()

    def prune(*options: str) -> str:
        command = ["vault", "prune", "--workspace", str(tmp_path / "ws"), *options]
        return CliRunner().invoke(cli, command, env=environ, catch_exceptions=False).output

    for options in (["--dry-run"], []):
        first, *rest = prune(*options).splitlines()
        assert "at the next prune: its time was up on" in first
        assert first.endswith("Smith/a")
        assert rest[0].startswith("1 entry")
        assert rest[1:] == ["besides: 1 file of plans that are over"]
    assert prune() == "0 entries let go\n"
    assert json.loads(prune("--json"))["cleared"] == {"files": 0, "runs": []}


def shop(tmp_path, **variables):
    """A workspace whose cases Smith and Jones each lost files; how to ask it at the shell."""
    environ = {"TREEGATE_STATE": str(tmp_path / "state"), **variables}
    for case in ("Smith", "Jones"):
        (tmp_path / "ws/projects" / case).mkdir(parents=True)
        (tmp_path / "ws/projects" / case / "a").write_text("x" * 2048)
        (tmp_path / "ws/projects" / case / "b").write_text("x" * 1024)
    gate = Gate.init(tmp_path / "ws", solo=True, environ=environ)
    runs = []
    for case, name in (("Smith", "a"), ("Smith", "b"), ("Jones", "b")):
        operations = [{"op": "delete", "path": name}]
        done = gate.submit(json.dumps({"version": 1, "case": case, "operations": operations}))
        gate.approve(done.id, done.digest)
        runs.append(gate.apply(done.id).run)
    gate.close()

    def vault(*options: str, **more) -> str:
        command = ["vault", *options, "--workspace", str(tmp_path / "ws")]
        return CliRunner().invoke(cli, command, env=environ, catch_exceptions=False, **more).output

    return runs, vault


def test_the_list_says_when_and_why_each_entry_goes_and_what_each_case_keeps(tmp_path):
    """By age with the day, by size with the limit, and what names an entry keeps it."""
    runs, vault = shop(tmp_path, TREEGATE_VAULT_CASE_MAX_SIZE="1 KiB")
    vault("restore", runs[2])
    (first, second, third, *totals) = vault("list").splitlines()
    assert "  at the next prune: the case keeps more than 1 KiB  Smith/a" in first
    assert second.endswith(" by age  Smith/b")
    assert "  kept: plan pl_" in third
    assert third.endswith(" names it  Jones/b")
    assert totals == [
        "Jones: 1 entry, 1.0 KB",
        "Smith: 2 entries, 3.1 KB; 2.0 KB would go at the next prune",
        "3 entries, 4.1 KB; 2.0 KB would go at the next prune",
    ]
    document = json.loads(vault("list", "--json"))
    said = [(one["because"], one["due"], one["named_by"][:3], one["goes_at"] is None) for one in document["entries"]]
    assert said == [("case-size", True, "", False), ("age", False, "", False), ("plan", False, "pl_", True)]
    assert document["cases"][1] == {"case": "Smith", "entries": 2, "size": 3072, "due": 2048}


def test_at_a_terminal_prune_shows_what_goes_and_asks(tmp_path, monkeypatch):
    """No answer but yes lets anything go; `--yes` asks nothing; what is asked names the day."""
    _, vault = shop(tmp_path, TREEGATE_VAULT_MAX_SIZE="2 KiB")
    monkeypatch.setattr(common, "interactive", lambda: True)
    asked = vault("prune", input="n\n")
    assert "the vault keeps more than 2 KiB  Smith/a" in asked
    assert "Today is 2" in asked
    assert len(json.loads(vault("list", "--json"))["entries"]) == 3
    assert "1 entry let go" in vault("prune", input="y\n")
    assert "let go" not in vault("prune", input="").replace("0 entries let go", "")
    assert len(json.loads(vault("list", "--json"))["entries"]) == 2


def test_yes_asks_nothing(tmp_path, monkeypatch):
    _, vault = shop(tmp_path, TREEGATE_VAULT_MAX_SIZE="0 B")
    monkeypatch.setattr(common, "interactive", lambda: True)
    assert "\n3 entries let go\n" in vault("prune", "--yes")
