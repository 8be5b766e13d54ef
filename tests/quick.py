"""What makes tests quick: folders whose syncs cost nothing, databases that are ready-made, and couriers in a hurry.

A pytest plugin. Migrations take an eighth of a second of every workspace, and tests make thousands: so an empty
database is brought to its newest version once, and copied. Tests of the engine, and commands in processes of their
own, make their databases as everybody does.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from treegate.engine import store

SHM = "/dev/shm"
_ROOM = 1 << 30  # bytes
_own = store._ensure
_OWN_WAY = "engine"  # the folder of tests for which nothing is copied


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Path]:
    """A folder whose syncs cost nothing, where the machine has room for one: every run makes dozens."""
    if not os.access(SHM, os.W_OK) or shutil.disk_usage(SHM).free < _ROOM:
        yield tmp_path
        return
    # What a test left running may still write there: that is no failure of the test.
    with tempfile.TemporaryDirectory(dir=SHM, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tells others what happens, in this process, looks often, and soon tries again."""
    from treegate.interfaces.notify import courier

    monkeypatch.setattr(courier, "LOOK", 0.05)
    monkeypatch.setattr(courier, "FIRST", 0.1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Copies, or does not, for one test."""
    with _making(_own if _OWN_WAY in item.path.parts else _copied):
        return (yield)


@contextmanager
def _making(way: Callable[[Path, bool], None]) -> Iterator[None]:
    """The file of a database is made in this way."""
    before, store._ensure = store._ensure, way
    try:
        yield
    finally:
        store._ensure = before


def _copied(path: Path, create: bool) -> None:
    """Makes the file that is to be a database, as it is once it was brought to its newest version."""
    if not create or path.exists():
        _own(path, create)
        return
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(_empty())


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder, _making(_own):
        path = Path(folder) / "treegate.db"
        store.Store.open(path, create=True).close()
        return path.read_bytes()
