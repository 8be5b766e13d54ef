"""An office and its model side by side: who comes in, what others change past the gate, the database put away."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "gate"))

import gate_model as model
from crash_sweep import KILLED
from gate_model import Plan, Run, Tree, Unfinished
from gatework import DAY, HOUR, Office
from tests import stand_in

from treegate.engine import posix
from treegate.errors import TreegateError
from treegate.gate import Gate
from treegate.model.actors import Actor, Role

SHARED = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # where syncs cost nothing
CASES = ("Smith", "Jones")
BOSS, AGENT, REVIEWERS = "boss", "agent", ("ann", "bob", "cleo")
ROLES = {BOSS: Role.ADMIN, AGENT: Role.AUTHOR} | dict.fromkeys(REVIEWERS, Role.REVIEWER)
APPROVAL_HOLDS, VAULT_KEEPS = 72 * HOUR, 90 * DAY
RENAMES = ("rename", "rename_checked", "rename_linked", "exchange")
ALREADY_REJECTED, TOO_OLD = 12, 10
START = {
    "Smith/in/a.txt": "alpha", "Smith/in/deep/c.txt": "gamma", "Smith/notes.md": "notes", "Smith/box/x": "x",
    "Jones/j.txt": "j", "Jones/box/k": "k",
}  # fmt: skip


class House:
    """One office, its model, and everybody's way in."""

    def __init__(self, own: bool, required: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="treegate-", dir=SHARED)
        top = Path(self._folder.name)
        self.office = Office(top / "office", top / "state", solo=own)
        self.office.configure(policy_approval_required=str(required), policy_limits_delete_share="1")
        self.own, self.required = own, required
        self.tree: Tree = {case: model.made("dir") for case in CASES}
        self.plans: list[Plan] = []
        self.runs: dict[str, Run] = {}
        self.unfinished: list[Unfinished] = []
        self.rejected: list[Plan] = []
        self.kept: dict[tuple[str, int], Tree] = {}
        self.precious: set[str] = set()
        self.paused: set[str] = set()
        self.begun = [0, 0]  # runs that the tree knows of, and those of which that cannot be said
        self.untidy = False
        self.told: Counter[str] = Counter()
        self._times = iter(range(1_500_000_000_000_000_001, 1 << 62, 1_000_000_007))
        self._texts: dict[str, str] = {}
        self._contents = iter(range(1, 1 << 62))
        for path, content in START.items():
            self.write(path, content)

    def close(self) -> None:
        self.office.close()
        self._folder.cleanup()

    # -- who, and what they are answered

    def gate(self, who: str, office: Gate | None = None) -> Gate:
        """The gate as somebody uses it."""
        return (office or self.office.gate).acting_as(Actor(name=who, role=ROLES[who], via="token"))

    def attempt(self, act: Callable[[], Any], *expected: int) -> tuple[int, Any]:
        """The exit status that a door answers with, and what; 0 if it lets it happen. No other error ever comes."""
        try:
            status, answer = 0, act()
        except TreegateError as error:
            status, answer = error.exit_status, error
        assert not expected or status in expected, (status, expected, answer)
        return status, answer

    def content(self) -> str:
        """A content that nothing else has."""
        text = f"content {next(self._contents)}\n"
        self._texts["sha256:" + hashlib.sha256(text.encode()).hexdigest()] = text
        return text

    def written(self, who: str, id: str) -> tuple[list[dict[str, Any]], str]:
        """The operations that the gate itself wrote for a plan, with contents as texts; and their case."""
        document = json.loads(self.gate(who).document(id).document)
        found = [
            {**op, "content": self._texts[op["blob"]]} if "blob" in op else op for op in document["operations"]
        ]  # fmt: skip
        return found, document.get("case", "")

    # -- the tree as others change it

    def disk(self, path: str) -> Path:
        return self.office.path(path)

    def write(self, path: str, content: str) -> None:
        """Somebody writes a file, in place if it is there."""
        old = self.tree.get(path)
        if old is not None:
            self.precious.discard(old.content)
        self._parents(path)
        self.office.put(path, content, next(self._times), mode=old.mode if old is not None else 0o640)
        entry = old._replace(content=content) if old is not None else model.made("file", content, 0o640)
        self.tree[path] = model.stamped(entry)
        self.precious.add(content)

    def _parents(self, path: str) -> None:
        above = path.rpartition("/")[0]
        if above not in self.tree:
            self._parents(above)
            self.tree[above] = model.made("dir")
            self.disk(above).mkdir(exist_ok=True)
            self.disk(above).chmod(0o755)

    def remove(self, path: str) -> None:
        """Somebody deletes something."""
        for inside in list(model.within(self.tree, path)):
            self.precious.discard(self.tree.pop(inside).content)
        target = self.disk(path)
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    def shift(self, source: str, to: str) -> None:
        """Somebody renames something to a place that is free."""
        self._parents(to)
        self.disk(source).rename(self.disk(to))
        moved = model.subtree(self.tree, source)
        for tail, entry in moved.items():
            del self.tree[source + tail]
            self.tree[to + tail] = model.stamped(entry) if not tail else entry

    def on_disk(self, cases: Iterable[str]) -> model.Picture:
        """The tree of some cases as it is."""
        found: model.Picture = {}
        for case in cases:
            top = self.disk(case)
            for path in [top, *(one for one in top.rglob("*") if ".treegate" not in one.parts)]:
                is_dir = path.is_dir()
                seen = ("dir" if is_dir else "file", "" if is_dir else path.read_text(), path.stat().st_mode & 0o7777)
                found[str(path.relative_to(self.office.root / "projects"))] = seen
        return found

    # -- the database put away

    def keep_database(self) -> tuple[Path, list[int]]:
        """A backup of the database, and how many runs had begun by then."""
        target = self.office.state.parent / "kept.db"
        target.unlink(missing_ok=True)
        with (
            closing(sqlite3.connect(self.office.state / "treegate.db")) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
        return target, list(self.begun)

    def with_database(self, kept: Path, act: Callable[[Gate], None]) -> None:
        """Does something on an old database, then puts the new one back."""
        aside = self.office.state.parent / "aside"
        self._closed()
        aside.mkdir()
        for path in self.office.state.glob("treegate.db*"):
            shutil.move(path, aside / path.name)
        shutil.copy2(kept, self.office.state / "treegate.db")
        try:
            act(self.gate(BOSS, self.office.reopen()))
        finally:
            self._closed()
            for path in self.office.state.glob("treegate.db*"):
                path.unlink()
            for path in aside.iterdir():
                shutil.move(path, self.office.state / path.name)
            aside.rmdir()
            self.office.reopen()

    def _closed(self) -> None:
        self.office.close()
        self.office.gates.clear()

    def reopen(self) -> None:
        """Everybody comes back another day."""
        self._closed()
        self.office.reopen()


def before_renames(act: Callable[[], None]) -> None:
    """From now on this process does something before each rename and exchange."""

    def wrapped(real: Callable[..., Any]) -> Callable[..., Any]:
        def rename(*given: Any) -> Any:
            act()
            return real(*given)

        return rename

    stand_in.in_python()
    for name in RENAMES:
        setattr(posix, name, wrapped(getattr(posix, name)))


def die_at_rename(number: int) -> None:
    """From now on this process dies before its rename or exchange of a number."""
    left = iter(range(number - 1))
    before_renames(lambda: None if next(left, None) is not None else os._exit(KILLED))
