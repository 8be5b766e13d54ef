"""The example: a client that starts the server, hands a plan in, and waits while a person decides elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from agentwork import Office

EXAMPLE = Path(__file__).parents[3] / "examples" / "mcp_client.py"


def played(office: Office, case: str, decide: str) -> str:
    """What the example prints; a reviewer decides once it waits."""
    rita = office.person("rita")
    command = [sys.executable, "-u", str(EXAMPLE), str(office.root), case]
    environ = {**os.environ, **office.environ}
    printed = ""
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            printed += line
            if found := re.match(r"(pl_\w+) waits: .* --digest (\w+)", line):
                getattr(rita, decide)(found[1], found[2], "these are originals")
    assert process.returncode == 0
    rita.close()
    return printed


@pytest.fixture
def loose(office: Office) -> Office:
    """Files of three kinds, of which one stands alone."""
    for name in ("letter.txt", "memo.txt", "photo.jpg"):
        office.put(f"Smith/{name}", name)
    return office


def test_it_takes_suggestions_and_carries_out_what_was_approved(loose: Office):
    printed = played(loose, "Smith", "approve")
    assert "taken: near-miss" in printed
    assert re.search(r"applied: run_\w+", printed)
    assert loose.there("Smith/PDF files/scan0.pdf")
    assert loose.there("Smith/TXT files/memo.txt")
    assert loose.there("Smith/JPG files/photo.jpg")


def test_a_rejection_is_told_and_nothing_is_done(loose: Office):
    printed = played(loose, "Smith", "reject")
    assert "rejected: these are originals" in printed
    assert loose.there("Smith/scan0.pdf")
    assert not loose.there("Smith/PDF files")
