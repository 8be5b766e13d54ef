"""Runs done by hand for the rollback script: each rename is made on the disk and noted as a row of a step table."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import stat as st
import subprocess
from pathlib import Path

from treegate.engine import handles, posix, tablefile, vault
from treegate.engine.journal import Entry
from treegate.engine.rollback import Ground, Reversal
from treegate.model.table import EXCHANGE, FORMAT, RENAME, ROOT, Header, Place, Setting, Staged, Step
from treegate.model.tree import Level, pack

RUN = "run_t3st"
TOOLS = ["mv", "mkdir", "sync", "date", "chmod", "touch", "stat", "ls", "rm", "rmdir", "cat", "tr"]
CASE, VAULT, NEW = 0, 1, 2
AREA = b".treegate"
GROUNDS = {
    b"case:Case": b"projects/Case",
    b"vault:": AREA + b"/vault/run_t3st/entries",
    b"new:": AREA + b"/runs/run_t3st/new",
}


class Scene:
    """A workspace of one case. Paths are bytes from the case; all that is there when `begin` is called is known."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ws = folder, folder / "ws"
        self.case = self.ws / "projects/Case"
        self.vault = self.ws / ".treegate/vault" / RUN
        for path in GROUNDS.values():
            os.makedirs(os.fsencode(self.ws) + b"/" + path)
        self.numbers: dict[bytes, int] = {b"": CASE}
        self.places = [Place(number, ROOT, key, b"") for number, key in enumerate(GROUNDS)]
        self.staged: list[Staged] = []
        self.steps: list[Step] = []
        self.settings: list[Setting] = []
        self.built: dict[int, Entry] = {}
        self.homes: dict[int, bytes] = {}  # facts of what was there before
        self.taken: set[tuple[int, bytes]] = set()  # slots that were not free before
        self.moved: set[int] = set()
        self.next = 10

    # -- the tree before

    def real(self, path: bytes) -> bytes:
        return os.fsencode(self.case) + b"/" + path

    def file(self, path: bytes, text: str | None = None) -> None:
        os.makedirs(os.path.dirname(self.real(path)), exist_ok=True)
        with open(self.real(path), "xb") as file:
            file.write(b"content of " + path if text is None else text.encode())
        os.utime(self.real(path), ns=(1_700_000_000_000_000_000, 1_600_000_000_123_456_789 + len(path)))

    def begin(self) -> None:
        """From now on what is done is the run's."""
        for path in sorted(_paths(self.real(b"")), key=lambda path: path.count(b"/")):
            self.next += 1
            self.numbers[path] = self.next
            self.homes[self.next] = self.facts(path)
            if os.path.isdir(self.real(path)) and not os.path.islink(self.real(path)):
                self.places.append(Place(self.next, *self.slot(path), self.homes[self.next]))
            self.taken.add(self.slot(path))
        self.before = self.picture()

    # -- the run

    def facts(self, path: bytes) -> bytes:
        with handles.closing(os.open(os.path.dirname(self.real(path)), os.O_DIRECTORY)) as fd:
            return pack(posix.facts(fd, os.path.basename(path)))

    def slot(self, path: bytes) -> tuple[int, bytes]:
        above, _, name = path.rpartition(b"/")
        return self.numbers[above], name

    def _go(self, number: int, src: tuple[int, bytes], dst: tuple[int, bytes]) -> None:
        facts = self.homes.get(number, b"")
        first = bool(facts) and number not in self.moved
        free = dst not in self.taken and dst[0] not in {row.number for row in self.staged}
        level = int(Level.CONTENT if first else Level.NONE)
        self.steps.append(Step(RENAME, number, facts, level, *src, *dst, free, self._is_dir(number)))
        self.moved.add(number)

    def _is_dir(self, number: int) -> bool:
        return number in {row.number for row in self.places}

    def _renamed(self, old: bytes, new: bytes) -> None:
        below = {p: n for p, n in self.numbers.items() if p == old or p.startswith(old + b"/")}
        for path in below:
            del self.numbers[path]
        self.numbers |= {new + path[len(old) :]: number for path, number in below.items()}

    def move(self, old: bytes, new: bytes) -> None:
        self._go(self.numbers[old], self.slot(old), self.slot(new))
        os.rename(self.real(old), self.real(new))
        self._renamed(old, new)

    def swap(self, one: bytes, other: bytes) -> None:
        a, b = self.numbers[one], self.numbers[other]
        slots = (*self.slot(one), *self.slot(other))
        self.moved |= {a, b}
        facts, others = self.homes.get(a, b""), self.homes.get(b, b"")
        self.steps.append(Step(EXCHANGE, a, facts, 0, *slots, False, self._is_dir(a), b, others, 0, self._is_dir(b)))
        for old, new in ((one, b"\1"), (other, one), (b"\1", other)):
            os.rename(self.real(old), self.real(new))
            self._renamed(old, new)

    def make(self, path: bytes, kind: str, mode: int | None = None) -> int:
        """A new entry, built in the new-area and moved to its place."""
        self.next += 1
        number, name = self.next, b"%d" % self.next
        area = os.fsencode(self.ws) + b"/" + GROUNDS[b"new:"] + b"/" + name
        if kind == "dir":
            os.mkdir(area)
            self.places.append(Place(number, NEW, name, b""))
        elif kind == "link":
            os.symlink(b"nowhere", area)
        else:
            Path(os.fsdecode(area)).write_bytes(b"made for " + path)
        self.staged.append(Staged(number, NEW, name, kind, CASE, mode=mode))
        self._go(number, (NEW, name), self.slot(path))
        os.rename(area, self.real(path))
        self.numbers[path] = number
        self.built[number] = Entry(number, self.facts(path), "")
        return number

    def delete(self, path: bytes) -> None:
        number = self.numbers[path]
        self._go(number, self.slot(path), (VAULT, b"%d" % number))
        os.rename(self.real(path), os.fsencode(self.ws) + b"/" + GROUNDS[b"vault:"] + b"/%d" % number)
        self.numbers = {p: n for p, n in self.numbers.items() if p != path and not p.startswith(path + b"/")}

    def replace(self, path: bytes) -> None:
        """The old one goes to the vault, its successor takes its place."""
        self.delete(path)
        self.make(path, "file")

    def set(self, path: bytes, mode: int | None, mtime: int | None) -> None:
        now = self.facts(path)
        self.settings.append(Setting(self.numbers[path], *self.slot(path), now, mode, mtime))
        if mode is not None:
            os.chmod(self.real(path), mode)
        if mtime is not None:
            os.utime(self.real(path), ns=(mtime, mtime), follow_symlinks=False)

    def end(self, *, stable: bool = True) -> None:
        """The run is over: its table is read again and the script with its data is in the vault."""
        path = self.folder / "table"
        header = Header(FORMAT, "", ["Case"], [""], len(self.places), 0, len(self.staged), len(self.steps),
                        len(self.settings))  # fmt: skip
        rows = [header, *self.places, *self.staged, *self.steps, *self.settings]
        table = tablefile.read(path, tablefile.write(path, rows, sync=False))
        reversal = Reversal(RUN, table, self.built, lambda key: Ground("", GROUNDS[key]))
        (self.vault / "rollback.data").write_bytes(b"".join(reversal.lines("", stable=stable)))
        (self.vault / "rollback.sh").write_bytes(vault.script())
        shutil.rmtree(self.ws / ".treegate/runs" / RUN)
        self.after = self.picture()

    # -- afterwards

    def picture(self) -> dict[bytes, tuple]:
        """The case as people see it: kind, mode, content or target, and mtime of files."""
        return dict(_picture(self.real(b"")))

    def undo(self, shell: str = "dash", tools: Path | None = None, **environ: str) -> subprocess.CompletedProcess:
        """Runs the script from another folder; `sync` is left out unless `tools` say otherwise."""
        path = str(tools or self.tools(sync="exit 0"))
        shell_path = [shutil.which(part) or part for part in shell.split()]
        script = os.path.relpath(self.vault / "rollback.sh", self.folder)
        return subprocess.run(
            [*shell_path, script], cwd=self.folder, env={"PATH": path, **environ}, capture_output=True, text=True
        )

    def tools(self, name: str = "tools", *, without: tuple[str, ...] = (), **scripts: str) -> Path:
        """A folder with the programs the script may use, some of them replaced by little scripts."""
        folder = self.folder / name
        if not folder.exists():
            folder.mkdir()
            for tool in TOOLS:
                if tool in scripts:
                    (folder / tool).write_text(f"#!/bin/sh\n{scripts[tool]}\n")
                    (folder / tool).chmod(0o755)
                elif tool not in without:
                    (folder / tool).symlink_to(shutil.which(tool))
        return folder

    def data(self) -> list[list[str]]:
        return [line.split("\t") for line in (self.vault / "rollback.data").read_text().splitlines()]


def _paths(top: bytes) -> list[bytes]:
    found = []
    for folder, folders, files in os.walk(top):
        found += [os.path.relpath(os.path.join(folder, name), top) for name in folders + files]
    return found


def _picture(top: bytes):
    for path in _paths(top):
        now = os.lstat(os.path.join(top, path))
        if st.S_ISLNK(now.st_mode):
            yield path, ("link", os.readlink(os.path.join(top, path)), now.st_mtime_ns)
        elif st.S_ISDIR(now.st_mode):
            yield path, ("dir", st.S_IMODE(now.st_mode))
        else:
            with open(os.path.join(top, path), "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
            yield path, ("file", st.S_IMODE(now.st_mode), digest, now.st_mtime_ns)


# -- scenes


def everything(folder: Path) -> Scene:
    """A swap, a cycle of three, a chain, a folder inversion, a folder moved with a file renamed in it, a folder moved
    into a new one, a folder deleted once it was emptied, deletions, a replacement, new entries, settings."""
    s = Scene(folder)
    paths = (
        "a b c1 c2 c3 n1 n2 n3 out/in/leaf out/file dir/one dir/two old gone tree/x tree/y/z emptied/e1 emptied/e2 "
        "run.sh dated h1 top/p/f top/q/f"
    )
    for path in paths.split():
        s.file(path.encode())
    os.link(s.real(b"h1"), s.real(b"h2"))
    os.symlink("a", s.real(b"alias"))
    os.mkdir(s.real(b"sub"))
    s.begin()
    s.swap(b"a", b"b")
    s.swap(b"c1", b"c2")
    s.swap(b"c1", b"c3")
    for old, new in ((b"n3", b"n4"), (b"n2", b"n3"), (b"n1", b"n2")):
        s.move(old, new)
    s.move(b"out/in", b"in")
    s.move(b"out", b"in/out")
    s.move(b"in/out/file", b"in/out/renamed")
    s.move(b"dir", b"sub/dir")
    s.move(b"sub/dir/one", b"sub/dir/uno")
    s.replace(b"old")
    s.delete(b"gone")
    s.delete(b"tree")
    s.make(b"new", "dir", mode=0o700)
    s.make(b"new/deeper", "dir")
    s.make(b"new/deeper/created", "file")
    s.make(b"latest", "link")
    s.move(b"emptied/e1", b"new/e1")
    s.move(b"emptied/e2", b"new/deeper/e2")
    s.delete(b"emptied")
    s.move(b"h1", b"h3")
    s.move(b"h2", b"h1")
    s.move(b"alias", b"sub/alias")
    s.swap(b"top/p", b"top/q")  # and their files the other way round: each is at the path it had
    s.swap(b"top/p/f", b"top/q/f")
    s.set(b"run.sh", 0o755, None)
    s.set(b"dated", 0o600, 1_500_000_000_000_000_007)
    s.end()
    return s


def by_chance(folder: Path, seed: int) -> Scene:
    """A small tree and a dozen things done to it by chance."""
    chance = random.Random(seed)
    s = Scene(folder)
    folders = [b""]
    for number in range(5):
        folders.append((chance.choice(folders) + b"/d%d" % number).lstrip(b"/"))
        os.mkdir(s.real(folders[-1]))
    for number in range(7):
        s.file((chance.choice(folders) + b"/f%d" % number).lstrip(b"/"))
    s.begin()
    for number in range(chance.randrange(1, 14)):
        _something(s, chance, number)
    s.end()
    return s


def _something(s: Scene, chance: random.Random, number: int) -> None:
    there = [path for path in s.numbers if path]
    folders = [path for path in s.numbers if os.path.isdir(s.real(path))]
    names = [b"f%d" % n for n in range(3)] + [b"d%d" % n for n in range(3)] + [b"n%d" % number]
    target = (chance.choice(folders) + b"/" + chance.choice(names)).lstrip(b"/")
    free = not os.path.lexists(s.real(target))
    act = chance.choice(["move", "move", "move", "swap", "swap", "delete", "replace", "make"])
    if act == "make" and free:
        s.make(target, chance.choice(["file", "dir"]))
        return
    if not there:
        return
    one, other = chance.choice(there), chance.choice(there)
    if act == "move" and free and not (target + b"/").startswith(one + b"/"):
        s.move(one, target)
    elif act == "swap" and not (one + b"/").startswith(other + b"/") and not (other + b"/").startswith(one + b"/"):
        s.swap(one, other)
    elif s.numbers[one] in s.homes and act == "delete":
        s.delete(one)
    elif s.numbers[one] in s.homes and act == "replace" and os.path.isfile(s.real(one)):
        s.replace(one)
