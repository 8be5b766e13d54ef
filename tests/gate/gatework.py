"""A small office to work in: a workspace with real files, its gate, people with tokens, a clock, and crashes."""

from __future__ import annotations

import json
import os
import stat
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from treegate.gate import Gate
from treegate.gate.ending import Applied
from treegate.model.actors import Role

CRASHED, SURVIVED, FAILED = 77, 0, 99  # exit statuses of a child that was to crash
HOUR, DAY = 3_600_000, 86_400_000  # milliseconds
OLD = 1_600_000_000_123_456_789  # a file's mtime in nanoseconds, which no double holds


class Clock:
    """A clock that stands still unless it is moved; milliseconds."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now


class Office:
    """One workspace, with the cases Smith and Jones."""

    def __init__(self, root: Path, state: Path, *, solo: bool = True, single: bool = False) -> None:
        self.root, self.state = root, state
        self.environ = {"TREEGATE_STATE": str(state), "PATH": os.environ["PATH"]}
        self.gates: list[Gate] = []
        self.clock = Clock()
        root.mkdir(exist_ok=True)
        if not single:
            for case in ("Smith", "Jones"):
                (root / "projects" / case).mkdir(parents=True, exist_ok=True)
        self.gate = self._mine(Gate.init(root, solo=solo, single=single, environ=self.environ))

    def _mine(self, gate: Gate) -> Gate:
        gate.core.clock = self.clock
        self.gates.append(gate)
        return gate

    def open(self, token: str = "") -> Gate:
        """Another gate of the same workspace, as another process would have."""
        return self._mine(Gate.open(self.root, {**self.environ, **({"TREEGATE_TOKEN": token} if token else {})}))

    def reopen(self) -> Gate:
        """A new gate, and the office's own from now on."""
        self.gate = self.open()
        return self.gate

    def token(self, name: str, role: Role, **more: Any) -> str:
        return self.gate.create_token(name, role, **more)[1]

    def person(self, name: str, role: Role, **more: Any) -> Gate:
        """A gate through which someone with a token acts."""
        return self.open(self.token(name, role, **more))

    def close(self) -> None:
        for gate in self.gates:
            gate.close()

    def configure(self, **values: str) -> None:
        """Sets environment variables TREEGATE_… for every gate that is opened from now on."""
        self.environ |= {f"TREEGATE_{name.upper()}": value for name, value in values.items()}
        self.reopen()

    # -- files

    def path(self, path: str) -> Path:
        return self.root / "projects" / path

    def put(self, path: str, content: bytes | str = b"", mtime: int = OLD, mode: int = 0o640) -> Path:
        """A file with a content, made with the folders above it."""
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        target.chmod(mode)
        os.utime(target, ns=(mtime, mtime))
        return target

    def tree(self, below: str = "") -> dict[bytes, tuple[object, ...]]:
        return snapshot(self.root / "projects" / below)

    # -- plans

    def document(self, *operations: dict[str, Any], case: str | None = "Smith", **head: Any) -> str:
        return plan(*operations, case=case, **head)

    def submit(self, *operations: dict[str, Any], case: str | None = "Smith", **head: Any) -> Any:
        return self.gate.submit(plan(*operations, case=case, **head))

    def approved(self, *operations: dict[str, Any], case: str | None = "Smith", **head: Any) -> str:
        """The id of a plan that was submitted and approved."""
        done = self.submit(*operations, case=case, **head)
        assert done.state == "pending", done.problems
        self.gate.approve(done.id, done.digest)
        return str(done.id)

    def carried_out(self, *operations: dict[str, Any], case: str | None = "Smith", **head: Any) -> Applied:
        return self.gate.apply(self.approved(*operations, case=case, **head))

    def undone(self, run: str = "", *paths: str) -> Applied:
        """Undoes a run: submitted, approved and applied."""
        undo = self.gate.undo(run, paths).submitted
        assert undo.state == "pending", undo.problems
        self.gate.approve(undo.id, undo.digest)
        return self.gate.apply(undo.id)

    # -- crashes

    def crash(self, act: Callable[[Gate], object], *patches: tuple[object, str, object]) -> None:
        """Does something in a child process whose patches kill it midway; fails if nothing did."""
        status = in_child(lambda: self._patched(act, patches))
        assert status == CRASHED, f"the child ended with {status}"

    def _patched(self, act: Callable[[Gate], object], patches: tuple[tuple[object, str, object], ...]) -> None:
        gate = self.open()
        for owner, name, value in patches:
            setattr(owner, name, value)
        act(gate)

    # -- stories

    def story(self, run: str) -> str:
        """What the store says of a run, once its plan and its record agree on it."""
        stored = self.gate.core.store.run(run)
        assert self.gate.core.store.plan(stored.plan).state is stored.state
        return stored.state.value

    def told(self, *expected: str) -> None:
        """fsck finds just this, once it has made anew what a crash kept from being written; each an error."""
        found = [one for one in self.open().fsck() if one.severity != "rebuilt"]
        again = self.open().fsck()
        assert found == again
        assert [(one.severity, words in one.title) for one, words in zip(found, expected, strict=True)] == [
            ("error", True) for _ in expected
        ]

    def sound(self) -> None:
        """Store, journals, vaults and tree tell one story, and nothing is left over from any run."""
        self.told()
        assert list((self.state / "runs").iterdir()) == []
        areas = [self.root / ".treegate", *self.root.glob("projects/*/.treegate")]
        assert [left for area in areas for left in area.glob("runs/*")] == []


def plan(*operations: dict[str, Any], case: str | None = "Smith", **head: Any) -> str:
    """A plan's document."""
    document: dict[str, Any] = {"version": 1, **head, "operations": list(operations)}
    if case is not None:
        document["case"] = case
    return json.dumps(document)


def move(source: str, to: str, **more: Any) -> dict[str, Any]:
    return {"op": "move", "from": source, "to": to, **more}


def delete(path: str, **more: Any) -> dict[str, Any]:
    return {"op": "delete", "path": path, **more}


def create(path: str, content: str = "new\n", **more: Any) -> dict[str, Any]:
    return {"op": "create", "path": path, "content": content, **more}


def replace(path: str, content: str = "new\n", **more: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "content": content, **more}


def copy(source: str, to: str, **more: Any) -> dict[str, Any]:
    return {"op": "copy", "from": source, "to": to, **more}


def snapshot(root: Path) -> dict[bytes, tuple[object, ...]]:
    """Every entry under a folder by name: kind, mode, owner, content, link target, and the mtime of files."""
    found: dict[bytes, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        folders[:] = [name for name in folders if name != b".treegate"]
        for name in [*folders, *files]:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, os.fsencode(root))] = _seen(path)
    return found


def _seen(path: bytes) -> tuple[object, ...]:
    seen = os.lstat(path)
    known = (stat.S_IFMT(seen.st_mode), stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid)
    if stat.S_ISREG(seen.st_mode):
        with open(path, "rb") as file:
            return (*known, seen.st_mtime_ns, file.read())
    return (*known, os.readlink(path)) if stat.S_ISLNK(seen.st_mode) else known


def die(*_: object, **__: object) -> None:
    """What a kill does: nothing is cleaned up."""
    os._exit(CRASHED)


def dies_after(real: Callable[..., Any], times: int = 1) -> Callable[..., Any]:
    """A function that does its work so many times, and then the process is gone."""
    left = [times]

    def call(*args: Any, **named: Any) -> Any:
        done = real(*args, **named)
        left[0] -= 1
        if left[0] == 0:
            os._exit(CRASHED)
        return done

    return call


def in_child(act: Callable[[], object]) -> int:
    """Does something in a forked child; its exit status, or minus the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        status = FAILED
        try:
            act()
            status = SURVIVED
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
