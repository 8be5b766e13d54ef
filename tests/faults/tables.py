"""Step tables written by hand, on real folders: what the crash sweeps apply, roll back and recover."""

from __future__ import annotations

import hashlib
import io
import os
import stat as st
from pathlib import Path

from treegate.engine import handles, posix, tablefile
from treegate.engine.context import RunContext
from treegate.model.capabilities import Capabilities
from treegate.model.table import EXCHANGE, FORMAT, RENAME, ROOT, Check, Header, Place, Setting, Staged, Step
from treegate.model.tree import Level, Totals, pack

RUN = "run_t3st"
TIME = 1_700_000_000_123_456_789


def totals(fd: int) -> Totals:
    """What a folder holds; its digest over names, kinds, sizes and mtimes."""
    lines = []
    for folder, _, files in os.walk(f"/proc/self/fd/{fd}/."):
        for name in files:
            now = os.lstat(os.path.join(folder, name))
            lines.append(f"{os.path.join(folder, name).split('/./')[-1]} {now.st_size} {now.st_mtime_ns}")
    return Totals(len(lines), 0, 0, (), (), 0, hashlib.sha256("\n".join(sorted(lines)).encode()).digest())


class Site:
    """A workspace with one case, a state directory, and a table for it that grows row by row.

    A slot is (place number, name). Entries are named by the path they have before the run.
    """

    totals = staticmethod(totals)
    caps = Capabilities()  # what the mount under the case is taken for
    untimed: tuple[str, ...] = ()  # files that the run makes without an mtime, so that none can be expected

    def __init__(self, folder: Path) -> None:
        self.case, self.state = folder / "ws/projects/Case", folder / "state"
        self.areas = folder / "ws/.treegate"
        self.directory = self.state / "runs" / RUN
        self.roots = {
            b"case:Case": self.case,
            b"new:": self.areas / "runs" / RUN / "new",
            b"park:": self.areas / "runs" / RUN / "park",
            b"vault:": self.areas / "vault" / RUN / "entries",
        }
        for path in [*self.roots.values(), self.directory, self.state / "previews", self.state / "blobs"]:
            path.mkdir(parents=True, exist_ok=True)
        self.places: list[Place] = []
        self.checks: list[Check] = []
        self.staged: list[Staged] = []
        self.steps: list[Step] = []
        self.settings: list[Setting] = []
        self.numbers: dict[str, int] = {}
        self.seen: set[int] = set()
        self.root, self.new, self.park, self.vault = (self._root(key) for key in self.roots)
        self.numbers[""] = self.root
        self.next = 100

    def _root(self, key: bytes) -> int:
        self.places.append(Place(len(self.places), ROOT, key, b""))
        return len(self.places) - 1

    # -- the tree before

    def file(self, path: str, text: str | None = None, mode: int = 0o644) -> None:
        """A file of the case, its content its path if none is given, with an mtime of its own."""
        target = self.case / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"content of {path}\n" if text is None else text)
        target.chmod(mode)
        os.utime(target, ns=(TIME, TIME + len(self.numbers) + len(path)))

    # -- rows

    def number(self, path: str) -> int:
        """The number of the entry with this path before the run."""
        if path not in self.numbers:
            self.next += 1
            self.numbers[path] = self.next
        return self.numbers[path]

    def place(self, path: str) -> int:
        """The number of a folder as a place, its row written once."""
        number = self.number(path)
        if path and number not in {row.number for row in self.places}:
            parent, name = self.home(path)
            self.places.append(Place(number, parent, name, self.facts(path)))
        return number

    def home(self, path: str) -> tuple[int, bytes]:
        above, _, name = path.rpartition("/")
        return self.place(above), os.fsencode(name)

    def facts(self, path: str) -> bytes:
        with handles.closing(handles.open_root(str((self.case / path).parent))) as fd:
            return pack(posix.facts(fd, (self.case / path).name))

    def _level(self, path: str, number: int, level: Level) -> tuple[bytes, int, bool]:
        is_dir = (self.case / path).is_dir() and not (self.case / path).is_symlink()
        first = number not in self.seen
        self.seen.add(number)
        return self.facts(path), (Level.IDENTITY if is_dir and level < Level.EXACT else level) if first else 0, is_dir

    def move(self, path: str, to: tuple[int, str], at: tuple[int, str] | None = None, free: bool = True,
             level: Level = Level.CONTENT) -> None:  # fmt: skip
        """A step of an existing entry from its home (or from `at`) to a slot."""
        number = self.number(path)
        facts, level_, is_dir = self._level(path, number, level)
        src = (at[0], os.fsencode(at[1])) if at else self.home(path)
        self.steps.append(Step(RENAME, number, facts, level_, *src, to[0], os.fsencode(to[1]), free, is_dir))

    def swap(self, path: str, other: str, at: tuple[int, str] | None = None) -> None:
        """An exchange of two existing entries, the first at home or at `at`, the second at home."""
        one, two = self.number(path), self.number(other)
        facts, level, is_dir = self._level(path, one, Level.CONTENT)
        other_facts, other_level, other_is_dir = self._level(other, two, Level.CONTENT)
        src = (at[0], os.fsencode(at[1])) if at else self.home(path)
        self.steps.append(
            Step(EXCHANGE, one, facts, level, *src, *self.home(other), False, is_dir, two, other_facts, other_level,
                 other_is_dir)
        )  # fmt: skip

    def stage(self, kind: str, to: tuple[int, str], parent: int | None = None, free: bool = True, **more) -> int:
        """A new entry and, unless it is built inside another, the step that places it."""
        self.next += 1
        number, name = self.next, b"%d" % self.next
        if parent is not None:
            name = os.fsencode(to[1])
        where = self.new if parent is None else parent
        self.staged.append(Staged(number, where, name, kind, to[0], **more))
        if kind == "dir":
            self.places.append(Place(number, where, name, b""))
        if parent is None:
            self.steps.append(
                Step(RENAME, number, b"", 0, where, name, to[0], os.fsencode(to[1]), free, kind == "dir")
            )
        return number

    def blob(self, text: str) -> str:
        digest = hashlib.sha256(text.encode()).hexdigest()
        (self.state / "blobs" / digest).write_text(text)
        return digest

    def replace(self, path: str, text: str) -> None:
        """The successor changes places with the old file, which then goes to the vault."""
        self.next += 1
        number, name = self.next, b"%d" % self.next
        place, own = self.home(path)
        old = self.number(path)
        facts, level, _ = self._level(path, old, Level.EXACT)
        self.staged.append(Staged(number, self.new, name, "file", place, blob=self.blob(text), like=(place, own)))
        self.steps.append(
            Step(EXCHANGE, number, b"", 0, self.new, name, place, own, False, False, old, facts, level, False)
        )
        self.move(path, (self.vault, str(old)), at=(self.new, name.decode()))

    def delete(self, path: str) -> None:
        if (self.case / path).is_dir():
            with handles.closing(handles.open_root(str(self.case / path))) as fd:
                digest = totals(fd).digest
            place, name = self.home(path)
            self.checks.append(Check(place, name, self.facts(path), Level.IDENTITY, digest, ""))
        self.move(path, (self.vault, str(self.number(path))), level=Level.EXACT)

    def set(self, path: str, mode: int | None, mtime: int | None, at: tuple[int, str] | None = None) -> None:
        place, name = (at[0], os.fsencode(at[1])) if at else self.home(path)
        self.settings.append(Setting(self.number(path), place, name, self.facts(path), mode, mtime))

    # -- the run

    def rows(self):
        yield Header(FORMAT, "p" * 64, ["Case"], [""], len(self.places), len(self.checks), len(self.staged),
                     len(self.steps), len(self.settings))  # fmt: skip
        for rows in (self.places, self.checks, self.staged, self.steps, self.settings):
            yield from rows

    def seal(self) -> None:
        self.digest = tablefile.write(self.state / "previews/table", self.rows(), sync=False)

    def context(self, **more) -> RunContext:
        """A context as the gate would make it, for a first run or a recovery."""
        path = self.directory / tablefile.NAME
        table = tablefile.read(path if path.exists() else self.state / "previews/table", self.digest)
        return RunContext(
            RUN, self.directory, table, self.open_root, self.open_blob, self.totals,
            **{"volumes": {"": self.caps}, "batch": 4, **more},
        )  # fmt: skip

    def open_root(self, key: bytes) -> int:
        return handles.open_root(str(self.roots[key]))

    def open_blob(self, digest: str) -> io.BufferedReader:
        return open(self.state / "blobs" / digest, "rb")

    # -- looking at it

    def picture(self) -> dict[str, tuple]:
        """The case as people see it: kind, mode, content or target, and mtime of files."""
        return dict(_walk(self.case))

    def timeless(self, picture: dict[str, tuple]) -> dict[str, tuple]:
        """A picture without the mtimes that cannot be known beforehand."""
        return {
            path: what[:3] if path in self.untimed and what[0] == "file" else what for path, what in picture.items()
        }

    def contents(self) -> set[str]:
        """Every file content there is in the case, the vault and the other areas."""
        return {
            what[2] for top in self.roots.values() for _, what in _walk(top) if what[0] == "file"
        }  # fmt: skip

    def leftovers(self) -> list[str]:
        """What is left in the new- and park-areas."""
        return [path for key in (b"new:", b"park:") for path, _ in _walk(self.roots[key])]


def _walk(top: Path):
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            now = os.lstat(path)
            shown, mode = os.path.relpath(path, top), st.S_IMODE(now.st_mode)
            if st.S_ISLNK(now.st_mode):
                yield shown, ("link", os.readlink(path))
            elif st.S_ISDIR(now.st_mode):
                yield shown, ("dir", mode)
            else:
                with open(path, "rb") as file:
                    yield shown, ("file", mode, hashlib.sha256(file.read()).hexdigest(), now.st_mtime_ns)


def everything(folder: Path) -> Site:
    """A table with every kind of row: creates, replaces, copies, deletes, moves, a chain, a swap, a cycle of three,
    a swap by parking, a folder inversion, a folder move, hard links, a link, settings."""
    s = Site(folder)
    s.untimed = ("old.txt", "made/inside.txt")
    for path in (
        *("a.txt", "b.txt", "c.txt", "c1", "c2", "c3", "n1", "n2", "old.txt", "gone.txt", "gonedir/x"),
        *("gonedir/deep/y", "out/file", "out/in/leaf", "folder/one", "folder/two/three", "run.sh"),
        *("p1", "p2", "copyme", "into.txt", "h1"),
    ):
        s.file(path)
    (s.case / "sub").mkdir()
    os.link(s.case / "h1", s.case / "h2")
    os.symlink("a.txt", s.case / "alias")

    s.move("a.txt", (s.place("sub"), "moved.txt"))
    s.swap("b.txt", "c.txt")
    s.swap("c1", "c2")  # c1 -> c2 -> c3 -> c1
    s.swap("c2", "c3", at=(s.root, "c1"))
    s.move("n2", (s.root, "n3"))
    s.move("n1", (s.root, "n2"), free=False)
    s.move("p1", (s.park, "1"))
    s.move("p2", (s.root, "p1"), free=False)
    s.move("p1", (s.root, "p2"), at=(s.park, "1"), free=False)
    outer, inner = s.place("out"), s.place("out/in")
    s.move("out/in", (s.root, "in"))
    s.move("out", (inner, "out"), free=False)
    s.move("out/file", (outer, "renamed"))
    s.move("folder", (s.place("sub"), "folder"))
    s.place("folder/two")
    s.move("folder/two/three", (s.root, "three"))
    s.replace("old.txt", "the successor\n")
    s.delete("gone.txt")
    s.delete("gonedir")
    s.stage("file", (s.root, "created.md"), blob=s.blob("# Index\n"), mode=0o640, mtime=TIME + 5)
    made = s.stage("dir", (s.root, "made"), mode=0o750)
    s.stage("file", (made, "inside.txt"), parent=made, blob=s.blob("built inside\n"))
    s.move("into.txt", (made, "into.txt"), free=False)
    s.stage("file", (s.root, "copied"), source=s.home("copyme"), source_facts=s.facts("copyme"))
    s.stage("link", (s.root, "latest"), target=b"sub")
    s.move("h1", (s.root, "h3"))
    s.move("h2", (s.root, "h1"), free=False)
    s.move("alias", (s.place("sub"), "alias"))
    s.set("run.sh", 0o755, TIME + 77)
    s.set("n1", None, TIME + 78, at=(s.root, "n2"))
    s.seal()
    return s
