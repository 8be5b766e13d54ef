"""What the store speaks of is on the disk before it speaks of it: each file's content, and its name in its folder."""

import os
from pathlib import Path

import pytest
from gatework import create, move

from treegate.engine import aide, posix
from treegate.engine import apply as applying
from treegate.gate import ending, plans


class Synced:
    """What a power cut would leave of files that were synced one by one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._contents: set[int] = set()
        self._names: dict[Path, set[str]] = {}
        real = posix.fsync

        def fsync(fd: int) -> None:
            real(fd)
            path = Path(os.readlink(f"/proc/self/fd/{fd}"))
            self._contents.add(os.fstat(fd).st_ino)
            if path.is_dir():
                self._names[path] = set(os.listdir(path))

        monkeypatch.setattr(posix, "fsync", fsync)

    def missing(self, folder: Path, pattern: str = "*") -> list[str]:
        """What is in a folder and might not be after a power cut."""
        named = self._names.get(folder, set())
        return sorted(
            path.name
            for path in folder.glob(pattern)
            if path.name not in named or (path.is_file() and path.stat().st_ino not in self._contents)
        )


@pytest.fixture
def synced(office, monkeypatch):
    """What is synced from now on; and the office has a file."""
    office.put("Smith/a", "a")
    return Synced(monkeypatch)


def looked_at(monkeypatch, owner, name, look):
    """What `look` finds at each call of a function."""
    real, found = getattr(owner, name), []

    def call(*given, **named):
        found.append(look())
        return real(*given, **named)

    monkeypatch.setattr(owner, name, call)
    return found


def test_the_step_table_of_a_preview_is_durable_under_its_own_name(office, synced, monkeypatch):
    """3: a plan that waits for its approval has its table, whatever happens to the machine."""
    found = looked_at(monkeypatch, plans.approving, "by_policy", lambda: synced.missing(office.state / "previews"))
    office.submit(move("a", "b"))
    assert found == [[]]


def test_the_folder_of_a_run_is_durable_before_its_journal(office, synced, monkeypatch):
    """3, 16: a run without a journal counts as one that did nothing, so no journal may go with its folder."""
    id = office.approved(move("a", "b"))
    found = looked_at(monkeypatch, applying, "run", lambda: synced.missing(office.state / "runs"))
    office.gate.apply(id)
    assert found == [[]]


def test_the_record_of_a_run_is_durable_before_the_store_says_applied(office, synced, monkeypatch):
    """3, 16: a power cut just after left an empty list of what was done, and a run that could not be undone."""
    id = office.approved(move("a", "b"), create("c"))
    receipts = office.state / "receipts"
    found = looked_at(monkeypatch, ending, "_end_applied", lambda: synced.missing(receipts, "run_*"))
    office.gate.apply(id)
    assert found == [[]]


def test_what_an_aide_wrote_is_durable_before_the_store_says_applied(office, synced, monkeypatch):
    """3, 16: the aide syncs nothing, so the run has to."""
    monkeypatch.setattr(aide, "LARGE", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    id = office.approved(move("a", "b"))
    receipts, vaults = office.state / "receipts", office.root / ".treegate/vault"

    def missing():
        return [synced.missing(receipts, "run_*"), *map(synced.missing, vaults.iterdir())]

    looked = looked_at(monkeypatch, ending, "_end_applied", missing)
    named = looked_at(monkeypatch, posix, "give_name", lambda: None)
    office.gate.apply(id)
    assert looked == [[[], []]]
    assert len(named) == 2
