"""The same through whole sandboxes, on either engine and either view: what a script did is what its plan does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BATCHES = Path(__file__).with_name("batches.py")
VIEWS = ("overlay", "copy")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: views are looked at by the runner's mounts")


def told(engine: str, view: str, first: int, count: int, place: Path, image: str = "") -> None:
    if engine == "bwrap" and shutil.which("bwrap") is None:
        pytest.skip("needs bubblewrap (bwrap)")
    command = [sys.executable, str(BATCHES), engine, view, str(first), str(count), str(place / "stories"), image]
    done = subprocess.run(command, capture_output=True, text=True, errors="backslashreplace")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{engine}, {view}: {count} sequences, 0 bad" in done.stdout


@pytest.mark.parametrize("view", VIEWS)
def test_bubblewrap_tells_what_scripts_did(view: str, tmp_path: Path):
    told("bwrap", view, 0, 80, tmp_path)


@pytest.mark.parametrize("view", VIEWS)
def test_docker_tells_what_scripts_did(view: str, tmp_path: Path, image: str):
    told("docker", view, 100, 80, tmp_path, image)


@pytest.mark.faults
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("view", VIEWS)
def test_bubblewrap_tells_what_any_script_did(view: str, tmp_path: Path):
    told("bwrap", view, 30_000, 1_000, tmp_path)


@pytest.mark.faults
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("view", VIEWS)
def test_docker_tells_what_any_script_did(view: str, tmp_path: Path, image: str):
    told("docker", view, 40_000, 1_000, tmp_path, image)
