"""The systemd unit: sound, as hardened as it says, and not so hardened that treegate cannot work."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy/systemd/treegate.service"
analyzed = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze (Debian: systemd)")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, timeout=60)


@analyzed
def test_the_unit_is_exposed_little():
    """`systemd-analyze security` says less than 3.0."""
    told = analyze("security", "--offline=true", "--threshold=29", str(UNIT))
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told.stdout)
    assert found, told.stderr
    assert (float(found[1]) < 3.0, told.returncode) == (True, 0), told.stdout


@analyzed
def test_the_unit_holds_no_mistake(tmp_path: Path):
    """`systemd-analyze verify` has nothing to say, once the program and the mount are there."""
    here, mount = tmp_path / UNIT.name, tmp_path / "mnt-workspace.mount"
    program = Path(sys.executable).with_name("treegate")
    here.write_text(UNIT.read_text().replace("/opt/treegate/bin/treegate", str(program)))
    mount.write_text("[Mount]\nWhat=bucket\nWhere=/mnt/workspace\nType=gcsfuse\n")
    told = analyze("verify", "--man=no", str(here), str(mount))
    ours = [line for line in told.stderr.splitlines() if "treegate" in line]
    assert (ours, told.returncode) == ([], 0), told.stderr


def test_the_mount_is_that_of_the_workspace():
    """One path, named in four places."""
    text = UNIT.read_text()
    named = re.findall(r"^(?:RequiresMountsFor|ReadWritePaths)=(.*)|TREEGATE_WORKSPACE=(\S+)", text, re.M)
    bound = re.search(r"^BindsTo=(.*)\.mount", text, re.M)
    assert {one or other for one, other in named} == {"/mnt/workspace"}
    assert bound is not None
    assert "/" + bound[1].replace("-", "/") == "/mnt/workspace"
