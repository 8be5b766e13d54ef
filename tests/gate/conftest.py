"""Offices in temporary folders, and mounts for those tests that need one."""

import os
import subprocess

import pytest
from gatework import Office


@pytest.fixture
def office(fast):
    """A workspace of one person, who may approve their own plans."""
    made = Office(fast / "office", fast / "state")
    yield made
    made.close()


@pytest.fixture
def disk(tmp_path):
    """The same on the disk that temporary files are on."""
    made = Office(tmp_path / "office", tmp_path / "state")
    yield made
    made.close()


@pytest.fixture
def firm(fast):
    """A workspace in which nobody may approve their own plans."""
    made = Office(fast / "firm", fast / "state", solo=False)
    yield made
    made.close()


@pytest.fixture
def mount():
    """Mounts something until the test ends: mount(folder, "-t", "tmpfs", "none"); skips where that is forbidden."""
    mounted = []

    def mount(folder, *options):
        if os.geteuid() != 0:
            pytest.skip("needs root, to mount")
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"cannot mount: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in reversed(mounted):
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)
