"""treegate fsck at the shell: what it says of reports that it made anew, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from treegate.gate import Gate
from treegate.interfaces.cli import cli
from treegate.model.actors import Role

MOVE = json.dumps({"version": 1, "case": "Smith", "operations": [{"op": "move", "from": "a", "to": "b"}]})


class Shell:
    """A workspace with one plan that waits, and a shell beside it."""

    def __init__(self, base):
        (base / "ws/projects/Smith").mkdir(parents=True)
        (base / "ws/projects/Smith/a").write_text("a")
        self.root = base / "ws"
        self.environ = {"TREEGATE_STATE": str(base / "state"), "TREEGATE_POLICY_APPLY_ON_APPROVAL": "false"}
        with Gate.init(self.root, solo=True, environ=self.environ) as gate:
            self.plan = gate.submit(MOVE)
        self.report = self.root / "Reports/Smith/reorg_plan.json"

    def fsck(self, *options):
        command = ["fsck", "--workspace", str(self.root), *options]
        done = CliRunner().invoke(cli, command, env=self.environ, catch_exceptions=False)
        return done.exit_code, done.output


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


def test_all_is_well(shell):
    assert shell.fsck() == (0, "records, vault, reports and tree tell one story\n")


def test_a_lost_report_is_said_and_written(shell):
    """With `--dry-run` it is only said, and the exit status is 10; then it is written, which is 0."""
    shell.report.unlink()
    status, said = shell.fsck("--dry-run")
    assert (status, said.splitlines()[0]) == (10, "error: Reports/Smith/reorg_plan.json: it was missing")
    assert not shell.report.exists()
    assert shell.fsck() == (
        0,
        "rebuilt: Reports/Smith/reorg_plan.json: it was missing\neverything else tells one story\n",
    )
    assert shell.report.read_text() == MOVE
    assert shell.fsck()[1].startswith("records")


def test_a_report_is_said_as_json(shell):
    shell.report.write_text("edited\n\x1b[31m")
    status, said = shell.fsck("--json")
    found = json.loads(said)["findings"]
    assert status == 0
    assert {one["severity"] for one in found} == {"rebuilt"}
    assert found[0]["title"].endswith("it did not say what the store says")


def test_what_cannot_be_written_ends_with_10(shell):
    """A folder in the way is named, and stays."""
    shell.report.unlink()
    shell.report.mkdir()
    status, said = shell.fsck()
    assert status == 10
    assert "cannot be written: a folder is in its place" in said
    assert shell.report.is_dir()


def test_a_report_that_cannot_be_written_is_a_warning_beside_the_answer(shell):
    """The command does its work with status 0; stdout holds the one JSON document and nothing else."""
    shell.report.unlink()
    shell.report.mkdir()
    command = [sys.executable, "-c", "from treegate.interfaces.cli import main; main()", "approve", shell.plan.id,
               "--digest", shell.plan.digest, "--json", "--workspace", str(shell.root)]  # fmt: skip
    with Gate.open(shell.root, shell.environ) as gate:
        token = gate.create_token("rita", Role.REVIEWER)[1]
    environ = {**os.environ, **shell.environ, "TREEGATE_TOKEN": token}
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert (done.returncode, json.loads(done.stdout)["state"]) == (0, "approved")
    assert done.stderr == (
        "Reports/Smith/reorg_plan.json was not written: a folder is in its place; `treegate fsck` writes it\n"
    )
