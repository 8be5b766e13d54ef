"""Real filesystems for the engine's tests: a folder with its handle, another filesystem, loop mounts."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from tests import stand_in

from treegate.engine import handles

SHM = Path("/dev/shm")


@pytest.fixture
def here(tmp_path):
    """A folder and a held handle of it."""
    fd = handles.open_root(str(tmp_path))
    yield tmp_path, fd
    handles.close(fd)


@pytest.fixture
def in_python(monkeypatch):
    """Leaves the native part aside."""
    stand_in.in_python(monkeypatch.setattr)


@pytest.fixture
def elsewhere(tmp_path):
    """A folder on another filesystem than `tmp_path`."""
    if not os.access(SHM, os.W_OK) or SHM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm as another filesystem")
    with tempfile.TemporaryDirectory(dir=SHM) as path:
        yield Path(path)


@pytest.fixture
def loop(tmp_path):
    """Makes and mounts a filesystem of a type: loop("xfs") -> its folder."""
    mounted = []

    def mount(kind, *options):
        if os.geteuid() != 0:
            pytest.skip("needs root, to mount a loop device")
        if not shutil.which(f"mkfs.{kind}"):
            pytest.skip(f"needs mkfs.{kind}")
        image, folder = tmp_path / f"{kind}.image", tmp_path / f"{kind}.mount"
        folder.mkdir()
        with image.open("wb") as file:
            file.truncate(400 << 20)
        subprocess.run([f"mkfs.{kind}", *options, str(image)], check=True, capture_output=True)
        done = subprocess.run(["mount", "-o", "loop", str(image), str(folder)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"cannot mount {kind}: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def bind():
    """Bind-mounts one folder on another: bind(source, folder)."""
    mounted = []

    def mount(source, folder):
        done = subprocess.run(["mount", "--bind", str(source), str(folder)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"needs root, to bind-mount: {done.stderr.strip()}")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)
