"""treegate vault at the shell: what it says of what it let go."""

from __future__ import annotations

import json

from click.testing import CliRunner

from treegate.gate import Gate
from treegate.interfaces.cli import cli


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
        assert first.endswith("Smith/a")
        assert rest[0].startswith("1 entry")
        assert rest[1:] == ["besides: 1 file of plans that are over"]
    assert prune() == "0 entries let go\n"
    assert json.loads(prune("--json"))["cleared"] == {"files": 0, "runs": []}
